"""Lists the files that should be opened, and what is known of each without opening it.

Drawn frames and those of the Kaggle data set lie in a folder for each category, and their names say the rest. Of other
data sets the download stage has written a table.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.dtypes import StringDType
from numpy.typing import NDArray

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.parallel import map_in_processes
from deepfake_detection.common.tables import COLUMNS, MISSING_COLUMNS, REJECTED_COLUMNS
from deepfake_detection.common.text import system_words
from deepfake_detection.index.given import (
    has_table,
    read_extra,
    read_extra_left_out,
    read_frames,
    read_left_out,
)
from deepfake_detection.index.lists import NAMELESS, OTHER_FOLDER, OUTSIDE, read_list
from deepfake_detection.index.names import EXAMPLES, STEMS, category_of, stem_parts, target_and_frame
from deepfake_detection.params.data import AllCategories
from deepfake_detection.pictures.kinds import IMAGE_SUFFIXES, OTHER_IMAGE_SUFFIXES, is_clutter
from deepfake_detection.sources.layout import DATASET, DRAWN, FRAMES, LISTS, VIDEO

UNLISTED = "on no official list"
SPLIT_CONFLICT = "target and source on different official lists"

Rejection = dict[str, str]


class Listing(NamedTuple):
    """The files to open, as paths below ``folder``, of which the first ``originals`` are originals, each part sorted.

    ``below`` is put before a path to make it relative to data/raw. ``columns`` gives those of the index that are known
    of some of the files, all except width and height; ``group`` is "" where target and source say all. ``shot`` gives
    the video that a file shows, changed or not, and its number there. ``rejected`` has REJECTED_COLUMNS.
    """

    folder: Path
    below: str
    files: NDArray[Any]
    originals: int
    columns: Callable[[Iterable[str]], pd.DataFrame]
    shot: Callable[[str], tuple[str, int]]
    rejected: pd.DataFrame


def wanted_categories(raw: Path, categories: AllCategories) -> tuple[list[str], list[str], list[str]]:
    """The categories of originals, of fakes and of fakes that are only evaluated, without those that may be missing.

    A data set in the Kaggle layout must hold all that is trained on. Of another one the download stage has seen to it.
    """
    if has_table(raw):
        there = {*read_frames(raw)["category"], *read_left_out(raw)["category"]}
        fake = [name for name in categories.fake if name in there]
    else:
        there = {entry.name for entry in (raw / FRAMES).glob("*") if entry.is_dir()}
        fake = categories.fake
    return categories.real, fake, [name for name in categories.unseen if name in there]


def list_table(raw: Path, labels: dict[str, int], official: bool) -> Listing:
    """The frames that the download stage's table names, of the categories in ``labels``.

    With ``official``, those that the data set itself puts in no part are rejected.
    """
    table = read_frames(raw)
    table = table[table["category"].isin(list(labels))]
    table["label"] = table["category"].map(labels)
    rejected = read_left_out(raw)
    if official:
        lost = table.loc[(table["split"] == "") & (table["frame"] != VIDEO), ["path", "category"]]
        rejected = pd.concat([rejected, lost.assign(reason=UNLISTED)])
        table = table[table["split"] != ""]
    if table["dataset"].nunique() > 1:  # two data sets may call their groups the same
        table["group"] = table["dataset"] + "/" + table["group"]
    return _listing_of(raw, table, rejected)


def list_extra(raw: Path, dataset: str) -> Listing:
    """The frames of one of the further data sets. Its groups are called by its name too."""
    table = read_extra(raw, dataset)
    table["group"] = f"{dataset}/" + table["group"]
    return _listing_of(raw, table, read_extra_left_out(raw, dataset))


def _listing_of(raw: Path, table: pd.DataFrame, rejected: pd.DataFrame) -> Listing:
    table = table[table["frame"] != VIDEO].sort_values(["label", "path"]).set_index("path")
    known = table[[name for name in COLUMNS if name in table]]
    shots = dict(
        zip(table.index, zip(table["dataset"] + "/" + table["video_id"], table["frame"], strict=True), strict=True)
    )

    def columns(files: Iterable[str]) -> pd.DataFrame:
        return known.loc[list(files)].reset_index()

    files = np.array(table.index.tolist(), dtype=StringDType())
    return Listing(raw, "", files, int((table["label"] < 1).sum()), columns, shots.__getitem__, rejected)


def known_videos(raw: Path, labels: Mapping[str, int], rejected: pd.DataFrame, official: bool) -> pd.DataFrame:
    """The videos of the main data set of which a frame was expected, with MISSING_COLUMNS.

    ``rejected`` are the files that the index leaves out: where names say all, only these are looked at. With
    ``official``, what the lists leave out was not expected.
    """
    if has_table(raw):
        table = read_frames(raw)
        table = table[table["category"].isin(list(labels)) & ((table["split"] != "") | (not official))]
        return table.assign(label=table["category"].map(labels))[MISSING_COLUMNS].drop_duplicates()
    expected = rejected[rejected["category"].isin(list(labels)) & ~rejected["reason"].isin([UNLISTED, SPLIT_CONFLICT])]
    named = [
        (_dataset(raw), category, labels[category], match["video"], match["source"] if labels[category] else "")
        for path, category in expected[["path", "category"]].itertuples(index=False)
        if (match := STEMS[labels[category]].fullmatch(Path(path).stem))
    ]
    return pd.DataFrame(named, columns=MISSING_COLUMNS).drop_duplicates()


def known_extra_videos(raw: Path, dataset: str) -> pd.DataFrame:
    """The videos of one of the further data sets, with MISSING_COLUMNS."""
    return read_extra(raw, dataset)[MISSING_COLUMNS].drop_duplicates()


def list_folders(raw: Path, labels: dict[str, int], official: Mapping[str, str] | None, workers: int | None) -> Listing:
    """The files of the folders of the categories in ``labels``; ``official`` gives the split of each video."""
    _require_folders(raw / FRAMES, list(labels))
    # Originals first, then by path: a "fake" that equals an original was not manipulated, so the original is kept.
    order = sorted(labels.items(), key=lambda item: (item[1], f"{item[0]}/"))
    list_category = partial(_list_category, raw, official)
    listed = list(map_in_processes(list_category, order, len(order), workers, "listing files", "category"))
    originals = sum(len(good) for (_, label), (good, _) in zip(order, listed, strict=True) if label == 0)
    return Listing(
        raw / FRAMES,
        f"{FRAMES}/",
        np.concatenate([good for good, _ in listed]),
        originals,
        partial(_columns_from_paths, labels, _dataset(raw)),
        target_and_frame,
        pd.DataFrame([each for _, those in listed for each in those], columns=REJECTED_COLUMNS, dtype=str),
    )


def _dataset(raw: Path) -> str:
    try:
        source = json.loads((raw / "source.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # only the report needs it
        source = {}
    return DRAWN if isinstance(source, dict) and source.get("source") == "embedded" else DATASET


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


def _columns_from_paths(labels: dict[str, int], dataset: str, files: Iterable[str]) -> pd.DataFrame:
    """The columns of the index that follow from the paths below FRAMES: all except width and height."""
    index = pd.DataFrame({"path": [f"{FRAMES}/{file}" for file in files]}, dtype=str)
    index["dataset"] = dataset
    # intern keeps each name in memory once, however many frames have it
    index["category"] = [sys.intern(category_of(file)) for file in files]
    index["label"] = index["category"].map(labels)
    index["video_id"] = [sys.intern(stem_parts(file)[0]) for file in files]
    index["source_id"] = [sys.intern("".join(stem_parts(file)[1:-1])) for file in files]
    index["group"] = ""
    index["frame"] = [int(stem_parts(file)[-1].removeprefix("f")) for file in files]
    return index


def _escaped(path: str) -> str:
    # a file name may contain line breaks and bytes that are not UTF-8
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in path)
