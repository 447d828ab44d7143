"""Decodes and resizes every frame once."""

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from deepfake_detection.cpus import cpu_count
from deepfake_detection.images import read_rgb
from deepfake_detection.prepared import PIXELS, ROWS


def prepare_frames(index: pd.DataFrame, folder: Path, size: int, workers: int | None = None) -> None:
    """Writes ``pixels.npy``, uint8 of shape (frames, size, size, 3), and ``index.csv`` with its rows.

    ``index`` carries the absolute ``filepath`` of each frame. Pixels are RGB, squeezed to a square
    with Pillow's antialiased bilinear filter, and do not depend on the number of workers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / PIXELS
    pixels = np.lib.format.open_memmap(target, mode="w+", dtype=np.uint8, shape=(len(index), size, size, 3))
    if hasattr(os, "posix_fallocate"):  # else a disk that fills up ends the process with a bus error
        with target.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, target.stat().st_size)
    read = partial(_read_square, size=size)
    with ProcessPoolExecutor(workers or cpu_count()) as pool:
        frames = pool.map(read, index["filepath"], chunksize=16)
        for row, frame in enumerate(tqdm(frames, "preparing frames", len(index), unit="frame")):
            pixels[row] = frame
    pixels.flush()
    index.drop(columns="filepath").to_csv(folder / ROWS, index=False)


def _read_square(path: str, size: int) -> NDArray[np.uint8]:
    frame = Image.fromarray(read_rgb(Path(path)))
    return np.asarray(frame.resize((size, size), Image.Resampling.BILINEAR))
