"""Finds the frames to learn from: every file is opened once and indexed, or rejected with a reason."""

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

from deepfake_detection.cpus import map_in_processes
from deepfake_detection.errors import UserError
from deepfake_detection.images import UnreadableImageError, read_rgb
from deepfake_detection.layout import FRAMES, LISTS
from deepfake_detection.tables import COLUMNS

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
REJECTED_COLUMNS = ["path", "category", "reason"]
UNLISTED = "on no official list"
DIVIDED = "target and source on different official lists"

_CLASSES = ("real", "fake")
_EXAMPLES = ("005_f4.jpg", "005_010_f4.jpg")
_STEMS = (
    re.compile(r"(?P<video>[0-9]+)_f(?P<frame>[0-9]{1,9})"),
    re.compile(r"(?P<video>[0-9]+)_(?P<source>[0-9]+)_f(?P<frame>[0-9]{1,9})"),
)

Rejection = dict[str, str]


class RejectedError(UserError):
    """The data are not fit to learn from; ``rejected`` holds every rejected file and why."""

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

    ``raw`` holds ``FF++C32-Frames/<Category>/`` and, for each category or not,
    ``CSVs/<Category>.csv`` with columns ``filename,label``; without it every file counts as listed.
    ``index`` has the columns COLUMNS, one row a usable frame, sorted by path; paths are POSIX and
    relative to ``raw``; label is 0 for ``real`` and 1 for ``fake``; width and height are pixels of
    the upright picture; source_id is "" for originals. ``rejected`` has the columns
    REJECTED_COLUMNS, one row a file with the first reason that applies, sorted. ``counts`` is
    ready for JSON. None of it depends on ``workers`` (processes; default: all processors granted).

    With ``official``, a side for each video id, a frame is rejected whose target or source has no
    side or whose two sides differ. That says nothing of the data's soundness: such frames stand in
    the counts, but neither they nor their number matter to ``max_rejected``.

    Raises RejectedError when a class is left without a frame or more than the share
    ``max_rejected`` of the files is rejected, UserError when a folder or CSV cannot be used.
    """
    labels = dict.fromkeys(real, 0) | dict.fromkeys(fake, 1)
    _require_folders(raw / FRAMES, list(labels))
    # originals first: of two equal frames the one called a fake was not manipulated; then by path
    order = sorted(labels.items(), key=lambda item: (item[1], f"{item[0]}/"))
    screen = partial(_screen_category, raw, official)
    screened = list(map_in_processes(screen, order, len(order), workers, "listing files", "category"))
    rejections = [rejection for _, rejected in screened for rejection in rejected]
    files = np.concatenate([good for good, _ in screened])
    del screened
    files, sizes = _open_all(raw / FRAMES, files, rejections, workers)
    index = _describe(files, labels).assign(width=sizes[:, 0], height=sizes[:, 1]).astype(COLUMNS)
    return _judge(index, pd.DataFrame(rejections, columns=REJECTED_COLUMNS, dtype=str), raw, real, fake, max_rejected)


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
    """What ``build_index`` returned, with every frame that is not one of ``paths`` rejected for ``reason``.

    Returns and raises as ``build_index`` does.
    """
    kept = index["path"].isin(paths)
    lost = index.loc[~kept, ["path", "category"]].assign(reason=reason)
    return _judge(index[kept].reset_index(drop=True), pd.concat([rejected, lost]), raw, real, fake, max_rejected)


def _judge(
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


def _screen_category(
    raw: Path, official: Mapping[str, str] | None, of: tuple[str, int]
) -> tuple[NDArray[Any], list[Rejection]]:
    """The files of a category to open, sorted and packed, and those that cannot be used.

    ``of`` is the category and its label. A file is named by its path below FRAMES, which says all that
    is known of a frame: nothing else of it is held until every file has been opened.
    """
    category, label = of
    listed = _read_list(raw / LISTS / f"{category}.csv", category, label)
    present = _list_folder(raw / FRAMES / category, raw.resolve())
    good: list[str] = []
    rejections: list[Rejection] = []
    for name in chain(present, (name for name in listed or () if name not in present)):
        file = _printable(f"{category}/{name}")
        if reason := _screen(name, label, present, listed, official):
            rejections.append({"path": f"{FRAMES}/{file}", "category": category, "reason": reason})
        else:
            good.append(file)
    return np.array(sorted(good), dtype=StringDType()), rejections


def _list_folder(folder: Path, root: Path) -> dict[str, str]:
    """The names in a folder, hidden ones left out, each with why it cannot be opened or ""."""
    if not folder.resolve().is_relative_to(root):
        raise UserError(f"{folder} is a link that leads out of {root.name}: put the folder itself there")
    try:
        with os.scandir(folder) as entries:
            return {entry.name: _closed(entry, root) for entry in entries if not entry.name.startswith(".")}
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({_words(error)}): correct its permissions") from None


def _closed(entry: os.DirEntry[str], root: Path) -> str:
    try:
        if not entry.is_file():
            return "not a regular file"
    except OSError as error:  # a link to itself
        return _words(error)
    if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root):
        return "link that leads out of the data"
    return ""


def _read_list(path: Path, category: str, label: int) -> dict[str, str] | None:
    """The names that a category's CSV lists, each with the label that contradicts it or ""; None without a CSV."""
    # The published CSVs name the category; lists that name the class are as clear.
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
        raise UserError(f"{path} is not a CSV file ({error}): write it anew") from None
    return listed


