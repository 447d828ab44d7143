"""Finds the usable frames. Every file is opened once, and is either indexed or rejected with a reason."""

import csv
import hashlib
import os
import re
import sys
from collections import Counter
from collections.abc import Collection, Mapping
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.dtypes import StringDType
from numpy.typing import NDArray

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.parallel import map_in_processes
from deepfake_detection.index.tables import COLUMNS
from deepfake_detection.media.images import UnreadableImageError, read_rgb
from deepfake_detection.media.kinds import IMAGE_SUFFIXES, OTHER_IMAGE_SUFFIXES, is_clutter
from deepfake_detection.sources.layout import FRAMES, LISTS

REJECTED_COLUMNS = ["path", "category", "reason"]
UNLISTED = "on no official list"
SPLIT_CONFLICT = "target and source on different official lists"

_CLASSES = ("real", "fake")
_EXAMPLES = ("005_f4.jpg", "005_010_f4.jpg")
_STEMS = (
    re.compile(r"(?P<video>[0-9]+)_f(?P<frame>[0-9]{1,9})"),
    re.compile(r"(?P<video>[0-9]+)_(?P<source>[0-9]+)_f(?P<frame>[0-9]{1,9})"),
)

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
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Opens every file of the categories under ``raw`` and returns (index, rejected, counts).

    ``raw`` holds ``FF++C32-Frames/<Category>/`` and, optionally for each category,
    ``CSVs/<Category>.csv`` with columns ``filename,label``. Without the CSV every file counts as listed.

    ``index`` has the columns COLUMNS and one row for each usable frame, sorted by path. Paths are POSIX
    and relative to ``raw``. The label is 0 for ``real`` and 1 for ``fake``. Width and height are in pixels
    of the upright picture. source_id is "" for originals. ``rejected`` has the columns REJECTED_COLUMNS
    and one row for each rejected file with the first reason that applies, sorted. ``counts`` is ready for
    JSON. Nothing depends on ``workers`` (processes; default: all granted processors).

    ``official`` maps each video id to its split. With it, a frame is rejected if its target or source has
    no split, or if the two splits differ. This does not mean that the data are bad: such frames appear in
    the counts, but are left out of the share that ``max_rejected`` limits.

    Raises RejectedError when a class has no frame left or more than the share ``max_rejected`` of the files
    is rejected. Raises UserError when a folder or CSV cannot be used.
    """
    labels = dict.fromkeys(real, 0) | dict.fromkeys(fake, 1)
    _require_folders(raw / FRAMES, list(labels))
    # Originals first, then by path: a "fake" that equals an original was not manipulated, so the original is kept.
    order = sorted(labels.items(), key=lambda item: (item[1], f"{item[0]}/"))
    list_category = partial(_list_category, raw, official)
    listed_files = list(map_in_processes(list_category, order, len(order), workers, "listing files", "category"))
    rejections = [rejection for _, rejected in listed_files for rejection in rejected]
    files = np.concatenate([good for good, _ in listed_files])
    del listed_files
    files, sizes = _open_all(raw / FRAMES, files, rejections, workers)
    index = _columns_from_paths(files, labels).assign(width=sizes[:, 0], height=sizes[:, 1]).astype(COLUMNS)
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
            f"{frames} cannot be read ({_words(error)}): run the download stage, check data.source and data.local_dir"
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
    listed = _read_list(raw / LISTS / f"{category}.csv", category, label)
    present = _list_folder(raw / FRAMES / category, raw.resolve())
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
        raise UserError(f"{folder} cannot be read ({_words(error)}): correct its permissions") from None


def _reason_not_to_open(entry: os.DirEntry[str], root: Path) -> str:
    try:
        if not entry.is_file():
            return "not a regular file"
    except OSError as error:  # a link to itself
        return _words(error)
    if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root):
        return "link that leads out of the data"
    return ""


def _read_list(path: Path, category: str, label: int) -> dict[str, str] | None:
    """The names in a category's CSV, each with its label if that contradicts it, or "". None without a CSV."""
    # The published CSVs give the category as the label. A CSV that gives the class is just as clear.
    expected = {category.casefold(), _CLASSES[label], str(label)}
    listed: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, restval="")
            columns = rows.fieldnames or []
            if missing := [column for column in ("filename", "label") if column not in columns]:
                there = ", ".join(columns) or "none"
                raise UserError(f"{path} lacks the column {' and '.join(missing)} (there is {there}): add it")
            for row in rows:
                name = row["filename"].strip().removeprefix("./")
                text = " ".join(row["label"].split())
                listed[name] = listed.get(name) or ("" if text.casefold() in expected else text or "empty")
    except FileNotFoundError:
        return None
    except OSError as error:
        problem = f"{path} cannot be read ({_words(error)})"
        raise UserError(f"{problem}: correct that, or remove it to use every file") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8: save it as UTF-8") from None
    except csv.Error as error:
        raise UserError(f"{path} is not a CSV file ({error}): write it again as CSV") from None
    return listed


