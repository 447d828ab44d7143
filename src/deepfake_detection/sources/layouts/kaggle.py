"""The Kaggle data set of FaceForensics++ frames, and its sister of cropped and aligned faces.

``FF++C32-Frames/<Category>/005_f4.jpg`` with ``CSVs/<Category>.csv`` (``filename,label``), or a CSV with the columns
``filepath,label`` in the folder itself. The name of a fake has its target and its source: ``005_010_f4.jpg``.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from deepfake_detection.sources.layout import FRAMES, LISTS
from deepfake_detection.sources.layouts.lists import header, read_rows
from deepfake_detection.sources.layouts.names import LABELS, Name
from deepfake_detection.sources.layouts.table import DEFAULT, Found, Layout, Options
from deepfake_detection.sources.layouts.tree import MISSING, Tree, cleaned, kind_of, stem_of

DATASET = "FaceForensics++"
LOOKS_FOR = f"{FRAMES}/, or a CSV with the columns filepath,label"

_STEMS = (
    re.compile(r"(?P<video>[0-9]+)_f(?P<frame>[0-9]{1,9})"),
    re.compile(r"(?P<video>[0-9]+)_(?P<source>[0-9]+)_f(?P<frame>[0-9]{1,9})"),
)  # of originals, of fakes
_OUTSIDE = "CSV row points outside the category folder"
_EXAMPLES = ("005_f4.jpg", "005_010_f4.jpg")
_ON_KAGGLE = re.compile(r"/kaggle/input/(?:datasets/[^/]+/)?[^/]+/")  # where Kaggle's computers have the data set


def recognise(folder: Path) -> str:
    """Why a folder has this layout, or ""."""
    tree = Tree(folder, trusted=True)
    if FRAMES in tree.folders():
        return f"it holds {FRAMES}/"
    name = _cropped_list(tree)
    return f"{name} has the columns filepath and label" if name else ""


def read(folder: Path, options: Options = DEFAULT) -> Layout:
    """The frames. Original has the label 0 and every other category 1, unless the options say otherwise.

    Raises UserError for a list that cannot be read.
    """
    tree = Tree(folder, options.trusted)
    found = Found(tree, DATASET, options)
    labels = options.categories or {}
    if FRAMES not in tree.listing().folders:
        for name, reason in tree.listing().files.items():
            if reason:
                found.reject(name, "", reason)
        if name := _cropped_list(tree):
            _take_cropped(tree, found, labels, tree.root / name)
        return found.layout()
    for category, reason in tree.listing(FRAMES).folders.items():
        label = labels.get(category, int(category != "Original"))
        if not found.wants(category, label):
            continue
        if reason:
            found.reject(f"{FRAMES}/{category}", category, reason)
            continue
        listed = _read_list(tree, category, label)
        present = tree.listing(f"{FRAMES}/{category}").files
        for name in present.keys() | (listed or {}).keys():
            problem = present.get(name, "")
            if not problem and listed is not None:
                problem = listed.get(name, "present but unlisted")
            if name not in present and problem != _OUTSIDE:
                problem = MISSING
            _take(found, f"{FRAMES}/{category}/{name}", category, label, problem)
        for name in tree.listing(f"{FRAMES}/{category}").folders:
            found.reject(f"{FRAMES}/{category}/{name}", category, "not a regular file")
    return found.layout()


def _take(found: Found, file: str, category: str, label: int, reason: str) -> None:
    match = _STEMS[label].fullmatch(stem_of(file))
    if not reason and kind_of(file) != "picture":
        reason = "not an image file name"
    if reason or not match:
        found.reject(file, category, reason or f"name gives no video id: expected one like {_EXAMPLES[label]}")
    else:
        name = Name(match["video"], match["source"] if label else "")
        found.add(file, category, label, name, int(match["frame"]))


def _read_list(tree: Tree, category: str, label: int) -> dict[str, str] | None:
    """The names in a category's CSV, each with what contradicts its label, or "". None without a CSV."""
    if not (path := tree.list_at(f"{LISTS}/{category}.csv")):
        return None
    listed: dict[str, str] = {}
    for _, row in read_rows(path, ("filename", "label")):
        inside, reason = cleaned(row["filename"])
        name, text = inside.removeprefix(f"{FRAMES}/").removeprefix(f"{category}/"), row["label"]
        right = text.lower() == category.lower() or LABELS.get(text.lower()) == label
        problem = "" if right else f"label in CSV differs from the category: {text or 'empty'}"
        if reason or "/" in name:
            problem = _OUTSIDE
        listed[name] = listed.get(name) or problem
    return listed


def _cropped_list(tree: Tree) -> str:
    """The name of the sister data set's list, or ""."""
    lists = [name for name in tree.files() if name.lower().endswith(".csv")]
    return next((name for name in lists if {"filepath", "label"} <= {*header(tree.root / name)}), "")


def _take_cropped(tree: Tree, found: Found, labels: Mapping[str, int], path: Path) -> None:
    """The frames that the CSV of the sister data set names. Its labels are categories."""
    seen = set()
    for _, row in read_rows(path, ("filepath", "label")):
        file, reason = tree.find(_ON_KAGGLE.sub("", row["filepath"].replace("\\", "/"), count=1))
        category = row["label"]
        if category.lower() in LABELS and category.lower() != "original":  # a class instead of a category
            category = file.rpartition("/")[0].rpartition("/")[2]
        label = labels.get(category, int(category != "Original"))
        if found.wants(category, label):
            _take(found, file, category, label, reason or ("listed twice" if file in seen else ""))
            seen.add(file)
