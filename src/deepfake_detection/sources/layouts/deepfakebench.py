"""DeepfakeBench's arrangement: ``<data set>.json``, which names the frames of each video, and the frames below a root.

``{data set: {label: {split: {[compression:] {video: {"label": label, "frames": [path, ...]}}}}}}``. Its own paths are
relative to the root, and have backslashes if Windows wrote them. The JSON may lie in the root, in ``dataset_json`` or
in ``preprocessing/dataset_json``, and the data sets in the root, in ``rgb`` or in ``datasets/rgb``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deepfake_detection.common.errors import UserError
from deepfake_detection.sources.layouts.faceforensics import COMPRESSIONS
from deepfake_detection.sources.layouts.lists import read_object, starts_with
from deepfake_detection.sources.layouts.names import SPLITS, Name, known, numbered
from deepfake_detection.sources.layouts.table import DEFAULT, Found, Layout, Options
from deepfake_detection.sources.layouts.tree import MISSING, NOT_MEDIA, Tree, cleaned, joined, kind_of

LOOKS_FOR = "<data set>.json that names frames by label, split and video"

_JSON_FOLDERS = ("", "dataset_json", "preprocessing/dataset_json")
_FRAME_FOLDERS = ("", "rgb", "datasets/rgb", "datasets")
_STRIPPED = 4  # folders that may stand before a path in the JSON, at most
_STRUCTURE = re.compile(r'\s*\{\s*"[^"]+"\s*:\s*\{\s*"[^"]+"\s*:\s*\{\s*"(?:train|val|test)"\s*:\s*\{')
_WORDS = re.compile(r"[A-Za-z0-9]+")
_FAKE = {"fake", "fakea", "fakeb", "df", "f2f", "fs", "nt", "fh", "sh"}
# A video that several parts hold: what is tested on must not be trained on, and DFDC's val repeats its train.
_ORDER = ("test", "train", "val")


@dataclass
class _Video:
    dataset: str
    category: str
    label: int
    name: str
    splits: set[str] = field(default_factory=set)
    frames: list[str] = field(default_factory=list)


def recognise(folder: Path) -> str:
    """Why a folder has this layout, or ""."""
    there = _lists(Tree(folder, trusted=True))
    return f"{there[0]} names the frames of videos" if there else ""


def read(folder: Path, options: Options = DEFAULT) -> Layout:
    """The frames that the JSON files name. If there is one data set, it has the user's name for it.

    A video that stands in several parts is in test if test is one of them, otherwise in train. Raises UserError for
    JSON that is not of this structure, for a label that is neither, and if the wanted compression is not there.
    """
    tree = Tree(folder, options.trusted)
    videos = [list(_videos(folder / path, options.compression)) for path in _lists(tree)]
    datasets = {video.dataset for those in videos for video in those}
    found = Found(tree, next(iter(datasets), "DeepfakeBench"), options)
    for below in _JSON_FOLDERS:
        for each, problem in tree.listing(below).files.items():
            if problem and each.endswith(".json"):
                found.reject(joined(below, each), "", problem)
    roots = [below for below in _FRAME_FOLDERS if not below or tree.listing(below).folders]
    seen: set[str] = set()
    repeated = missing = 0
    # several files may name the same originals: the largest counts
    for video in (video for those in sorted(videos, key=len, reverse=True) for video in those):
        if not found.wants(video.category, video.label):
            continue
        paths = []
        for text in video.frames:
            file, reason = _find(tree, roots, text)
            repeated += file in seen
            missing += reason == MISSING
            if reason or kind_of(file) != "picture":
                found.reject(file, video.category, reason or NOT_MEDIA)
            elif file not in seen:
                seen.add(file)
                paths.append(file)
        name = known(video.name, video.label) or Name(video.name, group=video.name)
        split = next((split for split in _ORDER if split in video.splits), "")
        dataset = video.dataset if len(datasets) > 1 else ""
        for file, frame in sorted(numbered(paths).items()):
            found.add(file, video.category, video.label, name, frame, split, dataset=dataset)
    if repeated:
        found.note(f"{repeated} frames are named by several JSON files in {folder}: each is taken once")
    if missing:
        found.note(f"{missing} of {len(seen) + missing} frames that JSON names are not in {folder}: they are rejected")
    for dataset in sorted(datasets):
        both = sum(len(video.splits) > 1 for those in videos for video in those if video.dataset == dataset)
        if both:
            found.note(f"{dataset}: {both} videos stand in several parts; those of test are not trained on")
    return found.layout()


def _lists(tree: Tree) -> list[str]:
    """The JSON files of this structure."""
    paths = [joined(below, name) for below in _JSON_FOLDERS for name in tree.files(below) if name.endswith(".json")]
    return [path for path in paths if starts_with(tree.root / path, _STRUCTURE)]


def _videos(path: Path, compression: str) -> Iterator[_Video]:
    """The videos that a JSON file names, each with its parts and all frames that any of them names."""
    found: dict[tuple[str, str, str], _Video] = {}
    for dataset, labels in read_object(path).items():
        for category, splits in _object(labels, path, dataset).items():
            for part, videos in _object(splits, path, category).items():
                if part not in SPLITS:
                    raise UserError(f"{path}: {category} has a part {part!r}, not train, val or test: get it again")
                for name, entry in _named(_object(videos, path, part), path, category, compression):
                    frames = entry.get("frames") if isinstance(entry, dict) else None
                    if not isinstance(frames, list) or not all(isinstance(frame, str) for frame in frames):
                        raise UserError(f"{path}: video {name} of {category} has no list of frames: get it again")
                    label = str(entry.get("label", category))
                    video = _Video(dataset, category, _label(label, path, name), name)
                    video = found.setdefault((dataset, category, name), video)
                    video.splits.add(SPLITS[part])
                    video.frames = list(dict.fromkeys([*video.frames, *frames]))
    return iter(found.values())


def _named(videos: dict[str, Any], path: Path, category: str, compression: str) -> Iterator[tuple[str, Any]]:
    """The videos of a part by name, of the wanted compression if there are several."""
    if isinstance(videos.get("frames"), list):  # DeepfakeBench 2.0 writes the val part of DFDC without names
        frames = videos["frames"]
        folder = cleaned(str(frames[0]))[0].rpartition("/")[0] if frames else ""
        yield folder.rpartition("/")[2] or category, videos
    elif videos and videos.keys() <= COMPRESSIONS:
        usual = {"c0": "raw"}.get(compression, compression)
        if usual not in videos:
            there = ", ".join(videos)
            raise UserError(f"{path}: {category} is not there in {compression}, but in {there}: set compression")
        yield from _object(videos[usual], path, usual).items()
    else:
        yield from videos.items()


def _object(content: Any, path: Path, name: str) -> dict[str, Any]:
    if isinstance(content, dict):
        return content
    raise UserError(f"{path}: {name!r} is not an object, as DeepfakeBench writes it: get the file again")


def _label(text: str, path: Path, video: str) -> int:
    words = {word.lower() for word in _WORDS.findall(text)}
    if "real" in words:  # DF_real is the originals of DeeperForensics
        return 0
    if words & _FAKE:
        return 1
    raise UserError(f"{path}: label {text!r} of video {video} says neither real nor fake: correct it")


def _find(tree: Tree, roots: list[str], text: str) -> tuple[str, str]:
    """The path of a frame, and the reason not to use it. Folders before the data set's own are understood."""
    path, reason = cleaned(text)
    if reason:
        return tree.find(text)
    parts = path.split("/")
    starts = range(max(1, min(_STRIPPED, len(parts) - 2)))
    candidates = [joined(root, "/".join(parts[start:])) for root in roots for start in starts]
    for candidate in candidates:
        if (found := tree.reason(candidate)) is not None:
            return candidate, found
    near = tree.near(*candidates)
    return (near, tree.reason(near) or "") if near else (path, MISSING)
