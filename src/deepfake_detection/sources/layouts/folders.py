"""Folders called ``real`` and ``fake``, or by another word for these, below ``train``, ``val`` and ``test`` or not.

They hold pictures and videos. A folder in them is a video, and the pictures in it are its frames.
"""

from collections import defaultdict
from pathlib import Path

from deepfake_detection.sources.layouts.names import LABELS, SPLITS, Name, all_known, frame_of, numbered
from deepfake_detection.sources.layouts.table import DEFAULT, VIDEO, Found, Layout, Options
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

    Names of videos as in FaceForensics++, DeepFakeDetection, Celeb-DF and DFDC's preview say what belongs together.
    Any other video is a group of its own.
    """
    tree = Tree(folder, options.trusted)
    found = Found(tree, DATASET, options)
    classes = _classes(tree)
    for below, (category, label, split) in classes.items():
        if found.wants(category, label):
            _take(tree, below, category, label, split, found)
    for below in ["", *{above for path in classes if (above := path.rpartition("/")[0])}]:
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


def _take(tree: Tree, below: str, category: str, label: int, split: str, found: Found) -> None:
    videos: dict[str, list[str]] = defaultdict(list)  # by the path of the video below the folder of its class
    films = []
    for path, reason in tree.walk(below):
        inside = path[len(below) + 1 :]
        kind = kind_of(path)
        if reason or not kind:
            found.reject(path, category, reason or NOT_MEDIA)
        elif kind == "video":
            films.append((inside.rpartition(".")[0], path))
        elif "/" in inside:
            videos[inside.rpartition("/")[0]].append(path)
        else:
            stem = stem_of(path)
            videos[(frame_of(stem) or (stem, 0))[0]].append(path)
    taken = [film for film in films if film[0] not in videos]
    if len(taken) < len(films):
        found.note(f"{below}: {len(films) - len(taken)} videos are there as frames too: the frames are taken")
    names = _names([*videos, *(video for video, _ in taken)], category, label, split)
    for video, paths in videos.items():
        for file, frame in numbered(paths).items():
            found.add(file, category, label, names[video], frame, split)
    for video, path in taken:
        found.add(path, category, label, names[video], VIDEO, split)


def _names(videos: list[str], category: str, label: int, split: str) -> dict[str, Name]:
    """What the name of each video says. If it says nothing, or two videos have it, a video is a group of its own."""
    said = all_known({("", video): (video.rpartition("/")[2], label) for video in videos})
    return {
        video: name or Name(joined(split, video), group=joined(split, f"{category}/{video}"))
        for (_, video), name in said.items()
    }
