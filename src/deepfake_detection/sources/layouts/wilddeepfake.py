"""WildDeepfake: ``real_train``, ``real_test``, ``fake_train``, ``fake_test`` with sequences of face crops.

The archives of a folder, such as ``real_train/6.tar.gz``, unpack to ``6/real/54/123.png``: archive, label, sequence,
frame. Some copies have the sequences directly in the folder. A sequence is a video, and its pictures are crops already.
"""

import re
from collections import defaultdict
from pathlib import Path

from deepfake_detection.common.errors import UserError
from deepfake_detection.sources.layouts.names import Name, numbered
from deepfake_detection.sources.layouts.table import DEFAULT, Found, Layout, Options
from deepfake_detection.sources.layouts.tree import Tree, joined, kind_of

DATASET = "WildDeepfake"
LOOKS_FOR = "real_train/, fake_train/, real_test/ or fake_test/"
CATEGORIES = ("real", "fake")

_FOLDER = re.compile(r"(?P<category>real|fake)[ _-](?P<split>train|test)", re.IGNORECASE)
_ARCHIVE = re.compile(r".*\.(?:tar|tgz|tar\.gz|zip)", re.IGNORECASE)
_TOP = "deepfake_in_the_wild"  # the folder that the download makes around the four


def recognise(folder: Path) -> str:
    """Why a folder has this layout, or ""."""
    there = _folders(Tree(folder, trusted=True))
    return f"it holds {' and '.join(f'{below}/' for below in there)}" if there else ""


def read(folder: Path, options: Options = DEFAULT) -> Layout:
    """The crops. A sequence is a video; the sequences of an archive are a group, because one film may give several.

    Raises UserError if the archives of a folder are not unpacked.
    """
    tree = Tree(folder, options.trusted)
    found = Found(tree, DATASET, options)
    for below, (category, split) in _folders(tree).items():
        label = CATEGORIES.index(category)
        if found.wants(category, label):
            _take(tree, below, category, label, split, found)
    return found.layout()


def _folders(tree: Tree) -> dict[str, tuple[str, str]]:
    """The folders that the name of their class and part, each with these."""
    top = "" if any(map(_FOLDER.fullmatch, tree.folders())) or _TOP not in tree.folders() else _TOP
    matches = {joined(top, name): _FOLDER.fullmatch(name) for name in tree.folders(top)}
    return {below: (match["category"].lower(), match["split"].lower()) for below, match in matches.items() if match}


def _take(tree: Tree, below: str, category: str, label: int, split: str, found: Found) -> None:
    sequences = defaultdict(list)
    archives = []
    for path, reason in tree.walk(below):
        folder = path.rpartition("/")[0]
        if _ARCHIVE.fullmatch(path):
            archives.append(path)
        elif reason or kind_of(path) != "picture" or folder == below:
            found.reject(path, category, reason or ("in no sequence" if kind_of(path) else "no picture"))
        else:
            sequences[folder].append(path)
    if archives and not sequences:
        raise UserError(
            f"{tree.root / below} holds {len(archives)} archives, e.g. {archives[0]}, and no picture: "
            "unpack them there (tar -xf)"
        )
    unpacked = {folder[len(below) + 1 :].partition("/")[0] for folder in sequences}
    for path in archives:
        if path.rpartition("/")[2].partition(".")[0] not in unpacked:
            found.reject(path, category, "archive: unpack it there (tar -xf)")
    for folder, paths in sequences.items():
        inside = folder[len(below) + 1 :]
        archive, *rest = inside.split("/")
        together = archive if len(rest) > 1 else inside
        name = Name(f"{split}/{inside}", group=f"{category}/{split}/{together}")
        for file, frame in numbered(paths).items():
            found.add(file, category, label, name, frame, split)
