"""Finds the usable frames. Every file is opened once, and is either indexed or rejected with a reason."""

import os
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.dtypes import StringDType
from numpy.typing import NDArray

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.parallel import map_in_processes
from deepfake_detection.common.text import system_words
from deepfake_detection.index.decode import open_frames
from deepfake_detection.index.lists import CLASSES, NAMELESS, OTHER_FOLDER, OUTSIDE, read_list
from deepfake_detection.index.names import EXAMPLES, STEMS, category_of, stem_parts
from deepfake_detection.index.tables import COLUMNS
from deepfake_detection.media.kinds import IMAGE_SUFFIXES, OTHER_IMAGE_SUFFIXES, is_clutter
from deepfake_detection.sources.layout import FRAMES, LISTS

REJECTED_COLUMNS = ["path", "category", "reason"]
UNLISTED = "on no official list"
SPLIT_CONFLICT = "target and source on different official lists"


Rejection = dict[str, str]


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
    ``CSVs/<Category>.csv`` with columns ``filename,label``. Without the CSV every file counts as listed.

    ``index`` has the columns COLUMNS and one row for each usable frame, sorted by path. Paths are POSIX
    and relative to ``raw``. The label is 0 for ``real`` and 1 for ``fake``. Width and height are in pixels
    of the upright picture. source_id is "" for originals. Two further columns hold what ``decode.Decoded``
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
    _require_folders(raw / FRAMES, list(labels))
    # Originals first, then by path: a "fake" that equals an original was not manipulated, so the original is kept.
    order = sorted(labels.items(), key=lambda item: (item[1], f"{item[0]}/"))
    list_category = partial(_list_category, raw, official)
    listed_files = list(map_in_processes(list_category, order, len(order), workers, "listing files", "category"))
    rejections = [rejection for _, rejected in listed_files for rejection in rejected]
    files = np.concatenate([good for good, _ in listed_files])
    originals = sum(len(good) for (_, label), (good, _) in zip(order, listed_files, strict=True) if label == 0)
    del listed_files
    opened, problems = open_frames(raw / FRAMES, files, originals, faces, workers)
    for row, reason in problems.items():
        rejections.append({"path": f"{FRAMES}/{files[row]}", "category": category_of(files[row]), "reason": reason})
    index = _columns_from_paths(opened.pop("file"), labels).join(opened).astype(COLUMNS)
    return _check_and_count(
        index, pd.DataFrame(rejections, columns=REJECTED_COLUMNS, dtype=str), raw, real, fake, max_rejected
    )


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


def _require_folders(frames: Path, categories: list[str]) -> None:
    try:
        with os.scandir(frames) as entries:
            there = sorted(entry.name for entry in entries if entry.is_dir())
    except OSError as error:
        raise UserError(
            f"{frames} cannot be read ({system_words(error)}): run the download stage, check data.source and "
            "data.local_dir"
        ) from None
    if missing := [category for category in categories if category not in there]:
        raise UserError(
            f"no folder {', '.join(missing)} in {frames} (there is {', '.join(there) or 'none'}): "
            "correct data.categories"
        )


def _list_category(
    raw: Path, official: Mapping[str, str] | None, of: tuple[str, int]
) -> tuple[NDArray[Any], list[Rejection]]:
    """The files of a category that should be opened, sorted and packed, and those that cannot be used.

    ``of`` is the category and its label. A file is identified by its path below FRAMES, which contains all
    that is known about the frame. Nothing else is kept in memory until every file has been opened.
    """
    category, label = of
    present = _list_folder(raw / FRAMES / category, raw.resolve())
    listed = read_list(raw / LISTS / f"{category}.csv", category, label, present)
    good: list[str] = []
    rejections: list[Rejection] = []
    for name in chain(present, (name for name in listed or () if name not in present)):
        file = _escaped(f"{category}/{name}")
        if reason := _check_name(name, label, present, listed, official):
            rejections.append({"path": f"{FRAMES}/{file}", "category": category, "reason": reason})
        else:
            good.append(file)
    return np.array(sorted(good), dtype=StringDType()), rejections


