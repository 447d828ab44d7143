"""Decodes, crops and resizes every frame once. ``prepared`` reads the result."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import compress, zip_longest
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepfake_detection.common.crop_rule import CropRule
from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing
from deepfake_detection.common.parallel import map_in_processes
from deepfake_detection.common.tables import CHUNK_ROWS, COLUMNS, one_line_errors, read_index, read_paths
from deepfake_detection.frames.prepared import LANDMARKS
from deepfake_detection.pictures.crops import crop_face, in_crop
from deepfake_detection.pictures.faces import FACE_COLUMNS, Box, DetectedFace, Landmarks
from deepfake_detection.pictures.images import read_rgb


def prepare_frames(
    index: Path,
    raw: Path,
    to: Path,
    size: int,
    workers: int | None = None,
    faces: Path | None = None,
    rule: CropRule = "face",
    margin: float = 0.0,
    wanted: Sequence[bool] | None = None,
) -> None:
    """Writes pixels, uint8 of shape (frames, size, size, 3), to ``to`` with the suffix .npy, and their rows to .csv.

    ``index`` is an index file, whose paths are relative to ``raw``. ``wanted`` says which of its frames to take; None
    takes all. ``faces`` is a table with the face of each frame of the index; without it whole frames are used, and
    with it the rows have the landmarks in the crop as further columns.
    Pixels are RGB, as ``crop_face`` returns them for ``rule`` and ``margin``, and do not depend on the number of
    workers. Memory does not grow with the number of frames. Raises UserError when ``index`` is not an index, or when
    ``faces`` does not belong to it.
    """
    chosen = [True] * len(read_index(index, ["label"])) if wanted is None else wanted
    frames = sum(chosen)
    read = partial(_read_crop, raw, rule, margin, size)
    # both files at once, so that they always match
    with replacing(to.with_suffix(".npy"), to.with_suffix(".csv")) as (pixels, rows):
        # Not through a memory map: its pages would count as this process's memory, and a full disk would kill the
        # process with a bus error.
        with pixels.open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (frames, size, size, 3)}
            np.lib.format.write_array_header_1_0(file, header)
            cropped = compress(_faces_of(index, faces), chosen)
            for frame in map_in_processes(read, cropped, frames, workers, "preparing frames", "frame"):
                file.write(frame.data)
        points = partial(in_crop, rule=rule, margin=margin, size=size)
        _copy_rows(index, rows, chosen, read_faces(faces) if faces else None, points)


def _copy_rows(
    index: Path,
    rows: Path,
    chosen: Sequence[bool],
    found: Iterator[tuple[str, DetectedFace]] | None,
    points_of: Callable[..., Landmarks],
) -> None:
    """Copies the chosen rows of an index, with the landmarks of the faces, and at most CHUNK_ROWS in memory."""
    with rows.open("w", encoding="utf-8", newline="") as file:
        start = 0
        for chunk in pd.read_csv(index, dtype=str, keep_default_na=False, chunksize=CHUNK_ROWS):
            if found:
                sizes = zip(chunk["width"].astype(int), chunk["height"].astype(int), strict=True)
                points = [points_of(face, frame=frame) for frame, (_, face) in zip(sizes, found)]  # noqa: B905
                chunk[LANDMARKS] = np.array(points).round(2)
            kept = chunk.loc[list(chosen[start : start + len(chunk)]), [*COLUMNS, *(LANDMARKS if found else [])]]
            kept.to_csv(file, index=False, lineterminator="\n", header=start == 0)
            start += len(chunk)


def _faces_of(index: Path, faces: Path | None) -> Iterator[tuple[str, DetectedFace | None]]:
    if faces is None:
        yield from ((path, None) for path in read_paths(index))
        return
    for path, found in zip_longest(read_paths(index), read_faces(faces)):
        if path is None or found is None or found[0] != path:
            raise UserError(f"{faces} and {index} do not list the same frames; run `dvc repro`")
        yield found


def _read_crop(
    raw: Path, rule: CropRule, margin: float, size: int, frame: tuple[str, DetectedFace | None]
) -> NDArray[np.uint8]:
    path, face = frame
    return crop_face(read_rgb(raw / path), face, rule, margin, size)


def read_faces(path: Path) -> Iterator[tuple[str, DetectedFace]]:
    """Yields the paths and faces of a file of faces, with at most CHUNK_ROWS in memory.

    Raises UserError when the file is missing or is not a table of faces.
    """
    types = {"path": str, **Box.__annotations__, **Landmarks.__annotations__}
    with one_line_errors(path, "a table of faces"):
        for chunk in pd.read_csv(path, dtype=types, usecols=FACE_COLUMNS, keep_default_na=False, chunksize=CHUNK_ROWS):
            for name, *numbers in chunk[FACE_COLUMNS].itertuples(index=False):
                yield name, DetectedFace(Box(*numbers[: len(Box._fields)]), Landmarks(*numbers[len(Box._fields) :]))
