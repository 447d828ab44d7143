"""Reads what the download stage says of a data set in another layout than the Kaggle set."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from deepfake_detection.index.tables import COLUMNS, REJECTED_COLUMNS, one_line_errors, require_inside
from deepfake_detection.sources.layout import LEFT_OUT, TABLE


def has_table(raw: Path) -> bool:
    """Whether the download stage has written a table of the frames in ``raw``, because their names do not say all."""
    return (raw / TABLE).is_file()


def read_frames(raw: Path) -> pd.DataFrame:
    """Reads the download stage's table: the columns of an index without width and height, and ``split``."""
    types: dict[str, type] = {name: kind for name, kind in COLUMNS.items() if name not in ("width", "height")}
    with one_line_errors(raw / TABLE, "a table of frames"):
        table = pd.read_csv(raw / TABLE, dtype=types | {"split": str}, usecols=[*types, "split"], keep_default_na=False)
        require_inside(table["path"], raw / TABLE)
    return table


def read_left_out(raw: Path) -> pd.DataFrame:
    """Reads what the download stage could not use, with REJECTED_COLUMNS."""
    with one_line_errors(raw / LEFT_OUT, "a table of rejected files"):
        return pd.read_csv(raw / LEFT_OUT, dtype=str, usecols=REJECTED_COLUMNS, keep_default_na=False)


def read_sides(raw: Path, paths: Iterable[str]) -> pd.Series | None:
    """The side that the data set itself puts each of ``paths`` on, "" for none; None if it does so with no frame."""
    if not has_table(raw):
        return None
    sides = read_frames(raw).set_index("path")["split"].reindex(list(paths)).fillna("").reset_index(drop=True)
    return sides if (sides != "").any() else None
