"""Brings a user's folder into data/raw, in whichever layout it comes."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.progress import progress
from deepfake_detection.params.data import Data
from deepfake_detection.sources.layout import (
    EXTRA_LEFT_OUT,
    EXTRA_TABLE,
    FRAMES,
    LEFT_OUT,
    LISTS,
    OFFICIAL,
    TABLE,
    VIDEO,
)
from deepfake_detection.sources.layouts import detect, manifest
from deepfake_detection.sources.layouts.table import REJECTED_COLUMNS, Layout, Options
from deepfake_detection.sources.local import copy_file, lay_out
from deepfake_detection.sources.official import FILES, read_official
from deepfake_detection.sources.video_frames import numbered, take_frames

# the layouts with the ids of FaceForensics++, of which its authors say the split and the recordings
_OF_FACEFORENSICS = ("kaggle", "faceforensics")

Origin = dict[str, str | int]  # what source.json says of where frames come from

_FILES = (TABLE, LEFT_OUT, EXTRA_TABLE, EXTRA_LEFT_OUT, "source.json", "recordings.json")
_TAKEN = {name.lower() for name in (FRAMES, LISTS, OFFICIAL, *_FILES)}
TABLE_COLUMNS = ["path", "dataset", "category", "label", "video_id", "source_id", "group", "unit", "frame", "split"]


class Place(NamedTuple):
    """A folder, or a list of files, its layout, and why it is this one."""

    folder: Path
    layout: str
    why: str

    @property
    def of_faceforensics(self) -> bool:
        """Whether its ids are those of FaceForensics++."""
        return self.layout in _OF_FACEFORENSICS

    @property
    def official_dir(self) -> str:
        """Where the authors' lists lie, if they lie in the folder itself."""
        folders = (self.folder, self.folder / OFFICIAL) if self.layout == "faceforensics" else ()
        return next((str(folder) for folder in folders if all((folder / name).is_file() for name in FILES)), "")


def find(folder: Path, layout: str) -> Place:
    """The layout of a folder: ``layout``, or if that is auto, the one that fits. Raises UserError if none does."""
    return Place(folder, *(detect.detect(folder) if layout == detect.AUTO else (layout, "data.layout says so")))


def fetch_kaggle(data: Data) -> tuple[Place, Origin]:
    """Downloads the data set of Kaggle, and returns where it lies and what there is to say of its origin."""
    from deepfake_detection.sources.kaggle_download import download_kaggle  # slow to import

    folder, version = download_kaggle(data.kaggle)
    return find(folder, data.layout), {"source": "kaggle", "handle": data.kaggle, "version": version}


def gather(place: Place, data: Data, raw: Path, work: Path, official: bool, trusted: bool = True) -> Origin:
    """Fills ``raw`` with the wanted categories of a folder, and returns what there is to say of its origin.

    What comes in the Kaggle data set's folders is laid out in the same. Any other file keeps its path, below a folder
    called as its data set; frames of a video lie in a folder called as the video. TABLE says what they are, and
    LEFT_OUT what cannot be used. With ``official``, the authors' lists, which are in ``raw`` already, or else the data
    set itself must say which part a file belongs to. ``work`` keeps the frames of videos, for a run that goes on after
    this one was killed. Links that lead out of the folder are followed if it is ``trusted``.

    Raises UserError as ``lay_out`` and the layouts do, and if there is no such division.
    """
    print(f"layout {place.layout}: {place.why}")
    categories, folder = data.categories, place.folder
    if place.layout == "kaggle" and (folder / FRAMES).is_dir():
        lay_out(folder, categories.real + categories.fake, raw, trusted, categories.unseen)
        return {}
    labels = dict.fromkeys(categories.real, 0) | dict.fromkeys(categories.fake + categories.unseen, 1)
    options = Options(
        categories=labels, compression=data.compression, trusted=trusted, optional=frozenset(categories.unseen)
    )
    _, _, found = detect.read(folder, place.layout, options)
    for note in found.notes:
        print(note)
    table = found.table
    if official:
        if place.of_faceforensics:
            table = table.assign(split=_official(table, read_official(raw / OFFICIAL)))
        if (table["split"] == "").all():
            raise UserError(
                f"{folder} does not say what is for training and what for the test: set split.strategy to group"
            )
    frames, rejected = bring(Layout(table, found.rejected), manifest.base(folder), raw, work, data)
    frames.to_csv(raw / TABLE, index=False, lineterminator="\n")
    rejected.to_csv(raw / LEFT_OUT, index=False, lineterminator="\n")
    taken = int((frames["frame"] != VIDEO).sum())
    print(f"{taken} frames; {int((table['frame'] == VIDEO).sum())} videos read; {len(rejected)} files rejected")
    return {"layout": place.layout}


def _official(table: pd.DataFrame, sides: dict[str, str]) -> pd.Series:
    """The authors' part for each row, "" if its target or its source is on no list, or on another one."""
    target = table["video_id"].map(sides)
    source = table["source_id"].where(table["source_id"] != "", table["video_id"]).map(sides)
    return target.where(target == source, "")


def is_taken(name: str) -> bool:
    """Whether data/raw has a name for something else than a data set."""
    return name.lower() in _TAKEN


def bring(found: Layout, base: Path, raw: Path, work: Path, data: Data) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Copies pictures and takes frames of videos. Returns the rows of TABLE and of LEFT_OUT.

    A video without a frame that can be read stands in both: in TABLE with the frame VIDEO, so that it is known whose
    it would have been.
    """
    table = found.table.assign(path=found.table["dataset"] + "/" + found.table["file"])
    if reserved := [name for name in table["dataset"].unique() if is_taken(name)]:
        raise UserError(f"a data set cannot be called {reserved[0]}, because data/raw has that name for something else")
    is_video = table["frame"] == VIDEO
    pictures, videos = table[~is_video], table[is_video]
    copies = list(zip(pictures["file"], pictures["path"], strict=True))
    for file, path in progress(copies, "copying frames", unit="file") if copies else ():
        if base / file != raw / path:  # what is drawn is in place
            (raw / path).parent.mkdir(parents=True, exist_ok=True)
            copy_file(base / file, raw / path)
    several, rejected = table["dataset"].nunique() > 1, found.rejected
    if not several:  # as the paths in TABLE; of several it is not known which one a rejected file is of
        rejected = rejected.assign(path=f"{table['dataset'].iloc[0]}/" + rejected["path"])
    rows, lost = [], []
    paths = [base / file for file in videos["file"]]
    taken = list(take_frames(paths, work, data.frames, data.frame_format)) if paths else []
    for row, (folder, reason) in zip(videos.to_dict("records"), taken, strict=True):
        if folder is None:
            lost.append((row["path"], row["category"], f"no frame of the video: {reason}"))
            rows.append(row)
            continue
        shutil.copytree(folder, raw / row["path"], copy_function=_link)
        for number, file in numbered(raw / row["path"]):
            rows.append(row | {"path": f"{row['path']}/{file.name}", "frame": number})
    frames = pd.concat([pictures, pd.DataFrame(rows, columns=table.columns)])
    rejected = pd.concat([rejected, pd.DataFrame(lost, columns=REJECTED_COLUMNS, dtype=str)])
    return (
        frames.sort_values("path", ignore_index=True)[TABLE_COLUMNS],
        rejected.sort_values(["path", "reason"], ignore_index=True),
    )


def _link(file: str, to: str) -> None:
    """A second name for a file that only we have, or a copy where the file system has no such links."""
    try:
        os.link(file, to)
    except OSError:
        shutil.copyfile(file, to)
