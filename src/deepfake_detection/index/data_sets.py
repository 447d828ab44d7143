"""Divides each data set by itself, so that a further one never changes what another is trained on."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import ADAPT, AUTHORS, COLUMNS, SOURCE, read_data_set
from deepfake_detection.index.groups import frame_groups
from deepfake_detection.index.official import read_lists, read_recordings
from deepfake_detection.index.splits import split_frames, split_report
from deepfake_detection.params.data_sections import Dataset, Split

# the layouts with the ids of FaceForensics++, of which its authors say the split and the recordings
OF_FACEFORENSICS = ("kaggle", "faceforensics", "embedded", "embedded_shifted")


def split_data_sets(
    datasets: Mapping[str, Dataset], how: Split, raw: Path, indexes: Path
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The frames of all data sets, sorted by path, as ``split_data_set`` gives them; and the report for split.json.

    ``indexes`` is the folder of their index files, ``raw`` that of what the download stage brought. The authors' lists
    are those of ``how.official_dir``, for data sets with the ids of FaceForensics++, or else the data set's own.
    Raises UserError as ``split_data_set`` does, and if the strategy is official and no data set comes with a division.
    """
    tables, reports = [], {}
    for name, dataset in datasets.items():
        index, shares = read_data_set(indexes / f"{name}.csv"), (how.train, how.val, how.test)
        folders = [raw / name / AUTHORS]
        layout = json.loads((raw / name / SOURCE).read_text(encoding="utf-8"))["layout"]
        if layout in OF_FACEFORENSICS and how.official_dir != "none":
            folders = [Path(how.official_dir), *folders]
        official = read_lists(folders) if how.strategy == "official" else {}
        choice = (dataset.use, dataset.unseen, how.strategy, shares, how.seed)
        table, reports[name] = split_data_set(index, *choice, official, read_recordings(folders))
        tables.append(table)
    trained = [report for report in reports.values() if report["use"] == "train"]
    if how.strategy == "official" and all(report["strategy"] == "group" for report in trained):
        raise UserError(
            "split.strategy official: no data set says what is for training and what for the test: name the folder of "
            "the authors' lists in split.official_dir, set lists: authors, or set split.strategy to group"
        )
    total = _added([{key: value for key, value in report.items() if key != "use"} for report in trained])
    return pd.concat(tables).sort_values("path", ignore_index=True), total | {"datasets": reports}


def split_data_set(
    index: pd.DataFrame,
    use: str,
    unseen: Collection[str],
    strategy: str,
    shares: tuple[float, float, float],
    seed: int,
    official: Mapping[str, str],
    recordings: Mapping[str, str],
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The index of a data set with ``group``, ``role`` and ``split``, and its report for metrics/split.json.

    ``index`` has COLUMNS and DIVISION_COLUMNS. The role is the use, ``train``, ``test`` or ``adapt``, or ``unseen`` for
    frames of the categories that are held out. ``test`` puts all frames into test, ``adapt`` into ADAPT. ``train``
    divides them: by the data set's own division, unless the ``strategy`` is frame, or else as ``split_frames`` does. If
    the strategy is official and the data set is on no list, ``official`` is empty: its own division counts, or else the
    strategy group. Groups are called by the data set too. Raises UserError as ``split_frames`` does.
    """
    name, held_out = str(index["dataset"].iloc[0]), index["category"].isin(set(unseen))
    index = index.assign(group=f"{name}/" + frame_groups(index, unseen, recordings))
    if use != "train":
        split, used = pd.Series("test" if use == "test" else ADAPT, index=index.index, name="split"), use
    else:
        own, used = index["split"], strategy
        if strategy == "official" and not official:
            used = "group"
        if (own != "").any() and used == "group":
            used = "own"
        try:
            split = split_frames(
                index,
                used,
                shares,
                seed,
                seen=set(index.loc[~held_out, "category"]),
                official=official,
                groups=index["group"],
                own=own if used == "own" else None,
                units=index["unit"],
            )
        except UserError as error:
            raise UserError(f"data set {name}: {error}") from None
    report = {"use": use, "strategy": used} | split_report(index, split, recordings, index["group"])
    role = held_out.map({True: "unseen" if use == "train" else use, False: use})
    return index[list(COLUMNS)].assign(role=role, split=split.astype(str)), report


def _added(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Reports as one: counts are added; what differs and is no number is joined by commas."""
    found: dict[str, Any] = {}
    for key in dict.fromkeys(key for part in parts for key in part):
        values = [part[key] for part in parts if key in part]
        if isinstance(values[0], dict):
            found[key] = _added(values)
        elif isinstance(values[0], bool):
            found[key] = all(values)
        else:
            found[key] = sum(values) if isinstance(values[0], int) else ", ".join(dict.fromkeys(values))
    return found
