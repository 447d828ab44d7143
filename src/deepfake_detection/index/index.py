"""Finds the usable frames. Every file is opened once, and is either indexed or rejected with a reason."""

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from deepfake_detection.common.errors import UserError
from deepfake_detection.index.decode import DUPLICATE, open_frames
from deepfake_detection.index.given import has_table
from deepfake_detection.index.listing import (
    SPLIT_CONFLICT,
    UNLISTED,
    list_folders,
    list_table,
)
from deepfake_detection.index.lists import CLASSES
from deepfake_detection.index.tables import COLUMNS, REJECTED_COLUMNS
from deepfake_detection.sources.layout import FRAMES


class RejectedError(UserError):
    """The data cannot be used for training. ``rejected`` holds every rejected file and the reason."""

    def __init__(self, message: str, rejected: pd.DataFrame) -> None:
        super().__init__(message)
        self.rejected = rejected


def build_index(
    raw: Path,
    real: list[str],
    fake: list[str],
    max_rejected: float,
    workers: int | None = None,
    official: Mapping[str, str] | None = None,
    faces: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Opens every file of the categories under ``raw`` and returns (index, rejected, counts).

    ``raw`` holds ``FF++C32-Frames/<Category>/`` and, optionally for each category,
    ``CSVs/<Category>.csv`` with columns ``filename,label``. Without the CSV every file counts as listed. Or it holds
    the table of another data set, as ``listing.list_table`` says.

    ``index`` has the columns COLUMNS and one row for each usable frame, sorted by path. Paths are POSIX
    and relative to ``raw``. The label is 0 for ``real`` and 1 for ``fake``. Width and height are in pixels
    of the upright picture. source_id is "" for originals, and group where
    target and source say all. Two further columns hold what ``decode.Decoded``
    says of a frame: ``phash`` and, if ``faces`` are wanted, ``faces``. These are None for a fake whose original has
    a face in the same frame. ``rejected`` has the columns REJECTED_COLUMNS
    and one row for each rejected file with the first reason that applies, sorted. ``counts`` is ready for
    JSON. Nothing depends on ``workers`` (processes; default: all granted processors).

    ``official`` maps each video id to its split. With it, a frame is rejected if its target or source has
    no split, or if the two splits differ. This does not mean that the data are bad: such frames appear in
    the counts, but are left out of the share that ``max_rejected`` limits.

    Raises RejectedError when a class has no frame left or more than the share ``max_rejected`` of the files
    is rejected. Raises UserError when a folder or CSV cannot be used, or the face detector is not installed.
    """
    labels = dict.fromkeys(real, 0) | dict.fromkeys(fake, 1)
    if has_table(raw):
        listed = list_table(raw, labels, official is not None)
    else:
        listed = list_folders(raw, labels, official, workers)
    opened, problems = open_frames(listed, faces, workers)
    unusable = listed.columns([listed.files[row] for row in problems])[["path", "category"]]
    rejected = pd.concat([listed.rejected, unusable.assign(reason=list(problems.values()))])[REJECTED_COLUMNS]
    index = listed.columns(opened.pop("file")).join(opened).astype(COLUMNS)
    return _check_and_count(index, rejected, raw, real, fake, max_rejected)


def keep_only(
    paths: Collection[str],
    reason: str,
    index: pd.DataFrame,
    rejected: pd.DataFrame,
    raw: Path,
    real: list[str],
    fake: list[str],
    max_rejected: float,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """The result of ``build_index``, with every frame that is not in ``paths`` rejected for ``reason``.

    Returns and raises as ``build_index`` does.
    """
    kept = index["path"].isin(paths)
    lost = index.loc[~kept, ["path", "category"]].assign(reason=reason)
    return _check_and_count(
        index[kept].reset_index(drop=True), pd.concat([rejected, lost]), raw, real, fake, max_rejected
    )


def _check_and_count(
    index: pd.DataFrame, rejected: pd.DataFrame, raw: Path, real: list[str], fake: list[str], max_rejected: float
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    rejected = rejected.sort_values(["path", "reason"], ignore_index=True)
    _require_classes(index, rejected, raw, (real, fake))
    _require_few_rejected(index, rejected, max_rejected)
    return index, rejected, _count(index, rejected, real + fake)


def _require_classes(
    index: pd.DataFrame, rejected: pd.DataFrame, raw: Path, classes: tuple[list[str], list[str]]
) -> None:
    for label, categories in enumerate(classes):
        if (index["label"] == label).any():
            _require_each_category(index, rejected, raw, categories)
            continue
        lost = rejected[rejected["category"].isin(categories)]
        why = f"all {len(lost)} files rejected, {_commonest(lost)}" if len(lost) else "no files"
        raise RejectedError(
            f"no usable {CLASSES[label]} frame in {_place(raw)} ({', '.join(categories)}): {why}; "
            "check the data and data.categories",
            rejected,
        )


def _require_each_category(index: pd.DataFrame, rejected: pd.DataFrame, raw: Path, categories: list[str]) -> None:
    for category in sorted({*categories} - {*index["category"]}):
        lost = rejected[rejected["category"] == category]
        if len(lost) and lost["reason"].isin([UNLISTED, SPLIT_CONFLICT]).all():
            continue  # the official lists say so
        why = f"all {len(lost)} files rejected, {_commonest(lost)}" if len(lost) else "no files"
        raise RejectedError(
            f"no usable frame of {category} in {_place(raw)}: {why}; fix the data or leave it out of data.categories "
            "and data.categories.unseen",
            rejected,
        )


def _require_few_rejected(index: pd.DataFrame, rejected: pd.DataFrame, max_rejected: float) -> None:
    rejected, everything = rejected[~rejected["reason"].isin([UNLISTED, SPLIT_CONFLICT])], rejected
    total = len(index) + len(rejected)
    if len(rejected) / total > max_rejected:
        raise RejectedError(
            f"{len(rejected)} of {total} files rejected ({len(rejected) / total:.2%}), more than index.max_rejected "
            f"({max_rejected:.2%}), {_commonest(rejected)}: fix the data or raise index.max_rejected",
            everything,
        )


def _commonest(rejected: pd.DataFrame) -> str:
    kinds = rejected["reason"].map(_kind)
    counts = Counter(kinds)
    kind = min(counts, key=lambda kind: (-counts[kind], kind))
    path, _, reason = rejected[kinds == kind].iloc[0]
    return f'most often "{kind}" ({counts[kind]}), e.g. {path}: {reason}'


def _kind(reason: str) -> str:
    return DUPLICATE.split()[0] if reason.startswith(DUPLICATE) else reason.partition(":")[0]


def _count(index: pd.DataFrame, rejected: pd.DataFrame, categories: list[str]) -> dict[str, Any]:
    frames = Counter(index["category"])
    videos = Counter(index.drop_duplicates(["dataset", "category", "video_id", "source_id"])["category"])
    reasons = Counter(rejected["reason"].map(_kind))
    return {
        "frames": len(index),
        "videos": videos.total(),
        "rejected": len(rejected),
        "rejected_share": round(len(rejected) / (len(index) + len(rejected)), 6),
        "categories": {category: {"frames": frames[category], "videos": videos[category]} for category in categories},
        "reasons": {kind: reasons[kind] for kind in sorted(reasons)},
    }


def _place(raw: Path) -> Path:
    return raw if has_table(raw) else raw / FRAMES
