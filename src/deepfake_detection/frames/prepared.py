"""Reads prepared frames: the memory-mapped pixels, and the index of their rows."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import one_line_errors, read_index, read_splits

PIXELS, ROWS = "pixels.npy", "index.csv"
# further columns of ROWS where faces are cropped, in pixels of the prepared frame
_POINTS = ("eye_left", "eye_right", "nose", "mouth_left", "mouth_right")
LANDMARKS = [f"{point}_{axis}" for point in _POINTS for axis in "xy"]


def open_prepared(folder: Path, splits_csv: Path) -> tuple[NDArray[np.uint8], pd.DataFrame]:
    """Returns the memory-mapped pixels, and the index of their rows with the ``split`` of each frame.

    The splits may be of further frames too. Raises UserError when a file is missing or damaged, or when a frame has no
    split.
    """
    rows = read_index(folder / ROWS)
    splits = read_splits(splits_csv).set_index("path")["split"]
    if not splits.index.is_unique or not rows["path"].isin(splits.index).all():
        raise UserError(f"{splits_csv} and {folder} do not list the same frames; run `dvc repro`")
    return open_pixels(folder, len(rows)), rows.assign(split=splits.reindex(rows["path"]).to_numpy())


def open_pixels(folder: Path, frames: int) -> NDArray[np.uint8]:
    """The memory-mapped pixels of so many frames. Raises UserError when they are missing or damaged."""
    try:
        pixels = np.load(folder / PIXELS, mmap_mode="r")
    except (ValueError, EOFError):  # a truncated file, or Python objects, which are never unpickled
        raise UserError(f"{folder / PIXELS}: not an array of pixels; run `dvc repro prepare`") from None
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or len(pixels) != frames or pixels.shape[3] != 3:
        raise UserError(f"{folder / PIXELS}: not the pixels of {frames} frames; run `dvc repro prepare`")
    found: NDArray[np.uint8] = pixels
    return found


def open_unlabelled(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
    """The pixels and the landmarks of frames without labels. Raises UserError as ``open_prepared`` does."""
    return open_pixels(folder, len(read_index(folder / ROWS, ["path"]))), open_landmarks(folder)


def open_landmarks(folder: Path) -> NDArray[np.float32] | None:
    """The landmarks of prepared frames, shape (frames, 5, 2) in their pixels; None if whole frames were prepared.

    They are those of the face that the crop is of. Raises UserError as ``open_prepared`` does.
    """
    with one_line_errors(folder / ROWS, "an index"):
        if LANDMARKS[0] not in pd.read_csv(folder / ROWS, nrows=0):
            return None
        points = pd.read_csv(folder / ROWS, usecols=LANDMARKS, dtype=np.float32)[LANDMARKS]
    return points.to_numpy().reshape(-1, len(LANDMARKS) // 2, 2)
