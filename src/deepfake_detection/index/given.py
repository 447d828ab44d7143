"""Reads what the download stage says of data sets whose names do not say all."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from deepfake_detection.common.tables import COLUMNS, REJECTED_COLUMNS, one_line_errors, require_inside
from deepfake_detection.sources.layout import EXTRA_LEFT_OUT, EXTRA_TABLE, LEFT_OUT, TABLE


def has_table(raw: Path) -> bool:
    """Whether the download stage has written a table of the main data set's frames in ``raw``."""
    return (raw / TABLE).is_file()


def read_frames(raw: Path, table_name: str = TABLE) -> pd.DataFrame:
    """Reads a table of the download stage: the columns of an index without width and height, ``unit`` and ``split``.

    A row with the frame VIDEO is a video without any.
    """
    types: dict[str, type] = {name: kind for name, kind in COLUMNS.items() if name not in ("width", "height")}
    types |= {"unit": str, "split": str}
    with one_line_errors(raw / table_name, "a table of frames"):
        table = pd.read_csv(raw / table_name, dtype=types, usecols=list(types), keep_default_na=False)
        require_inside(table["path"], raw / table_name)
    return table


def read_extra(raw: Path, dataset: str) -> pd.DataFrame:
    """Reads the rows of one of the further data sets, as ``read_frames`` does."""
    table = read_frames(raw, EXTRA_TABLE)
    return table[table["dataset"] == dataset].reset_index(drop=True)


def read_left_out(raw: Path) -> pd.DataFrame:
    """Reads what the download stage could not use of the main data set, with REJECTED_COLUMNS."""
    with one_line_errors(raw / LEFT_OUT, "a table of rejected files"):
        return pd.read_csv(raw / LEFT_OUT, dtype=str, usecols=REJECTED_COLUMNS, keep_default_na=False)


def read_extra_left_out(raw: Path, dataset: str) -> pd.DataFrame:
    """Reads what could not be used of one of the further data sets, with REJECTED_COLUMNS."""
    columns = ["dataset", *REJECTED_COLUMNS]
    with one_line_errors(raw / EXTRA_LEFT_OUT, "a table of rejected files"):
        table = pd.read_csv(raw / EXTRA_LEFT_OUT, dtype=str, usecols=columns, keep_default_na=False)
    return table.loc[table["dataset"] == dataset, REJECTED_COLUMNS].reset_index(drop=True)


def read_division(raw: Path, paths: Iterable[str], dataset: str = "") -> tuple[pd.Series | None, pd.Series | None]:
    """The side that a data set itself puts each of ``paths`` on, "" for none, and the unit that a split had better
    divide.

    ``dataset`` is one of the further data sets, or "" for the main one. The first is None if no frame has a side, both
    are None if the names of the files say all.
    """
    if not dataset and not has_table(raw):
        return None, None
    table = (read_extra(raw, dataset) if dataset else read_frames(raw)).set_index("path")
    told = table[["split", "unit"]].reindex(list(paths)).fillna("").reset_index(drop=True)
    return told["split"] if (told["split"] != "").any() else None, told["unit"]
