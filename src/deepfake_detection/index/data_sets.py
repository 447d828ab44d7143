"""Divides each data set by itself, so that a further one never changes what the main one is trained on."""

from collections.abc import Mapping
from itertools import compress
from pathlib import Path
from typing import Any

import pandas as pd

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import read_index, read_paths
from deepfake_detection.index.given import read_division
from deepfake_detection.index.splits import split_frames, split_report
from deepfake_detection.params.data import AllCategories
from deepfake_detection.sources.layout import ADAPT, UNUSED

COLUMNS = ["dataset", "category", "label", "video_id", "source_id", "group", "frame"]


def split_data_sets(
    index: Path,
    raw: Path,
    categories: AllCategories,
    extra: Mapping[str, str],
    strategy: str,
    shares: tuple[float, float, float],
    seed: int,
    official: Mapping[str, str] | None = None,
    recordings: Mapping[str, str] | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The ``dataset``, ``category`` and ``split`` of each row of an index file, and the report for metrics/split.json.

    ``raw`` is the folder that the download stage has filled. ``extra`` maps each further data set to its use: ``test``
    puts all of its frames into test, ``train`` divides it by its own division or as the main one, ``adapt`` puts them
    into ADAPT. ``strategy``, ``shares`` and ``seed`` are as in ``split_frames``. ``official`` and ``recordings`` are
    for the main data set, as in ``split_frames``. The report is that of the main data set, and has those of the others
    under ``datasets``.

    Raises UserError as ``split_frames`` does.
    """
    table = read_index(index, COLUMNS)
    split = pd.Series(UNUSED, index=table.index, dtype=object)

    def divide(dataset: str, rows: pd.Series, **lists: Any) -> str:
        own, units = read_division(raw, compress(read_paths(index), rows), dataset)
        used = "own" if own is not None and strategy != "frame" else strategy
        if dataset and used == "official":  # the authors' lists are of the main data set
            used = "group"
        part = table[rows]
        for given in (own, units):
            if given is not None:
                given.index = part.index
        split[rows] = split_frames(part, used, shares, seed, groups=part["group"], own=own, units=units, **lists)
        return used

    main = ~table["dataset"].isin(set(extra))
    used = divide("", main, seen=categories.real + categories.fake, official=official)
    report = {"strategy": used} | split_report(table[main], split[main], recordings, table["group"][main])
    report["datasets"] = {}
    for dataset, use in extra.items():
        rows = table["dataset"] == dataset
        if use == "train":
            try:
                used = divide(dataset, rows)
            except UserError as error:
                raise UserError(f"data set {dataset}: {error}") from None
        else:
            split[rows] = used = "test" if use == "test" else ADAPT
        counts = split_report(table[rows], split[rows], None, table["group"][rows])
        report["datasets"][dataset] = {"use": use, "strategy": used} | counts
    return table[["dataset", "category"]].assign(split=split.astype(str)), report
