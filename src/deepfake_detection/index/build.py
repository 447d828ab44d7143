"""Finds the usable frames. Every file is opened once, and is either indexed or rejected with a reason."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import COLUMNS, MISSING_COLUMNS, REJECTED_COLUMNS
from deepfake_detection.index.decode import DUPLICATE, open_frames
from deepfake_detection.index.given import has_table
from deepfake_detection.index.groups import frame_groups
from deepfake_detection.index.listing import (
    SPLIT_CONFLICT,
    UNLISTED,
    Listing,
    known_extra_videos,
    known_videos,
    list_extra,
    list_folders,
    list_table,
    wanted_categories,
)
from deepfake_detection.index.lists import CLASSES
from deepfake_detection.index.tracks import NO_FACE, choose_faces
from deepfake_detection.params.data import AllCategories
from deepfake_detection.pictures.faces import FACE_COLUMNS
from deepfake_detection.sources.layout import FRAMES


class RejectedError(UserError):
    """The data cannot be used for training. ``rejected`` holds every rejected file and the reason."""

    def __init__(self, message: str, rejected: pd.DataFrame) -> None:
        super().__init__(message)
        self.rejected = rejected


class Indexed(NamedTuple):
    """What ``index_data_sets`` finds. Tables are for data/, ``counts`` is ready for JSON.

    ``frames`` has the columns of an index as ``build_index`` returns it, of all data sets. ``faces`` is as
    ``tracks.choose_faces`` returns it, empty if faces are not wanted. ``missing`` are the videos that were expected and
    have no usable frame, with MISSING_COLUMNS.
    """

    frames: pd.DataFrame
    faces: pd.DataFrame
    rejected: pd.DataFrame
    missing: pd.DataFrame
    counts: dict[str, Any]


class _Wanted(NamedTuple):
    """What an index of a data set must hold, and the words for a user whose data do not: where, and which keys."""

    classes: tuple[list[str], ...]  # categories of originals, of fakes; each must have a frame
    max_rejected: float
    name: str  # before a message about all of it
    place: str
    key: str
    where_from: str


_Found = tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]


def index_data_sets(
    raw: Path,
    categories: AllCategories,
    extra: Mapping[str, str],
    max_rejected: float,
    official: Mapping[str, str] | None = None,
    crop: bool = False,
    recordings: Mapping[str, str] | None = None,
) -> Indexed:
    """Opens every file of the main data set and of the further ones, which ``extra`` maps to their use.

    Each data set is a world of its own: only within it can a file be a duplicate, and its share of rejected files is
    limited alone. ``crop``: a frame without a face cannot be used. The columns ``group`` of the main data set are those
    of ``groups.frame_groups`` for ``recordings``. For the other arguments and the errors see ``build_index``.
    """
    real, fake, unseen = wanted_categories(raw, categories)
    found = build_index(raw, real, fake + unseen, max_rejected, official=official, faces=crop)
    parts = [_with_faces(found, _wanted_main(raw, real, fake + unseen, max_rejected)) if crop else (found, None)]
    (index, rejected, _), _ = parts[0]
    index["group"] = frame_groups(index, unseen, recordings)
    labels = dict.fromkeys(real, 0) | dict.fromkeys(fake + unseen, 1)
    known = [known_videos(raw, labels, rejected, official is not None)]
    for dataset, use in extra.items():
        known.append(known_extra_videos(raw, dataset))
        wanted = _wanted_extra(known[-1], dataset, use, max_rejected)
        found = _build(list_extra(raw, dataset), wanted, crop, None)
        parts.append(_with_faces(found, wanted) if crop else (found, None))
    index = pd.concat([index for (index, _, _), _ in parts]).sort_values("path", ignore_index=True)
    faces = [faces for _, faces in parts if faces is not None]
    counts = [counts for (_, _, counts), _ in parts]
    return Indexed(
        index,
        pd.concat(faces).sort_values("path", ignore_index=True) if faces else pd.DataFrame(columns=FACE_COLUMNS),
        pd.concat([rejected for (_, rejected, _), _ in parts]).sort_values(["path", "reason"], ignore_index=True),
        _missing(pd.concat(known), index),
        counts[0] | {"datasets": dict(zip(extra, counts[1:], strict=True))},
    )


def build_index(
    raw: Path,
    real: list[str],
    fake: list[str],
    max_rejected: float,
    workers: int | None = None,
    official: Mapping[str, str] | None = None,
    faces: bool = False,
) -> _Found:
    """Opens every file of the categories under ``raw`` and returns (index, rejected, counts), of the main data set.

    ``raw`` holds ``FF++C32-Frames/<Category>/`` and, optionally for each category, ``CSVs/<Category>.csv`` with columns
    ``filename,label``. Without the CSV every file counts as listed. Or it holds the table of a data set in another
    layout, as ``listing.list_table`` says.

    ``index`` has the columns COLUMNS and one row for each usable frame, sorted by path. Paths are POSIX and relative to
    ``raw``. The label is 0 for ``real`` and 1 for ``fake``. Width and height are in pixels of the upright picture.
    source_id is "" for originals, and group where target and source say all. Two further columns hold what
    ``decode.Decoded`` says of a frame: ``phash`` and, if ``faces`` are wanted, ``faces``. These are None for a fake
    whose original has a face in the same frame. ``rejected`` has the columns REJECTED_COLUMNS and one row for each
    rejected file with the first reason that applies, sorted. ``counts`` is ready for JSON. Nothing depends on
    ``workers`` (processes; default: all granted processors).

    ``official`` maps each video id to its split. With it, a frame is rejected if its target or source has no split, or
    if the two splits differ. This does not mean that the data are bad: such frames appear in the counts, but are left
    out of the share that ``max_rejected`` limits.

    Raises RejectedError when a class has no frame left or more than the share ``max_rejected`` of the files is
    rejected. Raises UserError when a folder or CSV cannot be used, or the face detector is not installed.
    """
    labels = dict.fromkeys(real, 0) | dict.fromkeys(fake, 1)
    if has_table(raw):
        listed = list_table(raw, labels, official is not None)
    else:
        listed = list_folders(raw, labels, official, workers)
    return _build(listed, _wanted_main(raw, real, fake, max_rejected), faces, workers)


def _wanted_main(raw: Path, real: list[str], fake: list[str], max_rejected: float) -> _Wanted:
    place = str(raw if has_table(raw) else raw / FRAMES)
    key = "data.categories and data.categories.unseen"
    return _Wanted((real, fake), max_rejected, "", place, key, "check the data and data.categories")


def _wanted_extra(known: pd.DataFrame, dataset: str, use: str, max_rejected: float) -> _Wanted:
    labels = (-1,) if use == "adapt" else (0, 1)
    there = tuple(sorted(known.loc[known["label"] == label, "category"].unique()) for label in labels)
    return _Wanted(there, max_rejected, f"{dataset}: ", f"the data set {dataset}", "its folder", "check the data")


def _build(listed: Listing, wanted: _Wanted, faces: bool, workers: int | None) -> _Found:
    opened, problems = open_frames(listed, faces, workers)
    unusable = listed.columns([listed.files[row] for row in problems])[["path", "category"]]
    rejected = pd.concat([listed.rejected, unusable.assign(reason=list(problems.values()))])[REJECTED_COLUMNS]
    index = listed.columns(opened.pop("file")).join(opened).astype(COLUMNS)
    return _check_and_count(index, rejected, wanted)


def _with_faces(found: _Found, wanted: _Wanted) -> tuple[_Found, pd.DataFrame]:
    """What was found, with every frame of a video without a face rejected, and the face of each of the others."""
    index, rejected, _ = found
    faces = choose_faces(index)
    kept = index["path"].isin(set(faces["path"]))
    lost = index.loc[~kept, ["path", "category"]].assign(reason=NO_FACE)
    return _check_and_count(index[kept].reset_index(drop=True), pd.concat([rejected, lost]), wanted), faces


def _missing(known: pd.DataFrame, index: pd.DataFrame) -> pd.DataFrame:
    """The known videos of which the index has no frame."""
    key = ["dataset", "category", "video_id", "source_id"]
    there = pd.MultiIndex.from_frame(index[key].drop_duplicates())
    lost = known[~pd.MultiIndex.from_frame(known[key]).isin(there)]
    return lost.sort_values(key, ignore_index=True)[MISSING_COLUMNS]


def _check_and_count(index: pd.DataFrame, rejected: pd.DataFrame, wanted: _Wanted) -> _Found:
    rejected = rejected.sort_values(["path", "reason"], ignore_index=True)
    _require_classes(index, rejected, wanted)
    _require_few_rejected(index, rejected, wanted)
    return index, rejected, _count(index, rejected, [name for names in wanted.classes for name in names])


def _require_classes(index: pd.DataFrame, rejected: pd.DataFrame, wanted: _Wanted) -> None:
    for number, categories in enumerate(wanted.classes):
        if index["category"].isin(categories).any():
            _require_each_category(index, rejected, categories, wanted)
            continue
        lost = rejected[rejected["category"].isin(categories)]
        why = f"all {len(lost)} files rejected, {_commonest(lost)}" if len(lost) else "no files"
        kind = f"{CLASSES[number]} " if len(wanted.classes) == len(CLASSES) else ""
        raise RejectedError(
            f"no usable {kind}frame in {wanted.place} ({', '.join(categories)}): {why}; {wanted.where_from}", rejected
        )


def _require_each_category(index: pd.DataFrame, rejected: pd.DataFrame, categories: list[str], wanted: _Wanted) -> None:
    for category in sorted({*categories} - {*index["category"]}):
        lost = rejected[rejected["category"] == category]
        if len(lost) and lost["reason"].isin([UNLISTED, SPLIT_CONFLICT]).all():
            continue  # the official lists say so
        why = f"all {len(lost)} files rejected, {_commonest(lost)}" if len(lost) else "no files"
        raise RejectedError(
            f"no usable frame of {category} in {wanted.place}: {why}; fix the data or leave it out of {wanted.key}",
            rejected,
        )


def _require_few_rejected(index: pd.DataFrame, rejected: pd.DataFrame, wanted: _Wanted) -> None:
    rejected, everything = rejected[~rejected["reason"].isin([UNLISTED, SPLIT_CONFLICT])], rejected
    total, limit = len(index) + len(rejected), wanted.max_rejected
    if len(rejected) / total > limit:
        raise RejectedError(
            f"{wanted.name}{len(rejected)} of {total} files rejected ({len(rejected) / total:.2%}), more than "
            f"index.max_rejected ({limit:.2%}), {_commonest(rejected)}: fix the data or raise index.max_rejected",
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
