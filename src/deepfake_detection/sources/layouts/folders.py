"""Folders called ``real`` and ``fake``, or by another word for these, below ``train``, ``val`` and ``test`` or not.

They hold pictures and videos. A folder in them is a video, and the pictures in it are its frames.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from deepfake_detection.common.tables import VIDEO
from deepfake_detection.sources.layouts.names import LABELS, SPLITS, Unnamed, all_named, frame_of, numbered
from deepfake_detection.sources.layouts.table import DEFAULT, Found, Layout, Options
from deepfake_detection.sources.layouts.tree import NOT_MEDIA, Tree, joined, kind_of, stem_of

DATASET = "folders"
LOOKS_FOR = "real/ and fake/ (or original, 0, authentic and deepfake, 1, manipulated, generated), also below train/"

_CATEGORIES = {"0": "real", "1": "fake"}  # a digit is no name


def recognise(folder: Path) -> str:
    """Why a folder has this layout, or ""."""
    there = _classes(Tree(folder, trusted=True))
    return f"it holds {' and '.join(f'{below}/' for below in list(there)[:4])}" if there else ""


def read(folder: Path, options: Options = DEFAULT) -> Layout:
    """The pictures and videos, with a category for each name of a folder.

    Names of videos as in FaceForensics++, DeepFakeDetection, Celeb-DF and DFDC's preview say what belongs together,
    otherwise equal names of an original and a fake do, see ``all_named``.
    """
    tree = Tree(folder, options.trusted)
    found = Found(tree, DATASET, options)
    classes = _classes(tree)
    together: dict[tuple[str, str], list[str]] = defaultdict(
        list
    )  # Real/ and real/ are one class, and so are 0/ and real/
    for below, (category, label, split) in classes.items():
        if found.wants(category, label):
            together[category, split].append(below)
    videos = {
        (category, split, video): paths
        for (category, split), folders in together.items()
        for video, paths in _videos(tree, folders, category, found).items()
    }
    labels = {category: label for category, label, _ in classes.values()}
    names = all_named(
        {
            (category, split, video): Unnamed(joined(split, video), split, video, labels[category])
            for category, split, video in videos
        }
    )
    for (category, split, video), paths in videos.items():
        numbers = numbered(paths)
        for file in paths:
            frame = VIDEO if kind_of(file) == "video" else numbers[file]
            found.add(file, category, labels[category], names[category, split, video], frame, split)
    for below in sorted({"", *(path.rpartition("/")[0] for path in classes)}):
        for name in tree.folders(below):
            path = joined(below, name)
            if path not in classes and not any(other.startswith(f"{path}/") for other in classes):
                found.note(f"{path}/ in {folder} is called neither real nor fake: left out")
        if loose := [name for name in tree.files(below) if kind_of(name)]:
            where = folder / below
            found.note(f"{len(loose)} files directly in {where}, e.g. {loose[0]}, are neither real nor fake: left out")
    return found.layout()


def _classes(tree: Tree) -> dict[str, tuple[str, int, str]]:
    """The folders of each class, with category, label and part."""
    tops = {"": ""} | {name: split for name in tree.folders() if (split := SPLITS.get(name.lower()))}
    classes = {
        joined(top, name): (_CATEGORIES.get(name.lower(), name.lower()), label, split)
        for top, split in tops.items()
        for name in tree.folders(top)
        if (label := LABELS.get(name.lower())) is not None
    }
    for path, (category, label, split) in [*classes.items()]:
        inner = {name: SPLITS.get(name.lower(), "") for name in tree.folders(path)}
        if inner and not split and not tree.files(path) and all(inner.values()):  # real/train in place of train/real
            del classes[path]
            classes |= {joined(path, name): (category, label, part) for name, part in inner.items()}
    return classes


def _videos(tree: Tree, folders: list[str], category: str, found: Found) -> dict[str, list[str]]:
    """The files of each video of a class: the pictures in folders of its name, otherwise the video itself.

    A picture in no folder is of the video that its name says, or is one of its own.
    """
    videos: dict[str, list[str]] = defaultdict(list)
    films, with_frames = [], set()
    for path, inside, reason in _files(tree, folders):
        folder, kind = inside.rpartition("/")[0], kind_of(path)
        if reason or not kind:
            found.reject(path, category, reason or NOT_MEDIA)
        elif kind == "video":
            films.append((inside.rpartition(".")[0], path))
        elif folder:
            with_frames.add(folder)
            videos[folder].append(path)
        else:
            stem = stem_of(path)
            videos[(frame_of(stem) or (stem, 0))[0]].append(path)
    twice = sorted(path for video, path in films if video in with_frames)
    if twice:
        found.note(f"{folders[0]}: {len(twice)} videos are there as frames too, e.g. {twice[0]}: the frames are taken")
    for video, path in films:
        if video not in with_frames:
            videos[video].append(path)
    return videos


def _files(tree: Tree, folders: list[str]) -> Iterator[tuple[str, str, str]]:
    """The files below some folders: the path, the path from that folder on, and the reason not to use it."""
    for below in folders:
        for path, reason in tree.walk(below):
            yield path, path[len(below) + 1 :], reason
