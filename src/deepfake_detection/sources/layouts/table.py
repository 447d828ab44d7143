"""The table that every layout is read into, what is checked of it, and the files that are rejected."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import SPLITS, VIDEO
from deepfake_detection.sources.layouts.names import Name
from deepfake_detection.sources.layouts.tree import Tree, kind_of

COLUMNS: dict[str, type[str] | type[int]] = {
    "file": str,  # POSIX, relative to the folder that was read
    "dataset": str,
    "category": str,
    "label": int,  # 0 real, 1 fake
    "video_id": str,  # of a fake: the recording that was manipulated
    "source_id": str,  # what gave the face, or what else tells two fakes of one recording apart; "" for originals
    "group": str,  # what must not stand on two sides of a split; "" if target and source say all: index/groups.py
    "unit": str,  # what holds several groups and had better be divided, as a part of DFDC; "" for the groups themselves
    "frame": int,
    "split": str,  # train, val or test if the data set says so, otherwise ""
}
VIDEO_KEY = ["dataset", "category", "video_id", "source_id", "split"]  # which rows are of one video
REJECTED_COLUMNS = ["path", "category", "reason"]

_NAME = re.compile(r"(?!\.+$)[\w+.-]+")  # names of data sets and categories: keys of params.yaml, and names of folders


@dataclass(frozen=True)
class Options:
    """What a user wants of a folder.

    ``dataset`` is the name of the data set; "" leaves it to the layout. ``categories`` maps each wanted category to
    its label; None takes all, with the layout's labels. ``compression`` is that of FaceForensics++. Links that lead
    out of the folder are followed only if it is ``trusted``. A folder must hold both classes, unless ``one_class``.
    Categories that are ``optional`` may be missing.
    """

    dataset: str = ""
    categories: Mapping[str, int] | None = None
    compression: str = "c23"
    trusted: bool = False
    one_class: bool = False
    optional: frozenset[str] = frozenset()


DEFAULT = Options()


@dataclass(frozen=True)
class Layout:
    """What was read: a table with COLUMNS sorted by file, one with REJECTED_COLUMNS, and what a user should know.

    ``lost`` has a row, with the frame VIDEO, for each video that is known by name and of which no file can be used.
    """

    table: pd.DataFrame
    rejected: pd.DataFrame
    notes: tuple[str, ...] = ()
    lost: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(COLUMNS)))


class _Row(NamedTuple):
    file: str
    dataset: str
    category: str
    label: int
    video_id: str
    source_id: str
    group: str
    unit: str
    frame: int
    split: str


class Found:
    """What a layout has found so far in a folder. ``dataset`` is the name of the data set if the user gives none."""

    def __init__(self, tree: Tree, dataset: str, options: Options) -> None:
        self._tree, self._folder = tree, tree.root
        self._dataset, self._options = options.dataset or dataset, options
        self._rows: list[_Row] = []
        self._lost: list[_Row] = []
        self._rejected: list[tuple[str, str, str]] = []
        self._notes: list[str] = []
        self._categories: set[str] = set()

    def wants(self, category: str, label: int) -> bool:
        """Whether a category that is there is wanted. Raises UserError if the user and the data set label it anew."""
        self._categories.add(category)
        if self._options.categories is None:
            return True
        if self._options.categories.get(category, label) != label:
            words = ("an original", "a fake")
            raise UserError(
                f"params.yaml calls {category} {words[1 - label]}, but {self._folder} says {words[label]}: "
                "name it under the other key"
            )
        return category in self._options.categories

    def add(
        self,
        file: str,
        category: str,
        label: int,
        name: Name,
        frame: int = VIDEO,
        split: str = "",
        unit: str = "",
        dataset: str = "",
    ) -> None:
        """Takes a frame, or a video. A ``dataset`` that the folder itself names stands before the user's."""
        ids = (name.video_id, name.source_id, name.group)
        self._rows.append(_Row(file, dataset or self._dataset, category, label, *ids, unit, frame, split))

    def lose(self, file: str, category: str, label: int, name: Name, reason: str) -> None:
        """Leaves a file out, and keeps whose it would have been."""
        self._lost.append(_Row(_printable(file), self._dataset, category, label, *name, "", VIDEO, ""))
        self.reject(file, category, reason)

    def reject(self, path: str, category: str, reason: str) -> None:
        """Leaves a file out, and says why."""
        self._rejected.append((_printable(path), category, reason))

    def note(self, text: str) -> None:
        """Keeps a line for the user."""
        self._notes.append(text)

    def layout(self, optional: frozenset[str] = frozenset(), whole: bool = True) -> Layout:
        """The finished tables. A note counts the pictures and videos below the folder of which they say nothing.

        If it is not the ``whole`` folder that the user named, nobody looks for these.

        Raises UserError if a wanted category is not there, except for those that may be missing, and for what
        ``validate`` finds.
        """
        rejected_paths = {path for path, *_ in self._rejected}
        for path, reason in self._tree.refused.items():
            if path not in rejected_paths:
                self.reject(path, "", reason)
        missing = sorted(set(self._options.categories or ()) - self._categories)
        if needed := [category for category in missing if category not in optional | self._options.optional]:
            there = ", ".join(sorted(self._categories)) or "nothing"
            raise UserError(f"{self._folder}: no category {', '.join(needed)} (there is {there}); see real and fake")
        self._notes += [f"{category} is not in {self._folder}: left out" for category in missing]
        table = pd.DataFrame.from_records(self._rows, columns=list(COLUMNS)).astype(COLUMNS)
        table = table.sort_values("file", ignore_index=True)
        lost = pd.DataFrame.from_records(self._lost, columns=list(COLUMNS)).astype(COLUMNS)
        lost = lost[~pd.MultiIndex.from_frame(lost[VIDEO_KEY]).isin(pd.MultiIndex.from_frame(table[VIDEO_KEY]))]
        rejected = pd.DataFrame(self._rejected, columns=REJECTED_COLUMNS, dtype=str)
        rejected = rejected.sort_values(["path", "reason"], ignore_index=True)
        validate(table, rejected, self._folder, self._options.one_class, self._notes)
        notes = (*self._notes, *_leaks(table, self._folder), *(self._left_out(table) if whole else ()))
        return Layout(table, rejected, notes, lost.drop_duplicates(VIDEO_KEY))

    def _left_out(self, table: pd.DataFrame) -> Iterator[str]:
        known = {*table["file"], *(path for path, *_ in self._rejected)}
        try:
            there = [path for path, _ in self._tree.walk() if kind_of(path)]
        except UserError as error:  # of a folder that no layout asked for
            yield f"{error}; what it holds is left out"
            return
        if left := sorted(path for path in there if not _lies_in(_printable(path), known)):
            yield f"{len(left)} of {len(there)} pictures and videos in {self._folder} are left out, e.g. {left[0]}"


