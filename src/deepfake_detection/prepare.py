"""Decodes, crops and resizes every frame once."""

import shutil
from collections.abc import Iterator
from functools import partial
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepfake_detection.cpus import map_in_processes
from deepfake_detection.crops import Box, crop_face
from deepfake_detection.errors import UserError
from deepfake_detection.files import replacing
from deepfake_detection.images import read_rgb
from deepfake_detection.prepared import PIXELS, ROWS
from deepfake_detection.tables import read_index, read_paths
from deepfake_detection.tracks import read_boxes


def prepare_frames(
    index: Path,
    raw: Path,
    folder: Path,
    size: int,
    workers: int | None = None,
    faces: Path | None = None,
    margin: float = 0.0,
) -> None:
    """Writes ``pixels.npy``, uint8 of shape (frames, size, size, 3), and ``index.csv`` with its rows into ``folder``.

    ``index`` is a written index, whose paths are relative to ``raw``; ``faces`` a written table with the box
    of each of its frames, without which whole frames are taken. Pixels are RGB, what ``crop_face`` makes with
    ``margin``, and do not depend on the number of workers. Memory does not grow with the number of frames.
    Raises UserError when ``index`` is none, or ``faces`` is not the one that belongs to it.
    """
    frames = len(read_index(index, ["label"]))
    read = partial(_read_square, raw, margin, size)
    with replacing(folder) as (part,):  # as one: pixels never lie beside the rows of others
        part.mkdir()
        # Not through a memory map: its pages would count as this process's memory, and a full disk would end it
        # with a bus error.
        with (part / PIXELS).open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (frames, size, size, 3)}
            np.lib.format.write_array_header_1_0(file, header)
            for frame in map_in_processes(read, _boxes(index, faces), frames, workers, "preparing frames", "frame"):
                file.write(frame.data)
        shutil.copyfile(index, part / ROWS)


def _boxes(index: Path, faces: Path | None) -> Iterator[tuple[str, Box | None]]:
    if faces is None:
        yield from ((path, None) for path in read_paths(index))
        return
    for path, found in zip_longest(read_paths(index), read_boxes(faces)):
        if path is None or found is None or found[0] != path:
            raise UserError(f"{faces} and {index} do not list the same frames; run `dvc repro`")
        yield found


def _read_square(raw: Path, margin: float, size: int, frame: tuple[str, Box | None]) -> NDArray[np.uint8]:
    path, box = frame
    return crop_face(read_rgb(raw / path), box, margin, size)