def _list_folder(folder: Path, root: Path) -> dict[str, str]:
    """The names in a folder except hidden and systems' own, each with the reason why it cannot be opened, or ""."""
    if not folder.resolve().is_relative_to(root):
        raise UserError(f"{folder} is a link that leads out of {root.name}: put the folder itself there")
    try:
        with os.scandir(folder) as entries:
            return {entry.name: _reason_not_to_open(entry, root) for entry in entries if not is_clutter(entry.name)}
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({system_words(error)}): correct its permissions") from None


def _reason_not_to_open(entry: os.DirEntry[str], root: Path) -> str:
    try:
        if not entry.is_file():
            return "not a regular file"
    except OSError as error:  # a link to itself
        return system_words(error)
    if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root):
        return "link that leads out of the data"
    return ""


def _check_name(
    name: str,
    label: int,
    present: dict[str, str],
    listed: dict[str, str] | None,
    official: Mapping[str, str] | None,
) -> str:
    """The first reason not to open a file, or "" if there is none."""
    if listed and name not in present and listed[name] in (NAMELESS, OTHER_FOLDER, OUTSIDE):
        return listed[name]
    if Path(name).suffix.lower() not in IMAGE_SUFFIXES | OTHER_IMAGE_SUFFIXES:
        return "not an image file name"
    if name not in present:
        return "listed but missing"
    if listed is not None and name not in listed:
        return "present but unlisted"
    if present[name]:
        return present[name]
    if listed and listed[name]:
        return listed[name]
    match = STEMS[label].fullmatch(Path(name).stem)
    if not match:
        return f"name gives no video id: expected one like {EXAMPLES[label]}"
    video, source = match["video"], match["source"] if label else ""
    if official is not None:
        if video not in official or (source and source not in official):
            return UNLISTED
        if source and official[video] != official[source]:
            return SPLIT_CONFLICT
    return ""


def _columns_from_paths(files: Iterable[str], labels: dict[str, int]) -> pd.DataFrame:
    """The columns of the index that follow from the paths below FRAMES: all except width and height."""
    index = pd.DataFrame({"path": [f"{FRAMES}/{file}" for file in files]})
    # intern keeps each name in memory once, however many frames have it
    index["category"] = [sys.intern(category_of(file)) for file in files]
    index["label"] = index["category"].map(labels)
    index["video_id"] = [sys.intern(stem_parts(file)[0]) for file in files]
    index["source_id"] = [sys.intern("".join(stem_parts(file)[1:-1])) for file in files]
    index["frame"] = [int(stem_parts(file)[-1].removeprefix("f")) for file in files]
    return index


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
            f"no usable {CLASSES[label]} frame in {raw / FRAMES} ({', '.join(categories)}): {why}; "
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
            f"no usable frame of {category} in {raw / FRAMES}: {why}; fix the data or leave it out of data.categories "
            "and evaluate.unseen_categories",
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
    return "duplicate" if reason.startswith("duplicate of ") else reason.partition(":")[0]


def _count(index: pd.DataFrame, rejected: pd.DataFrame, categories: list[str]) -> dict[str, Any]:
    frames = Counter(index["category"])
    videos = Counter(index.drop_duplicates(["category", "video_id", "source_id"])["category"])
    reasons = Counter(rejected["reason"].map(_kind))
    return {
        "frames": len(index),
        "videos": videos.total(),
        "rejected": len(rejected),
        "rejected_share": round(len(rejected) / (len(index) + len(rejected)), 6),
        "categories": {category: {"frames": frames[category], "videos": videos[category]} for category in categories},
        "reasons": {kind: reasons[kind] for kind in sorted(reasons)},
    }


def _escaped(path: str) -> str:
    # a file name may contain line breaks and bytes that are not UTF-8
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in path)
