"""Reads the tables that the pipeline passes from stage to stage.

Each may have come from elsewhere (`dvc pull`): a path in it that leads out of data/raw is refused.
"""

import re
from collections.abc import Collection, Iterator, Mapping
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


SPLIT_COLUMNS: dict[str, type[str] | type[int]] = {"path": str, "split": str}
PREDICTION_COLUMNS: dict[str, type[str] | type[int] | type[float]] = {
    "path": str,
    "category": str,
    "video_id": str,
    "label": int,
    "split": str,
    "logit": float,
    "probability": float,
}
# absolute, upwards, on another drive; on Windows and elsewhere
_OUTSIDE = re.compile(r"[/\\]|[A-Za-z]:|(?:.*[/\\])?\.\.(?:[/\\]|$)|.*\0", re.DOTALL)

PART = 4096  # rows; what is read in parts takes as much memory however many there are


def read_index(path: Path, columns: Collection[str] = COLUMNS) -> pd.DataFrame:
    """Reads ``columns`` of a written index, ids as text with their leading zeros, "" for no source.

    Raises UserError when the file is missing, is not an index, or has a path that leads out of where it starts.
    """
    return _read(path, {name: COLUMNS[name] for name in columns}, "an index")


def read_splits(path: Path) -> pd.DataFrame:
    """Reads ``path`` and ``split`` of written splits. Raises as ``read_index`` does."""
    return _read(path, SPLIT_COLUMNS, "a table of splits")


def read_predictions(path: Path) -> pd.DataFrame:
    """Reads written predictions. Raises as ``read_index`` does."""
    return _read(path, PREDICTION_COLUMNS, "a table of predictions")


def read_paths(path: Path) -> Iterator[str]:
    """The paths of a written index, of which it never holds more than PART. Raises as ``read_index`` does."""
    with _one_line_errors(path, "an index"):
        for part in pd.read_csv(path, dtype=str, usecols=["path"], keep_default_na=False, chunksize=PART):
            yield from _inside(part["path"], path)


def _read(path: Path, columns: Mapping[str, type], what: str) -> pd.DataFrame:
    with _one_line_errors(path, what):
        table = pd.read_csv(path, dtype=dict(columns), usecols=list(columns), keep_default_na=False)
        if "path" in columns:
            _inside(table["path"], path)
    return table[list(columns)]


def _inside(paths: pd.Series, table: Path) -> pd.Series:
    for path in paths:
        if _OUTSIDE.match(path):
            raise UserError(f"{table}: the path {path!r} leads out of the data; run the stage that writes it again")
    return paths


@contextmanager
def _one_line_errors(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path} not found: run the stage that writes it (dvc repro)") from None
    except ValueError as error:
        problem = " ".join(str(error).split())
        raise UserError(f"{path} is not {what} ({problem}): run the stage that writes it again") from None


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
