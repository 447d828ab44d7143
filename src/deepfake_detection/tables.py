"""Reads the index that the pipeline passes from stage to stage."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from deepfake_detection.errors import UserError

COLUMNS: dict[str, type[str] | type[int]] = {
    "path": str,
    "category": str,
    "label": int,
    "video_id": str,
    "source_id": str,
    "frame": int,
    "width": int,
    "height": int,
}


PART = 4096  # rows; what is read in parts takes as much memory however many there are


def read_index(path: Path, columns: Collection[str] = COLUMNS) -> pd.DataFrame:
    """Reads ``columns`` of a written index, ids as text with their leading zeros, "" for no source.

    Raises UserError when the file is missing or is not an index.
    """
    with _one_line_errors(path):
        index = pd.read_csv(path, dtype=COLUMNS, usecols=list(columns), keep_default_na=False)
    return index[list(columns)]


def read_paths(path: Path) -> Iterator[str]:
    """The paths of a written index, of which it never holds more than PART. Raises as ``read_index`` does."""
    with _one_line_errors(path):
        for part in pd.read_csv(path, dtype=str, usecols=["path"], keep_default_na=False, chunksize=PART):
            yield from part["path"]


@contextmanager
def _one_line_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path} not found: run the stage that writes it (dvc repro)") from None
    except ValueError as error:
        problem = " ".join(str(error).split())
        raise UserError(f"{path} is not an index ({problem}): run the stage that writes it again") from None


def load_index(path: Path, raw: Path) -> pd.DataFrame:
    """The index with ``filepath``, the absolute path of each frame under ``raw``."""
    index = read_index(path)
    return index.assign(filepath=[str(raw.absolute() / relative) for relative in index["path"]])


def categories_by_class(index: pd.DataFrame) -> dict[str, list[str]]:
    """The index's categories: ``real`` those labelled 0, ``fake`` those labelled 1."""
    return {
        name: sorted(index.loc[index["label"] == label, "category"].unique())
        for label, name in enumerate(("real", "fake"))
    }
