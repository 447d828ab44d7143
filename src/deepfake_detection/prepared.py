"""Prepared frames: memory-mapped pixels, and the index of their rows."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepfake_detection.errors import UserError
from deepfake_detection.tables import read_index

PIXELS, ROWS = "pixels.npy", "index.csv"


def open_prepared(folder: Path, splits_csv: Path) -> tuple[NDArray[np.uint8], pd.DataFrame]:
    """The memory-mapped pixels, and the index of their rows with each frame's ``split``.

    Raises UserError when the splits are not those of these frames.
    """
    rows = read_index(folder / ROWS)
    splits = pd.read_csv(splits_csv)
    if not splits["path"].equals(rows["path"]):
        raise UserError(f"{splits_csv} and {folder} do not list the same frames; run `dvc repro`")
    return np.load(folder / PIXELS, mmap_mode="r"), rows.assign(split=splits["split"])
