"""The Deepfake Detection Challenge: ``dfdc_train_part_<n>`` with ``metadata.json``; a test part with ``labels.csv``.

``metadata.json`` maps the name of a video to its ``label``, its ``split`` and, if it is a fake, its ``original``.
``labels.csv`` has the columns ``filename,label``, where 1 means fake, and does not say what a fake was made from.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from deepfake_detection.common.errors import UserError
from deepfake_detection.sources.layouts.clips import clips
from deepfake_detection.sources.layouts.lists import header, read_object, read_rows, starts_with
from deepfake_detection.sources.layouts.names import LABELS, SPLITS, Name
from deepfake_detection.sources.layouts.table import DEFAULT, Found, Layout, Options
from deepfake_detection.sources.layouts.tree import MISSING, Tree, cleaned, joined, kind_of, meant, stem_of

DATASET = "DFDC"
LOOKS_FOR = "dfdc_train_part_<n>/, or metadata.json or labels.csv that describe videos"
METADATA, LIST = "metadata.json", "labels.csv"
CATEGORIES = ("REAL", "FAKE")

_PART = re.compile(r"dfdc_train_part_[0-9]+")
_HOLDERS = ("train", "train_sample_videos", "validation", "test", "test_videos")
_DEPTH = 3  # some copies have train/dfdc_train_part_00/dfdc_train_part_0
_DESCRIBES_VIDEOS = re.compile(r'\s*\{\s*"[^"]+\.mp4"\s*:\s*\{')


class _Described(NamedTuple):
    """What a list says of a video."""

    file: str
    label: int
    name: Name
    split: str


def recognise(folder: Path) -> str:
    """Why a folder has this layout, or ""."""
    for below, source in _places(Tree(folder, trusted=True)):
        if source or _PART.fullmatch(below.rpartition("/")[2]):
            return f"{joined(below, source)} describes videos" if source else f"it holds {below}/"
    return ""


def read(folder: Path, options: Options = DEFAULT) -> Layout:
    """The videos, or their frames. An original and its fakes are a group, and a split had better divide parts.

    Raises UserError for a part without metadata, and for a list that does not say what a video is.
    """
    tree = Tree(folder, options.trusted)
    found = Found(tree, DATASET, options)
    for below, source in _places(tree):
        if source == METADATA:
            _take(tree, below, source, _read_metadata(folder / below / METADATA), found)
        elif source == LIST:
            _take(tree, below, source, _read_labels(folder / below / LIST), found)
        elif _PART.fullmatch(below.rpartition("/")[2]):
            raise UserError(f"{folder / below / METADATA} is missing: unpack that part again, or take its folder away")
        elif any(kind_of(name) == "video" for name in tree.files(below)):
            found.note(f"{below or folder} has videos without {METADATA} or {LIST}: left out")
    found.note("DFDC: in some fakes only the sound is fake, which no picture shows")
    return found.layout()


def _places(tree: Tree, below: str = "", depth: int = _DEPTH) -> Iterator[tuple[str, str]]:
    """Yields the folders that may hold videos, each with the name of the list that describes them, or ""."""
    name = below.rpartition("/")[2]
    files = [each for each in (LIST, METADATA) if tree.list_at(joined(below, each))]
    inner = [each for each in tree.folders(below) if _PART.fullmatch(each) or (not below and each in _HOLDERS)]
    if LIST in files and {"filename", "label"} <= {*header(tree.root / below / LIST)}:
        yield below, LIST if _lists_videos(tree.root / below / LIST) else ""
    elif METADATA in files and (_PART.fullmatch(name) or starts_with(tree.root / below / METADATA, _DESCRIBES_VIDEOS)):
        yield below, METADATA
    elif not inner or not _PART.fullmatch(name):
        yield below, ""
    for each in inner if depth else ():
        yield from _places(tree, joined(below, each), depth - 1)


def _lists_videos(path: Path) -> bool:
    return any(kind_of(row["filename"]) == "video" for _, row in read_rows(path, ("filename",)))


def _read_metadata(path: Path) -> list[_Described]:
    described = []
    for file, entry in read_object(path).items():
        label = str(entry.get("label")) if isinstance(entry, dict) else ""
        if label.upper() not in CATEGORIES:
            raise UserError(f"{path}: the label of {file} is {label!r}, not REAL or FAKE: get it again")
        stem, original = stem_of(file), stem_of(str(entry.get("original") or ""))
        name = Name(original or stem, stem) if label.upper() == "FAKE" else Name(stem)
        split = SPLITS.get(str(entry.get("split")).lower(), "train")
        described.append(_Described(file, CATEGORIES.index(label.upper()), name, split))
    return described


def _read_labels(path: Path) -> list[_Described]:
    split = SPLITS.get(path.parent.name.lower(), "test")
    described = []
    for line, row in read_rows(path, ("filename", "label")):
        if (label := LABELS.get(row["label"].lower())) is None:
            raise UserError(f"{path}, line {line}: the label is {row['label']!r}, not 0 or 1: get the list again")
        described.append(_Described(row["filename"], label, Name(stem_of(row["filename"])), split))
    return described


def _take(tree: Tree, below: str, source: str, described: list[_Described], found: Found) -> None:
    """Takes the videos that a list describes. Rejects those that it does not, and what it names that is missing."""
    wanted = [found.wants(category, label) for label, category in enumerate(CATEGORIES)]
    waiting: dict[str, _Described] = {}
    for each in described:
        path, reason = cleaned(each.file)
        if reason:
            found.reject(path, CATEGORIES[each.label], reason)
        elif waiting.setdefault(stem_of(path), each).label != each.label:
            raise UserError(f"{tree.root / below / source}: {path} has another label before: correct one of them")
    unit = below if source == METADATA else ""  # one part alone cannot be divided by parts
    there = list(clips(tree, below, "", found, lists=(METADATA, LIST)))
    listed = {name: stem for stem, name in meant(waiting, (clip.name for clip in there)).items()}
    for clip in there:
        this = waiting.pop(listed.get(clip.name, ""), None)
        for file, frame in clip.frames:
            if this is None:
                found.reject(file, "", f"not in {source}")
            elif wanted[this.label]:
                found.add(file, CATEGORIES[this.label], this.label, this.name, frame, this.split, unit)
    for each in waiting.values():
        found.reject(joined(below, each.file), CATEGORIES[each.label], MISSING)
    if waiting:
        example = next(iter(waiting.values())).file
        found.note(f"{joined(below, source)} names {len(waiting)} videos that are not there, e.g. {example}")
