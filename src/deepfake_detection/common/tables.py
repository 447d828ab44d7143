"""Reads the tables that the pipeline passes from stage to stage.

A table may come from elsewhere (`dvc pull`), so a path in it that leads out of data/raw is rejected.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.text import one_line

SPLITS = ("train", "val", "test")
ADAPT = "adapt"  # the split of a frame without a label
UNUSED = "unused"  # the split of a frame that is never trained on and is not in test either
VIDEO = -1  # in place of a frame's number: a whole video, before its frames are listed

CLASS_NAMES = ("Original", "Deepfake")  # for the labels 0 and 1

COLUMNS: dict[str, type[str] | type[int]] = {
    "path": str,
    "dataset": str,
    "category": str,
    "label": int,
    "video_id": str,
    "source_id": str,
    "group": str,  # what must not stand on two sides of a split, and the unit of the bootstrap
    "frame": int,
    "width": int,
    "height": int,
}

# what the download stage writes into the folder of a data set
TABLE = "frames.csv"  # a row for each file, as sources/gather.py says
LEFT_OUT = "rejected.csv"  # what cannot be used
SOURCE = "source.json"  # where the files come from
VIDEO_FRAMES = "video_frames"  # its key for how many frames are taken of each video, if there are videos
VIDEOS = "videos.csv"  # the SHA-256 of each video that stays in a user's folder, so that DVC sees when one changes
AUTHORS = "authors"  # the FaceForensics++ authors' lists
FILES = "files"

VIDEO_KEY = ["dataset", "category", "video_id", "source_id"]  # which rows are of one video
DIVISION_COLUMNS = ["unit", "split"]  # what a data set says of its own division; "" for nothing
REJECTED_COLUMNS = ["path", "category", "reason"]
MISSING_COLUMNS = ["dataset", "category", "label", "video_id", "source_id"]  # of videos without a usable frame
HASH_COLUMNS = ["path", "phash"]  # a phash is 16 hexadecimal digits
BOX_COLUMNS = {"path": str} | dict.fromkeys(("left", "top", "right", "bottom"), float)  # of the face in a frame
SPLIT_COLUMNS = ["path", "split", "dataset", "group"]
SCORE_COLUMNS: dict[str, type[str] | type[float]] = {"path": str, "logit": float, "unfamiliarity": float}
PREDICTION_COLUMNS: dict[str, type[str] | type[int] | type[float]] = {
    "path": str,
    "dataset": str,
    "category": str,
    "video_id": str,
    "source_id": str,
    "group": str,
    "label": int,
    "split": str,
    "logit": float,
    "raw_probability": float,
    "probability": float,
}
# paths that are absolute, lead upwards or name another drive, on Windows and elsewhere
_ESCAPING_PATH = re.compile(r"[/\\]|[A-Za-z]:|(?:.*[/\\])?\.\.(?:[/\\]|$)|.*\0", re.DOTALL)

CHUNK_ROWS = 4096  # a table read in chunks takes the same memory, however long it is


def read_index(path: Path, columns: Collection[str] = COLUMNS) -> pd.DataFrame:
    """Reads ``columns`` of an index file. Ids are text with their leading zeros. A missing source is "".

    Raises UserError when the file is missing, is not an index, or has a path that leads out of the data folder.
    """
    return _read(path, {name: COLUMNS[name] for name in columns}, "an index")


def read_data_set(path: Path) -> pd.DataFrame:
    """Reads the index file of one data set, with DIVISION_COLUMNS too. Raises as ``read_index`` does."""
    return _read(path, COLUMNS | dict.fromkeys(DIVISION_COLUMNS, str), "an index")


def read_frames(path: Path) -> pd.DataFrame:
    """Reads TABLE: as ``read_data_set``, without width and height.

    A row with the frame VIDEO is a video, or if LEFT_OUT has it too, one of which no file can be used.
    """
    columns = {name: kind for name, kind in COLUMNS.items() if name not in ("width", "height")}
    return _read(path, columns | dict.fromkeys(DIVISION_COLUMNS, str), "a table of frames")


def read_rejected(path: Path) -> pd.DataFrame:
    """Reads a file of rejected files, with REJECTED_COLUMNS. Raises as ``read_index`` does."""
    with one_line_errors(path, "a table of rejected files"):
        return pd.read_csv(path, dtype=str, usecols=REJECTED_COLUMNS, keep_default_na=False)


def read_boxes(path: Path) -> pd.DataFrame:
    """Reads BOX_COLUMNS of a file of faces, in pixels of the frame. Raises as ``read_index`` does."""
    return _read(path, BOX_COLUMNS, "a table of faces")


def read_missing(path: Path) -> pd.DataFrame:
    """Reads a file of videos without a usable frame, with MISSING_COLUMNS. Raises as ``read_index`` does."""
    return _read(path, {name: COLUMNS[name] for name in MISSING_COLUMNS}, "a table of missing videos")


def read_splits(path: Path) -> pd.DataFrame:
    """Reads a file of splits, with SPLIT_COLUMNS. Raises as ``read_index`` does."""
    return _read(path, dict.fromkeys(SPLIT_COLUMNS, str), "a table of splits")


def read_digests(path: Path) -> pd.DataFrame:
    """Reads ``split`` and ``digest`` of the splits of frames that are trained on. Raises as ``read_index`` does."""
    return _read(path, {"split": str, "digest": str}, "a table of splits")


def read_scores(path: Path) -> pd.DataFrame:
    """Reads a file of scores, with SCORE_COLUMNS. Raises as ``read_index`` does."""
    return _read(path, SCORE_COLUMNS, "a table of scores")


def read_predictions(path: Path) -> pd.DataFrame:
    """Reads a file of predictions. Raises as ``read_index`` does."""
    return _read(path, PREDICTION_COLUMNS, "a table of predictions")


def read_paths(path: Path) -> Iterator[str]:
    """Yields the paths of an index file, with at most CHUNK_ROWS in memory. Raises as ``read_index`` does."""
    with one_line_errors(path, "an index"):
        for chunk in pd.read_csv(path, dtype=str, usecols=["path"], keep_default_na=False, chunksize=CHUNK_ROWS):
            yield from require_inside(chunk["path"], path)


def _read(path: Path, columns: Mapping[str, type], what: str) -> pd.DataFrame:
    with one_line_errors(path, what):
        table = pd.read_csv(path, dtype=dict(columns), usecols=list(columns), keep_default_na=False)
        if "path" in columns:
            require_inside(table["path"], path)
    return table[list(columns)]


def headline_rows(table: pd.DataFrame, seen: Collection[str], only_evaluated: Collection[str]) -> pd.DataFrame:
    """The rows that the headline is measured on: of data sets trained on, the originals and the categories ``seen``."""
    return table[((table["label"] == 0) | table["category"].isin(seen)) & ~table["dataset"].isin(only_evaluated)]


def require_inside(paths: pd.Series, table: Path) -> pd.Series:
    """Returns ``paths``, which ``table`` holds. Raises UserError if one leads out of the data."""
    for path in paths:
        if _ESCAPING_PATH.match(path):
            raise UserError(f"{table}: the path {path!r} leads out of the data; run the stage that writes it again")
    return paths


@contextmanager
def one_line_errors(path: Path, what: str) -> Iterator[None]:
    """Turns what pandas raises for ``path`` into a UserError that says the file is not ``what``."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path} not found: run the stage that writes it (dvc repro)") from None
    except ValueError as error:
        raise UserError(f"{path} is not {what} ({one_line(error)}): run the stage that writes it again") from None