def _check_name(
    name: str,
    label: int,
    present: dict[str, str],
    listed: dict[str, str] | None,
    official: Mapping[str, str] | None,
) -> str:
    """The first reason not to open a file, or "" if there is none."""
    if name not in present and (name in ("", ".", "..") or "/" in name or "\\" in name):
        return "CSV row points outside the category folder"
    if Path(name).suffix.lower() not in IMAGE_SUFFIXES | OTHER_IMAGE_SUFFIXES:
        return "not an image file name"
    if name not in present:
        return "listed but missing"
    if listed is not None and name not in listed:
        return "present but unlisted"
    if present[name]:
        return present[name]
    if listed and listed[name]:
        return f"label in CSV differs from the category: {listed[name]}"
    match = _STEMS[label].fullmatch(Path(name).stem)
    if not match:
        return f"name gives no video id: expected one like {_EXAMPLES[label]}"
    video, source = match["video"], match["source"] if label else ""
    if official is not None:
        if video not in official or (source and source not in official):
            return UNLISTED
        if source and official[video] != official[source]:
            return SPLIT_CONFLICT
    return ""


def _open_all(
    folder: Path, files: NDArray[Any], rejections: list[Rejection], workers: int | None
) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """The files that can be decoded, sorted, and their widths and heights. Of equal files only the first is kept.

    The others are added to ``rejections``.
    """
    sizes = np.zeros((len(files), 2), dtype=np.int32)
    digests = np.zeros(len(files), dtype="S16")
    problems: dict[int, str] = {}
    results = map_in_processes(partial(_open, folder), files, len(files), workers, "opening frames", "frame")
    for row, found in enumerate(results):
        if isinstance(found, str):
            problems[row] = f"could not be decoded: {found}"
        else:
            digests[row], *sizes[row] = found
    opened = np.flatnonzero(digests != b"")
    _, first, equal = np.unique(digests[opened], return_index=True, return_inverse=True)
    first_copies = opened[first][equal]  # for each file, the first file with the same bytes
    is_duplicate = opened != first_copies
    for row, twin in zip(opened[is_duplicate], first_copies[is_duplicate], strict=True):
        problems[row] = f"duplicate of {FRAMES}/{files[twin]}"
    for row, reason in problems.items():
        rejections.append({"path": f"{FRAMES}/{files[row]}", "category": _category(files[row]), "reason": reason})
    usable = np.zeros(len(files), dtype=bool)
    usable[opened[~is_duplicate]] = True
    order = np.argsort(files)
    order = order[usable[order]]
    return files[order], sizes[order]


def _columns_from_paths(files: NDArray[Any], labels: dict[str, int]) -> pd.DataFrame:
    """The columns of the index that follow from the paths below FRAMES: all except width and height."""
    index = pd.DataFrame({"path": [f"{FRAMES}/{file}" for file in files]})
    # intern keeps each name in memory once, however many frames have it
    index["category"] = [sys.intern(_category(file)) for file in files]
    index["label"] = index["category"].map(labels)
    index["video_id"] = [sys.intern(_stem_parts(file)[0]) for file in files]
    index["source_id"] = [sys.intern("".join(_stem_parts(file)[1:-1])) for file in files]
    index["frame"] = [int(_stem_parts(file)[-1].removeprefix("f")) for file in files]
    return index


def _stem_parts(file: str) -> list[str]:
    return PurePosixPath(file).stem.split("_")  # as in _STEMS: target, source (only fakes), frame


def _category(path: str) -> str:
    return PurePosixPath(path).parent.name


def _open(folder: Path, file: str) -> tuple[bytes, int, int] | str:
    """Half the SHA-256 of a file's bytes, its width and its height in pixels, or a string that says what is wrong."""
    try:
        height, width, _ = read_rgb(folder / file).shape
    except UnreadableImageError as error:
        return str(error)
    return hashlib.sha256((folder / file).read_bytes()).digest()[:16], width, height


def _require_classes(
    index: pd.DataFrame, rejected: pd.DataFrame, raw: Path, classes: tuple[list[str], list[str]]
) -> None:
    for label, categories in enumerate(classes):
        if (index["label"] == label).any():
            continue
        lost = rejected[rejected["category"].isin(categories)]
        why = f"all {len(lost)} files rejected, {_commonest(lost)}" if len(lost) else "no files"
        raise RejectedError(
            f"no usable {_CLASSES[label]} frame in {raw / FRAMES} ({', '.join(categories)}): {why}; "
            "check the data and data.categories",
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


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
