"""Finds the usable frames of a data set. Every file is opened once, and is either indexed or rejected with a reason."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import (
    COLUMNS,
    DIVISION_COLUMNS,
    LEFT_OUT,
    MISSING_COLUMNS,
    REJECTED_COLUMNS,
    TABLE,
    VIDEO,
    VIDEO_KEY,
    read_frames,
    read_rejected,
)
from deepfake_detection.index.decode import DUPLICATE, open_frames
from deepfake_detection.index.tracks import NO_FACE, choose_faces
from deepfake_detection.pictures.faces import FACE_COLUMNS
from deepfake_detection.videos.footage import NO_FOLDERS, Folders

CLASSES: dict[Any, str] = {0: "real ", 1: "fake ", -1: ""}  # of an unlabelled frame nobody says which it is


class RejectedError(UserError):
    """The data cannot be used for training. ``rejected`` holds every rejected file and the reason."""

    def __init__(self, message: str, rejected: pd.DataFrame) -> None:
        super().__init__(message)
        self.rejected = rejected


class Indexed(NamedTuple):
    """What ``index_data_set`` finds.

    ``frames`` has COLUMNS, DIVISION_COLUMNS, ``phash``, and if there are videos ``seconds``, the time at which a frame
    comes on show. It is sorted by path. ``faces`` is as ``choose_faces`` returns it,
    empty if faces are not wanted. ``rejected`` has REJECTED_COLUMNS and one row for each rejected file with the first
    reason that applies, sorted. ``missing`` are the videos without a usable frame, with MISSING_COLUMNS.
    """

    frames: pd.DataFrame
    faces: pd.DataFrame
    rejected: pd.DataFrame
    missing: pd.DataFrame


def index_data_set(
    raw: Path,
    name: str,
    max_rejected: float,
    faces: bool,
    workers: int | None = None,
    folders: Folders = NO_FOLDERS,
    work: Path | None = None,
) -> Indexed:
    """Opens every file that the download stage's table names, below the folder ``raw``/``name``.

    Paths are POSIX and relative to ``raw``. Width and height are in pixels of the upright picture. Of equal frames only
    the first is used, originals before fakes. With ``faces``, a frame of a video without a face cannot be used. Videos
    of a data set in ``folders`` lie there. The folder ``work`` keeps what was found in videos, for a run after a killed
    one. Nothing depends on ``workers`` (processes; default: all granted processors).

    Raises RejectedError when a class or a category has no frame left, or more than the share ``max_rejected`` of the
    files is rejected. Raises UserError when a table cannot be used, or the face detector is not installed.
    """
    table, rejected = read_frames(raw / name / TABLE), read_rejected(raw / name / LEFT_OUT)
    is_video = table["frame"] == VIDEO
    # originals first: a "fake" that equals an original was not manipulated, so the original is kept
    order = table.assign(path=table["path"].where(~is_video, table["path"] + "/")).sort_values(["label", "path"]).index
    known_lost = is_video & table["path"].isin(rejected["path"])
    files = table.loc[order[~known_lost[order]]].reset_index(drop=True)
    frames, unusable = open_frames(raw, files, faces, workers, folders, work)
    index = frames.sort_values("path", ignore_index=True).astype(COLUMNS)
    found = pd.DataFrame(columns=FACE_COLUMNS)
    if faces:
        _require_usable(name, table, index, pd.concat([rejected, unusable]), max_rejected)
        found = choose_faces(index)
        lost = index[~index["path"].isin(set(found["path"]))]
        index = index.drop(index=lost.index).reset_index(drop=True)
        unusable = pd.concat([unusable, lost[["path", "category"]].assign(reason=NO_FACE)])
    rejected = pd.concat([rejected, unusable])[REJECTED_COLUMNS].sort_values(["path", "reason"], ignore_index=True)
    _require_usable(name, table, index, rejected, max_rejected)
    columns = [*COLUMNS, *DIVISION_COLUMNS, *(["seconds"] if is_video.any() else []), "phash"]
    return Indexed(index[columns], found, rejected, _missing(table, index))


def _missing(table: pd.DataFrame, index: pd.DataFrame) -> pd.DataFrame:
    """The videos of the table of which the index has no frame."""
    there = pd.MultiIndex.from_frame(index[VIDEO_KEY].drop_duplicates())
    lost = table[~pd.MultiIndex.from_frame(table[VIDEO_KEY]).isin(there)]
    return lost[MISSING_COLUMNS].drop_duplicates().sort_values(VIDEO_KEY, ignore_index=True)


def _require_usable(
    name: str, table: pd.DataFrame, index: pd.DataFrame, rejected: pd.DataFrame, max_rejected: float
) -> None:
    for label, rows in table.groupby("label"):
        for wanted in (sorted(rows["category"].unique()), *([each] for each in sorted(rows["category"].unique()))):
            if index["category"].isin(wanted).any():
                continue
            lost = rejected[rejected["category"].isin(wanted)]
            why = f"all {len(lost)} files rejected, {_commonest(lost)}" if len(lost) else "no files"
            raise RejectedError(
                f"{name}: no usable {CLASSES[label]}frame of {', '.join(wanted)}: {why}; mend the data, or leave "
                f"it out of datasets.{name}",
                rejected,
            )
    total = len(index) + len(rejected)
    if len(rejected) / total > max_rejected:
        raise RejectedError(
            f"{name}: {len(rejected)} of {total} files rejected ({len(rejected) / total:.2%}), more than "
            f"index.max_rejected ({max_rejected:.2%}), {_commonest(rejected)}: mend the data or raise "
            "index.max_rejected",
            rejected,
        )


def _commonest(rejected: pd.DataFrame) -> str:
    kinds = rejected["reason"].map(_kind)
    counts = Counter(kinds)
    kind = min(counts, key=lambda kind: (-counts[kind], kind))
    path, _, reason = rejected[kinds == kind].iloc[0]
    return f'most often "{kind}" ({counts[kind]}), e.g. {path}: {reason}'


def _kind(reason: str) -> str:
    return DUPLICATE.split()[0] if reason.startswith(DUPLICATE) else reason.partition(":")[0]


def index_counts(index: pd.DataFrame, rejected: pd.DataFrame) -> dict[str, Any]:
    """The frames, videos and rejected files of a data set, ready for JSON."""
    frames = Counter(index["category"])
    videos = Counter(index.drop_duplicates(VIDEO_KEY)["category"])
    reasons = Counter(rejected["reason"].map(_kind))
    return {
        "frames": len(index),
        "videos": videos.total(),
        "rejected": len(rejected),
        "rejected_share": round(len(rejected) / (len(index) + len(rejected)), 6),
        "categories": {each: {"frames": frames[each], "videos": videos[each]} for each in sorted(frames)},
        "reasons": {kind: reasons[kind] for kind in sorted(reasons)},
    }
