"""The Kaggle data set of FaceForensics++ frames, and its sister of cropped and aligned faces.

``FF++C32-Frames/<Category>/005_f4.jpg`` with ``CSVs/<Category>.csv`` (``filename,label``), or a CSV with the columns
``filepath,label`` in the folder itself. The name of a fake has its target and its source: ``005_010_f4.jpg``.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

from deepfake_detection.common.errors import UserError
from deepfake_detection.pictures.kinds import IMAGE_SUFFIXES, OTHER_IMAGE_SUFFIXES
from deepfake_detection.sources.layouts.lists import header, read_rows
from deepfake_detection.sources.layouts.names import LABELS, Name
from deepfake_detection.sources.layouts.table import DEFAULT, Found, Layout, Options
from deepfake_detection.sources.layouts.tree import MISSING, Tree, meant, stem_of

DATASET = "FaceForensics++"
FRAMES = "FF++C32-Frames"  # FRAMES/<Category>/005_f4.jpg or 005_010_f4.jpg (target_source)
LISTS = "CSVs"  # LISTS/<Category>.csv with columns filename, label
LOOKS_FOR = f"{FRAMES}/, or a CSV with the columns filepath,label"

_STEMS = (
    re.compile(r"(?P<video>[0-9]+)_f(?P<frame>[0-9]{1,9})"),
    re.compile(r"(?P<video>[0-9]+)_(?P<source>[0-9]+)_f(?P<frame>[0-9]{1,9})"),
)  # of originals, of fakes
_OUTSIDE = "CSV row points outside the category folder"
_OTHER_FOLDER = "CSV row is of another folder"
_NAMELESS = "CSV row names no file"
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
    for category, reason in sorted(tree.listing(FRAMES).folders.items()):
        label = labels.get(category, _label(category))
        if not found.wants(category, label):
            continue
        if reason:
            found.reject(f"{FRAMES}/{category}", category, reason)
            continue
        present = tree.listing(f"{FRAMES}/{category}").files
        listed = _read_list(tree, category, label, present)
        for name in present.keys() | (listed or {}).keys():
            problem = present.get(name, "")
            if listed is not None:
                problem = problem or listed.get(name, "present but unlisted")
            if name not in present and problem not in (_NAMELESS, _OTHER_FOLDER, _OUTSIDE):
                problem = MISSING
            _take(found, f"{FRAMES}/{category}/{name}", category, label, problem)
        if folders := tree.listing(f"{FRAMES}/{category}").folders:
            for name in folders:
                found.reject(f"{FRAMES}/{category}/{name}", category, "not a regular file")
            found.note(f"{FRAMES}/{category}: pictures must lie directly in it, not in folders such as {min(folders)}/")
    return found.layout()


def _label(category: str) -> int:
    return int(category.lower() != "original")


def _take(found: Found, file: str, category: str, label: int, reason: str) -> None:
    match = _STEMS[label].fullmatch(stem_of(file))
    if reason in ("", MISSING) and PurePosixPath(file).suffix.lower() not in IMAGE_SUFFIXES | OTHER_IMAGE_SUFFIXES:
        reason = "not an image file name"
    if not match:
        found.reject(file, category, reason or f"name gives no video id: expected one like {_EXAMPLES[label]}")
        return
    name = Name(match["video"], match["source"] if label else "")
    if not reason:
        found.add(file, category, label, name, int(match["frame"]))
    elif reason in (_OUTSIDE, _OTHER_FOLDER, "not an image file name"):
        found.reject(file, category, reason)
    else:
        found.lose(file, category, label, name, reason)


def _read_list(tree: Tree, category: str, label: int, present: Collection[str]) -> dict[str, str] | None:
    """The names in a category's CSV, each with the reason not to use the row, or "". None without a CSV.

    Names are those of files in the category's folder, which holds ``present``. A row may give a path instead, such as
    ``Original/005_f4.jpg`` or one on the machine where the CSV was written; what is before the name is taken away if
    it is the category's folder, or the same in every row. Raises UserError when the CSV cannot be read or has no row.
    """
    if not (path := tree.list_at(f"{LISTS}/{category}.csv")):
        return None
    cells = (row for _, row in read_rows(path, ("filename", "label")))
    rows = [(_plain(row["filename"]), " ".join(_plain(row["label"]).split())) for row in cells]
    if not rows:
        raise UserError(f"{path} lists no file: add rows, or remove it to use every file")
    folders = {_parent(name) for name, _ in rows}
    called = meant((_base(name) for name, _ in rows), present)
    common = folders.pop() if len(folders) == 1 and called else None
    listed: dict[str, str] = {}
    for name, text in rows:
        # the published CSVs give the category as the label; one that gives the class is just as clear
        right = text.casefold() == category.casefold() or LABELS.get(text.casefold()) == label
        reason = "" if right else f"label in CSV differs from the category: {text or 'empty'}"
        if name not in present:  # a name may hold a backslash
            problem, base = _folder_problem(name, category, common), _base(name)
            name, reason = (name, problem) if problem else (called.get(base, base), reason)
        listed[name] = listed.get(name) or reason
    return listed


def _folder_problem(name: str, category: str, common: str | None) -> str:
    """The reason why a row's name, with what is before it, is of no file in the category's folder, or ""."""
    parent = _parent(name)
    parts = PurePosixPath(parent).parts
    if not name:
        return _NAMELESS
    if _base(name) in (".", "..", "") or ".." in parts:
        return _OUTSIDE
    if not parts or parent == common or parts[-1].casefold() == category.casefold():
        return ""
    return _OUTSIDE if parts[0].startswith("/") or PureWindowsPath(parent).drive else _OTHER_FOLDER


def _plain(cell: str) -> str:
    return cell.strip().strip("'").strip()


def _parent(name: str) -> str:
    parent, slash, _ = name.replace("\\", "/").rpartition("/")
    return parent or slash


def _base(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]


def _cropped_list(tree: Tree) -> str:
    """The name of the sister data set's list, or ""."""
    lists = [name for name in tree.files() if name.lower().endswith(".csv")]
    return next((name for name in lists if {"filepath", "label"} <= {*header(tree.root / name)}), "")


def _take_cropped(tree: Tree, found: Found, labels: Mapping[str, int], path: Path) -> None:
    """The frames that the CSV of the sister data set names. Its labels are categories."""
    seen = set()
    rows = [row for _, row in read_rows(path, ("filepath", "label"))]
    paths = (_ON_KAGGLE.sub("", row["filepath"].replace("\\", "/"), count=1) for row in rows)
    for row, (file, reason) in zip(rows, tree.find_all(paths), strict=True):
        category = row["label"]
        if category.lower() in LABELS and category.lower() != "original":  # a class instead of a category
            category = file.rpartition("/")[0].rpartition("/")[2]
        label = labels.get(category, _label(category))
        if found.wants(category, label):
            _take(found, file, category, label, reason or ("listed twice" if file in seen else ""))
            seen.add(file)
