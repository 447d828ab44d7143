"""Divides each data set by itself, so that a further one never changes what another is trained on."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import ADAPT, AUTHORS, COLUMNS, SOURCE, UNUSED, read_data_set
from deepfake_detection.index.audit import read_hashes
from deepfake_detection.index.groups import frame_groups
from deepfake_detection.index.official import read_lists, read_recordings
from deepfake_detection.index.shared import digests, keep_apart, known_groups
from deepfake_detection.index.splits import split_frames, split_report
from deepfake_detection.params.data_sections import Dataset, Split

# the layouts with the ids of FaceForensics++, of which its authors say the split and the recordings
OF_FACEFORENSICS = ("kaggle", "faceforensics", "embedded", "embedded_shifted")


def split_data_sets(
    datasets: Mapping[str, Dataset], how: Split, data: Path, checkpoints: Mapping[str, str]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The frames of all data sets, sorted by path, as ``split_data_set`` gives them; and the report for split.json.

    ``data`` is the folder with what the stages download and index wrote. Further columns are ``phash`` and ``digest``,
    see ``digests``. ``checkpoints`` names what training starts from or learns from; the report says under
    ``shared.known`` how many groups of the test each was trained on. The authors' lists are those of
    ``how.official_dir``, for data sets with the ids of FaceForensics++, or else the data set's own.

    Raises UserError as ``split_data_set`` and ``keep_apart`` do, and if the strategy is official and no data set comes
    with a division.
    """
    tables, reports, layouts = [], {}, {}
    for name, dataset in datasets.items():
        index, shares = read_data_set(data / "index" / f"{name}.csv"), (how.train, how.val, how.test)
        folders = [data / "raw" / name / AUTHORS]
        layout = json.loads((data / "raw" / name / SOURCE).read_text(encoding="utf-8"))["layout"]
        layouts[str(index["dataset"].iloc[0])] = layout
        if layout in OF_FACEFORENSICS and how.official_dir != "none":
            folders = [Path(how.official_dir), *folders]
        official = read_lists(folders) if how.strategy == "official" else {}
        choice = (dataset.use, dataset.unseen, how.strategy, shares, how.seed)
        table, reports[name] = split_data_set(index, *choice, official, read_recordings(folders))
        tables.append(table.merge(read_hashes(data / "hashes" / f"{name}.csv"), on="path"))
    trained = [report for report in reports.values() if report["use"] == "train"]
    if how.strategy == "official" and all(report["strategy"] == "group" for report in trained):
        raise UserError(
            "split.strategy official: no data set says what is for training and what for the test: name the folder of "
            "the authors' lists in split.official_dir, set lists: authors, or set split.strategy to group"
        )
    total = _added([{key: value for key, value in report.items() if key != "use"} for report in trained])
    table = pd.concat(tables).sort_values("path", ignore_index=True)
    table, shared = keep_apart(table, layouts, {name: each.use for name, each in datasets.items()}, how.strategy)
    shared["known"] = {name: known_groups(table, layouts, Path(path)) for name, path in checkpoints.items()}
    return table.assign(digest=digests(table, layouts)), total | {"shared": shared, "datasets": reports}


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
    told = index["group"] != ""
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
    report = {"use": use, "strategy": used} | split_report(index, split, recordings, index["group"], told)
    if used == "group" and (report["leaked_videos"] or report["leaked_recordings"]):
        raise UserError(f"data set {name}: {_torn(index, split)}")
    role = held_out.map({True: "unseen" if use == "train" else use, False: use})
    return index[list(COLUMNS)].assign(role=role, split=split.astype(str)), report


def _torn(index: pd.DataFrame, split: pd.Series) -> str:
    """What is wrong with groups that the data set names, of which a video or a recording is in several."""
    used = index[split != UNUSED]
    both = used.groupby("video_id")["group"].transform("nunique") > 1
    first = used[both].drop_duplicates(["video_id", "group"]).head(2)
    groups, files = (" and ".join(first[column]) for column in ("group", "path"))
    return (
        f"groups {groups} share the video {first['video_id'].iloc[0]} ({files}), and the split divides them: give all "
        "frames of a recording one group"
    )


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
