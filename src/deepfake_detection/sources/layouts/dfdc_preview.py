"""The preview of the Deepfake Detection Challenge: ``original_videos``, ``method_A``, ``method_B``, ``dataset.json``.

``dataset.json`` maps the path of a video to its ``label`` (real or fake), its ``set`` (train or test; there is no
validation part), and the actors ``target_id`` and ``swapped_id``. A fake is named
``<swapped>_<target>_<recording>_<clip>``, an original ``<actor>_<recording>_<clip>``.
"""

from collections import defaultdict
from pathlib import Path

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import VIDEO
from deepfake_detection.sources.layouts import names
from deepfake_detection.sources.layouts.lists import read_object
from deepfake_detection.sources.layouts.names import LABELS, SPLITS, numbered
from deepfake_detection.sources.layouts.table import DEFAULT, Found, Layout, Options
from deepfake_detection.sources.layouts.tree import MISSING, NOT_MEDIA, Tree, cleaned, kind_of, meant, stem_of

DATASET = "DFDC-preview"
LOOKS_FOR = "dataset.json with original_videos/ and method_A/ or method_B/"
LIST = "dataset.json"
CATEGORIES = {"original_videos": 0, "method_A": 1, "method_B": 1}


def recognise(folder: Path) -> str:
    """Why a folder has this layout, or ""."""
    tree = Tree(folder, trusted=True)
    there = [name for name in tree.folders() if name in CATEGORIES]
    if not there or (LIST not in tree.files() and len(there) < 2):
        return ""
    return f"it holds {' and '.join(f'{name}/' for name in there)}"


def read(folder: Path, options: Options = DEFAULT) -> Layout:
    """The videos that ``dataset.json`` describes, or their frames. A group is a target actor.

    Raises UserError if the list is missing, or does not say what a video is.
    """
    tree = Tree(folder, options.trusted)
    found = Found(tree, DATASET, options)
    if not (path := tree.list_at(LIST)):
        raise UserError(f"{folder / LIST} is missing: it says what each video is; unpack the data set again")
    listed = _read_list(path, found)
    for category, label in CATEGORIES.items():
        if category not in tree.folders() or not found.wants(category, label):
            continue
        waiting = {stem: (file, split) for (each, stem), (file, split) in listed.items() if each == category}
        videos = _videos(tree, category, found)
        called = {name: stem for stem, name in meant(waiting, videos).items()}
        for stem, frames in videos.items():
            _, split = waiting.pop(called.get(stem, ""), ("", None))
            name = names.dfdc_preview(stem, label)
            for file, frame in frames:
                if split is None or name is None:
                    found.reject(file, category, f"not in {LIST}" if split is None else "name gives no actor")
                else:
                    found.add(file, category, label, name, frame, split)
        for file, _ in waiting.values():
            found.reject(file, category, MISSING)
        if waiting:
            example = next(iter(waiting.values()))[0]
            found.note(f"{LIST} names {len(waiting)} videos that are not there, e.g. {example}")
    return found.layout()


def _read_list(path: Path, found: Found) -> dict[tuple[str, str], tuple[str, str]]:
    """The path and the part of each video, by its category and its name without suffix."""
    listed = {}
    for text, entry in read_object(path).items():
        file, reason = cleaned(text)
        category = next((part for part in file.split("/") if part in CATEGORIES), "")
        label = LABELS.get(str(entry.get("label")).lower()) if isinstance(entry, dict) else None
        if reason or not category:
            found.reject(file, "", reason or f"in none of {', '.join(CATEGORIES)}")
        elif label != CATEGORIES[category]:
            raise UserError(f"{path}: the label of {text} does not fit its folder: get the file again")
        else:
            split = SPLITS.get(str(entry.get("set")).lower(), "")
            listed[category, stem_of(file)] = (file, split)
    return listed


def _videos(tree: Tree, category: str, found: Found) -> dict[str, list[tuple[str, int]]]:
    """The files of each video: the video itself, or the pictures in a folder of its name."""
    films: dict[str, list[tuple[str, int]]] = defaultdict(list)
    frames = defaultdict(list)
    for path, reason in tree.walk(category):
        kind = kind_of(path)
        if reason or not kind:
            found.reject(path, category, reason or NOT_MEDIA)
        elif kind == "video":
            films[stem_of(path)].append((path, VIDEO))
        else:
            frames[path.split("/")[-2]].append(path)
    if both := films.keys() & frames.keys():
        found.note(f"{category}: {len(both)} videos are there as frames too, e.g. {min(both)}: the frames are taken")
    return films | {stem: sorted(numbered(paths).items()) for stem, paths in frames.items()}
