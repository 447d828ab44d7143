"""Decodes and resizes every frame once."""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepfake_detection.cpus import map_in_processes
from deepfake_detection.files import replacing
from deepfake_detection.images import read_rgb
from deepfake_detection.prepared import PIXELS, ROWS
from deepfake_detection.tables import read_index, read_paths


def prepare_frames(index: Path, raw: Path, folder: Path, size: int, workers: int | None = None) -> None:
    """Writes ``pixels.npy``, uint8 of shape (frames, size, size, 3), and ``index.csv`` with its rows into ``folder``.

    ``index`` is a written index, whose paths are relative to ``raw``. Pixels are RGB, squeezed to a square
    with Pillow's antialiased bilinear filter, and do not depend on the number of workers. Memory does
    not grow with the number of frames. Raises UserError when ``index`` is none.
    """
    frames = len(read_index(index, ["label"]))
    read = partial(_read_square, raw, size)
    with replacing(folder) as (part,):  # as one: pixels never lie beside the rows of others
        part.mkdir()
        # Not through a memory map: its pages would count as this process's memory, and a full disk would end it
        # with a bus error.
        with (part / PIXELS).open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (frames, size, size, 3)}
            np.lib.format.write_array_header_1_0(file, header)
            for frame in map_in_processes(read, read_paths(index), frames, workers, "preparing frames", "frame"):
                file.write(frame.data)
        shutil.copyfile(index, part / ROWS)


def _read_square(raw: Path, size: int, path: str) -> NDArray[np.uint8]:
    frame = Image.fromarray(read_rgb(raw / path))
    return np.asarray(frame.resize((size, size), Image.Resampling.BILINEAR))
