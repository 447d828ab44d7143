"""Reads the index that the pipeline passes from stage to stage."""

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


def read_index(path: Path) -> pd.DataFrame:
    """Reads a written index: COLUMNS, ids as text with their leading zeros, "" for no source.

    Raises UserError when the file is missing or is not an index.
    """
    try:
        index = pd.read_csv(path, dtype=COLUMNS, usecols=list(COLUMNS), keep_default_na=False)
    except FileNotFoundError:
        raise UserError(f"{path} not found: run the stage that writes it (dvc repro)") from None
    except ValueError as error:
        problem = " ".join(str(error).split())
        raise UserError(f"{path} is not an index ({problem}): run the stage that writes it again") from None
    return index[list(COLUMNS)]


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
