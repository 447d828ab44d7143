"""Reads prepared frames: the memory-mapped pixels of one or several data sets, and the index of their rows."""

import mmap
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import one_line_errors, read_index, read_splits

# further columns of the rows where faces are cropped, in pixels of the prepared frame
_POINTS = ("eye_left", "eye_right", "nose", "mouth_left", "mouth_right")
LANDMARKS = [f"{point}_{axis}" for point in _POINTS for axis in "xy"]
# the column after them: how many pixels of the frame go into one of the prepared frame, along a side
SCALE = "scale"


class Pixels(Protocol):
    """Frames, uint8 of shape (frames, size, size, 3): an array, or several of one size that are counted through."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> Any: ...


class StackedPixels:
    """Several arrays of frames as one, without a copy. Pickled, a memory-mapped one is the name of its file."""

    def __init__(self, arrays: Sequence[Pixels]) -> None:
        self.arrays = list(arrays)
        self.ends = list(accumulate(map(len, self.arrays)))
        self.shape = (self.ends[-1] if self.ends else 0, *self.arrays[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, row: int, /) -> NDArray[np.uint8]:
        part = int(np.searchsorted(self.ends, row, side="right"))
        frame: NDArray[np.uint8] = self.arrays[part][row - (self.ends[part - 1] if part else 0)]
        return frame

    def __getstate__(self) -> dict[str, Any]:
        # numpy pickles a memory map as a copy of its whole content; a spawned worker can map the file itself instead
        return self.__dict__ | {"arrays": [_named(array) for array in self.arrays]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        arrays = [
            np.memmap(each.name, each.dtype, "r", each.offset, each.shape) if isinstance(each, _Mapped) else each
            for each in state["arrays"]
        ]
        self.__dict__ = state | {"arrays": arrays}


class _Mapped(NamedTuple):
    """The location of a memory-mapped array in its file."""

    name: str
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]


def _named(array: Pixels) -> Any:
    if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap) and array.flags.c_contiguous:
        return _Mapped(str(array.filename), array.dtype, array.offset, array.shape)
    return array


def open_prepared(folder: Path, splits: Path, dataset: str | None = None) -> tuple[Pixels, pd.DataFrame]:
    """The pixels in a folder such as data/prepared/train, and the index of their rows with ``split`` and ``group``.

    ``dataset`` takes one data set instead of all. The index of the rows numbers the frames in the pixels. ``splits``
    is a table with SPLIT_COLUMNS, which may hold further frames. Raises UserError when a file is missing or damaged, or
    when a frame has no split.
    """
    pixels, rows = open_set(folder, dataset)
    table = read_splits(splits).set_index("path")
    if not table.index.is_unique or not rows["path"].isin(table.index).all():
        raise UserError(f"{splits} and {folder} do not list the same frames; run `dvc repro`")
    told = table.reindex(rows["path"]).set_axis(rows.index)
    return pixels, rows.assign(split=told["split"], group=told["group"])


def open_set(folder: Path, dataset: str | None = None) -> tuple[Pixels, pd.DataFrame]:
    """As ``open_prepared``, without splits: ``group`` is the data set's own. SCALE is there if faces were cropped."""
    tables = _tables(folder, dataset)
    rows = [read_index(table).join(_scales(table)) for table in tables]
    arrays = [_open_pixels(table.with_suffix(".npy"), len(part)) for table, part in zip(tables, rows, strict=True)]
    pixels = [array for array in arrays if len(array)] or arrays[:1]
    return StackedPixels(pixels), pd.concat(rows, ignore_index=True)


def open_landmarks(folder: Path) -> NDArray[np.float32] | None:
    """The landmarks of prepared frames, shape (frames, 5, 2) in their pixels; None if whole frames were prepared.

    They are those of the face that the crop is of. Raises UserError as ``open_prepared`` does.
    """
    points = []
    for table in _tables(folder, None):
        with one_line_errors(table, "an index"):
            if LANDMARKS[0] not in pd.read_csv(table, nrows=0):
                return None
            points.append(pd.read_csv(table, usecols=LANDMARKS, dtype=np.float32)[LANDMARKS].to_numpy())
    return np.concatenate(points).reshape(-1, len(LANDMARKS) // 2, 2)


def _scales(table: Path) -> pd.DataFrame:
    with one_line_errors(table, "an index"):
        return pd.read_csv(table, usecols=lambda name: name == SCALE)


def _tables(folder: Path, dataset: str | None) -> list[Path]:
    tables = sorted(folder.glob("*.csv")) if dataset is None else [folder / f"{dataset}.csv"]
    if not tables:
        raise UserError(f"{folder} holds no prepared frames: name a data set with use: {folder.name} in datasets")
    return tables


def _open_pixels(file: Path, frames: int) -> NDArray[np.uint8]:
    try:
        pixels = np.load(file, mmap_mode="r")
    except FileNotFoundError:
        raise UserError(f"{file} not found: run the stage that writes it (dvc repro)") from None
    except (ValueError, EOFError):  # a truncated file, or Python objects, which are never unpickled
        raise UserError(f"{file}: not an array of pixels; run `dvc repro prepare`") from None
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or len(pixels) != frames or pixels.shape[3] != 3:
        raise UserError(f"{file}: not the pixels of {frames} frames; run `dvc repro prepare`")
    found: NDArray[np.uint8] = pixels
    return found
