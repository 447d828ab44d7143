"""A list of the user's own: a CSV, TSV or Parquet file that names pictures and videos with their labels.

It has the columns ``path`` and ``label`` and, if wanted, ``video``, ``source``, ``group``, ``category``, ``dataset``
and ``split``. Paths are relative to the folder of the list.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from posixpath import commonpath
from typing import NamedTuple

import pandas as pd

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import VIDEO
from deepfake_detection.common.text import one_line
from deepfake_detection.sources.layouts.lists import read_rows
from deepfake_detection.sources.layouts.names import LABELS, SPLITS, Name, Unnamed, all_named, frame_of, numbered
from deepfake_detection.sources.layouts.table import DEFAULT, Found, Layout, Options
from deepfake_detection.sources.layouts.tree import NOT_MEDIA, Tree, joined, kind_of, stem_of

DATASET = "manifest"
LOOKS_FOR = "manifest.csv, manifest.tsv or manifest.parquet"
NEEDED = ("path", "label")
SUFFIXES = (".csv", ".tsv", ".parquet")


class _Line(NamedTuple):
    file: str
    label: int
    category: str
    dataset: str
    split: str
    video: str
    source: str
    group: str


def recognise(folder: Path) -> str:
    """Why a folder has this layout, or ""."""
    if not (path := _list_of(folder)):
        return ""
    return f"{path.name} is a list of files" if folder.is_file() else f"it holds {path.name}"


def read(folder: Path, options: Options = DEFAULT) -> Layout:
    """The files of the list; ``folder`` is the list, or holds it. Without a column, a sensible value is used.

    ``video``: as in the layout ``folders``, so a folder of pictures is one, and a picture in none is one of its own.
    ``group``: what ``video`` and ``source`` join, or else what the paths tell, see ``all_named``. ``category``: real or
    fake. Raises UserError for a list that cannot be read, for a label or a split that is none, and for a file with two
    labels.
    """
    if not (path := _list_of(folder)):
        raise UserError(f"{folder} is no list of files and holds none: layout manifest needs {LOOKS_FOR}")
    tree = Tree(path.parent, options.trusted)
    if folder.is_dir():
        tree.list_at(path.name)  # raises if it is a link out; a list that the user named is the user's choice
    found = Found(tree, DATASET, options)
    rows = list(_rows(path))
    lines: dict[str, _Line] = {}
    for (number, row), (file, reason) in zip(rows, tree.find_all(row["path"] for _, row in rows), strict=True):
        line = _line(path, number, file, row)
        if not reason and not kind_of(file):
            reason = NOT_MEDIA
        if file in lines:
            if lines[file].label != line.label:
                raise UserError(f"{path}, row {number}: {file} has another label in a row before: correct one of them")
            reason = f"listed twice: row {number}"
        if reason:
            found.reject(file or row["path"], line.category, reason)
        elif found.wants(line.category, line.label):
            lines[file] = line
    _add(found, lines.values())
    return found.layout(whole=folder.is_dir())


def _list_of(folder: Path) -> Path | None:
    """The list that a path names or holds, or None."""
    if folder.is_file():
        return folder if folder.suffix.lower() in SUFFIXES else None
    there = [path for suffix in SUFFIXES if (path := folder / f"manifest{suffix}").is_file()]
    return there[0] if there else None


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row with its number: of the line in a text file, and counted from 1 in a Parquet file."""
    if path.suffix.lower() != ".parquet":
        yield from read_rows(path, NEEDED)
        return
    try:
        table = pd.read_parquet(path)
    except ImportError:  # pyarrow is not among the dependencies, because only this needs it
        raise UserError(f"{path}: reading Parquet needs pyarrow: pip install pyarrow, or save it as CSV") from None
    except (OSError, ValueError) as error:  # pyarrow's errors are of these
        raise UserError(f"{path} is not a Parquet file ({one_line(error)}): write it again") from None
    for number, row in enumerate(table.to_dict("records"), 1):
        cells = {str(name).strip().lower(): "" if pd.isna(cell) else str(cell).strip() for name, cell in row.items()}
        if missing := [name for name in NEEDED if name not in cells]:
            raise UserError(f"{path} lacks the column {' and '.join(missing)} (there is {', '.join(cells)}): add it")
        yield number, cells


def _line(path: Path, number: int, file: str, row: dict[str, str]) -> _Line:
    label = LABELS.get(row["label"].lower().removesuffix(".0"))
    if label is None:
        raise UserError(f"{path}, row {number}: label {row['label']!r} is not known: write 0 or real, 1 or fake")
    split = row.get("split", "").lower()
    if split and split not in SPLITS:
        raise UserError(f"{path}, row {number}: split {row['split']!r} is not known: write train, val or test")
    return _Line(
        file,
        label,
        row.get("category") or ("real", "fake")[label],
        row.get("dataset", ""),
        SPLITS.get(split, ""),
        row.get("video", ""),
        row.get("source", ""),
        row.get("group", ""),
    )


def _add(found: Found, lines: Iterable[_Line]) -> None:
    lines = list(lines)
    shown = _folders_of_frames(lines)
    videos: dict[tuple[str, ...], list[_Line]] = defaultdict(list)
    for line in lines:
        said, folder = frame_of(stem_of(line.file)), line.file.rpartition("/")[0]
        video = line.video or (joined(folder, said[0]) if said else folder if line.file in shown else line.file)
        videos[line.dataset, line.category, line.split, line.source, video].append(line)
    alone = sum(not line.video and len(those) == 1 for those in videos.values() for line in those)
    names = all_named(
        {
            key: Unnamed(
                key[-1], key[2], key[-1] if key[-1] != those[0].file else _without_suffix(key[-1]), those[0].label
            )
            for key, those in videos.items()
            if not those[0].video
        }
    )
    for key, those in videos.items():
        *_, source, video = key
        name = names.get(key) or Name(video, source)
        numbers = numbered([line.file for line in those])
        for line in those:
            own = name._replace(group=line.group or name.group)
            frame = VIDEO if kind_of(line.file) == "video" else numbers[line.file]
            found.add(line.file, line.category, line.label, own, frame, line.split, dataset=line.dataset)
    if shown:
        folders = len({file.rpartition("/")[0] for file in shown})
        found.note(
            f"{folders} folders are taken for one video each, the pictures in it for its frames: if they are "
            "not, name the video of each picture in a column video"
        )
    if alone:
        found.note(f"{alone} files have no video in the list: each counts as a video of its own")


def _folders_of_frames(lines: Iterable[_Line]) -> set[str]:
    """The pictures that are frames of the folder that they are in: one below the folder of their class.

    That is the one that all of a category are in, or one that is called by the class, the part or the data set.
    """
    together: dict[tuple[str, ...], set[_Line]] = defaultdict(set)
    folders: dict[str, list[_Line]] = defaultdict(list)
    for line in lines:
        together[line.dataset, line.category, line.split].add(line)
        folders[line.file.rpartition("/")[0]].append(line)
    of_class = {commonpath([line.file.rpartition("/")[0] for line in those]) for those in together.values()}
    return {
        line.file
        for folder, those in folders.items()
        if folder not in of_class and len({line.category for line in those}) == 1
        for line in those
        if not {folder.rpartition("/")[2].lower()} & {*LABELS, *SPLITS, line.category.lower(), line.dataset.lower()}
        if not line.video and kind_of(line.file) == "picture" and not frame_of(stem_of(line.file))
    }


def _without_suffix(file: str) -> str:
    return joined(file.rpartition("/")[0], stem_of(file))