def validate(
    table: pd.DataFrame, rejected: pd.DataFrame, folder: Path, one_class: bool = False, notes: Sequence[str] = ()
) -> None:
    """Raises UserError, in one line, for a table that cannot be worked with. ``notes`` may say why it is so.

    It has no row, or rows of one class only (unless ``one_class``), a file twice, a category with two labels, a name
    that is no name, or two frames of one video with the same number.
    """
    if table.empty:
        why = f"all {len(rejected)} files are rejected, {_commonest(rejected)}" if len(rejected) else "it holds none"
        why = "; ".join([why, *notes])
        raise UserError(f"{folder}: no picture or video can be used: {why}; check path and layout")
    for column in ("dataset", "category"):
        for name in table[column].unique():
            if not _NAME.fullmatch(name):
                raise UserError(f"{folder}: {column} {name!r}: a name may have letters, digits and _ . + - only")
    if not table["label"].isin([0, 1]).all() or not table["split"].isin(["", *SPLITS]).all():
        raise UserError(f"{folder}: a label that is not 0 or 1, or a split that is not {', '.join(SPLITS)}")
    if (table["video_id"] == "").any() or (table["frame"] < VIDEO).any():
        raise UserError(f"{folder}: a video without a name, or a frame with a negative number")
    labels = table.groupby(["dataset", "category"])["label"].nunique()
    if (labels > 1).any():
        both = ", ".join(sorted({category for _, category in labels.index[labels > 1]}))
        raise UserError(f"{folder}: originals and fakes have one category ({both}): give them two")
    for columns, what in (
        (["file"], "is listed twice"),
        ([*VIDEO_KEY, "frame"], "has the video and the number of another file"),
    ):
        if (again := table.duplicated(columns)).any():
            raise UserError(f"{folder}: {table.loc[again, 'file'].iloc[0]} {what}: take one of the two away")
    if not one_class and table["label"].nunique() < 2:
        only, other = ("fakes", "original") if table["label"].iloc[0] else ("originals", "fake")
        lost = [f"{len(rejected)} files are rejected, {_commonest(rejected)}"] if len(rejected) else []
        why = "; ".join([f"{folder} holds {only} only, and no {other}", *lost, *notes])
        raise UserError(f"{why}: both classes are needed")


def _lies_in(path: str, known: Collection[str]) -> bool:
    """Whether a path or a folder that it lies in is ``known``."""
    while path and path not in known:
        path = path.rpartition("/")[0]
    return bool(path)


def _leaks(table: pd.DataFrame, folder: Path) -> list[str]:
    """A line if groups stand on two sides of the data set's own division. Without a group, the target counts."""
    group = table["group"].where(table["group"] != "", table["video_id"])
    divided = table.assign(group=group).loc[table["split"] != "", ["dataset", "group", "split"]].drop_duplicates()
    counts = divided.groupby(["dataset", "group"])["split"].nunique()
    if not (several := int((counts > 1).sum())):
        return []
    return [f"{several} of {len(counts)} groups stand in several parts of the division that {folder} comes with"]


def _commonest(rejected: pd.DataFrame) -> str:
    kinds = rejected["reason"].str.partition(":")[0]
    kind, count = Counter(kinds).most_common(1)[0]
    return f'most often "{kind}" ({count}), e.g. {rejected.loc[kinds == kind, "path"].iloc[0]}'


def _printable(path: str) -> str:
    # a file name may contain line breaks and bytes that are not UTF-8
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in path)