def _screen(
    name: str,
    label: int,
    present: dict[str, str],
    listed: dict[str, str] | None,
    official: Mapping[str, str] | None,
) -> str:
    """The first reason not to open a file, or ""."""
    if name not in present and (name in ("", ".", "..") or "/" in name or "\\" in name):
        return "CSV row points outside the category folder"
    if Path(name).suffix.lower() not in SUFFIXES:
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
            return DIVIDED
    return ""


def _open_all(
    folder: Path, files: NDArray[Any], rejections: list[Rejection], workers: int | None
) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """The files that can be decoded, the first of equal ones only, sorted, and their widths and heights.

    The others join ``rejections``.
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
    twins = opened[first][equal]  # for each file the first with its bytes
    again = opened != twins
    for row, twin in zip(opened[again], twins[again], strict=True):
        problems[row] = f"duplicate of {FRAMES}/{files[twin]}"
    for row, reason in problems.items():
        rejections.append({"path": f"{FRAMES}/{files[row]}", "category": _category(files[row]), "reason": reason})
    usable = np.zeros(len(files), dtype=bool)
    usable[opened[~again]] = True
    order = np.argsort(files)
    order = order[usable[order]]
    return files[order], sizes[order]


def _describe(files: NDArray[Any], labels: dict[str, int]) -> pd.DataFrame:
    """What the paths below FRAMES say of frames: the columns of the index but for width and height."""
    index = pd.DataFrame({"path": [f"{FRAMES}/{file}" for file in files]})
    # each name is held once, however many frames have it
    index["category"] = [sys.intern(_category(file)) for file in files]
    index["label"] = index["category"].map(labels)
    index["video_id"] = [sys.intern(_parts(file)[0]) for file in files]
    index["source_id"] = [sys.intern("".join(_parts(file)[1:-1])) for file in files]
    index["frame"] = [int(_parts(file)[-1].removeprefix("f")) for file in files]
    return index


def _parts(file: str) -> list[str]:
    return PurePosixPath(file).stem.split("_")  # as _STEMS has it: target, source of a fake, frame


def _category(path: str) -> str:
    return PurePosixPath(path).parent.name


def _open(folder: Path, file: str) -> tuple[bytes, int, int] | str:
    """Half the SHA-256 of a file's bytes, and its width and height in pixels; or what is wrong with it."""
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
    rejected, everything = rejected[~rejected["reason"].isin([UNLISTED, DIVIDED])], rejected
    total = len(index) + len(rejected)
    if len(rejected) / total > max_rejected:
        raise RejectedError(
            f"{len(rejected)} of {total} files rejected ({len(rejected) / total:.2%}), more than index.max_rejected "
            f"({max_rejected:.2%}), {_commonest(rejected)}: mend the data or raise index.max_rejected",
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


def _printable(path: str) -> str:
    # a file name may hold line ends and bytes that are not UTF-8
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in path)


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
