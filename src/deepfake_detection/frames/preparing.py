"""Decodes, crops and resizes every frame once. ``prepared`` reads the result."""

import hashlib
import io
import os
import shutil
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import accumulate, compress, groupby, islice, zip_longest
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepfake_detection.common.crop_rule import CropRule
from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing, sha256_of
from deepfake_detection.common.parallel import map_in_processes
from deepfake_detection.common.tables import CHUNK_ROWS, COLUMNS, one_line_errors, read_index, read_paths
from deepfake_detection.frames.prepared import LANDMARKS, SCALE
from deepfake_detection.pictures.crops import crop_face, in_crop, scale_of
from deepfake_detection.pictures.faces import FACE_COLUMNS, Box, DetectedFace, Landmarks
from deepfake_detection.pictures.images import UnreadableImageError
from deepfake_detection.videos.footage import NO_FOLDERS, Folders, file_of, place_of, read_pixels

Framed = tuple[str, DetectedFace | None]  # the path of a row, and the face to crop


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
    folders: Folders = NO_FOLDERS,
    work: Path | None = None,
) -> None:
    """Writes pixels, uint8 of shape (frames, size, size, 3), to ``to`` with the suffix .npy, and their rows to .csv.

    ``index`` is an index file, whose paths are relative to ``raw``. ``wanted`` says which of its frames to take; None
    takes all. ``faces`` is a table with the face of each frame of the index; without it whole frames are used, and
    with it the rows have LANDMARKS and SCALE as further columns. Videos of data sets in ``folders`` lie there.
    The folder ``work`` keeps pixels for a run that goes on after this one was killed.
    Pixels are RGB, as ``crop_face`` returns them for ``rule`` and ``margin``, and do not depend on the number of
    workers. Memory does not grow with the number of frames. Raises UserError when ``index`` is not an index, when
    ``faces`` does not belong to it, or when a frame cannot be read any more.
    """
    chosen = [True] * len(read_index(index, ["label"])) if wanted is None else wanted
    read = partial(_read_crops, raw, folders, rule, margin, size)
    ends = list(accumulate(len(list(rows)) for _, rows in groupby(compress(read_paths(index), chosen), file_of)))
    count, frame_bytes = sum(chosen), 3 * size**2
    header = _header((count, size, size, 3))
    # both files at once, so that they always match
    with replacing(to.with_suffix(".npy"), to.with_suffix(".csv")) as (pixels, rows):
        part = work / _key(index, faces, raw, folders, chosen, (rule, margin, size)) if work else pixels
        part.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        # Not through a memory map: its pages would count as this process's memory, and a full disk would kill the
        # process with a bus error.
        with part.open("r+b") as file:
            done = bisect_right(ends, (part.stat().st_size - len(header)) // frame_bytes)
            file.write(header)
            file.seek(ends[done - 1] * frame_bytes if done else 0, os.SEEK_CUR)
            file.truncate()
            framed = groupby(compress(_faces_of(index, faces), chosen), lambda frame: file_of(frame[0]))
            files, large = islice((list(frames) for _, frames in framed), done, None), len(ends) < count
            for crops in map_in_processes(read, files, len(ends) - done, workers, "preparing frames", "file", large):
                file.write(crops.data)
        if work:  # a second name, because DVC removes what is in place before a run that goes on
            _link(part, pixels)
        points = partial(in_crop, rule=rule, margin=margin, size=size)
        _copy_rows(index, rows, chosen, read_faces(faces) if faces else None, points)


def _header(shape: tuple[int, ...]) -> bytes:
    """What a .npy file of pixels begins with."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return header.getvalue()


def _key(
    index: Path, faces: Path | None, raw: Path, folders: Folders, chosen: Sequence[bool], crop: tuple[object, ...]
) -> str:
    """A name that is another one if a file changes that pixels are made of, or what is made of it."""
    told = hashlib.sha256(repr(crop).encode() + bytes(chosen))
    for table in filter(None, (index, faces)):
        told.update(sha256_of(table).encode())
    for file, paths in groupby(compress(read_paths(index), chosen), file_of):
        with suppress(OSError):  # reading it says what is wrong
            state = (raw / file if file == next(paths) else place_of(raw, folders, file)).stat()
            told.update(f"{state.st_size} {state.st_mtime_ns} ".encode())
    return told.hexdigest()[:32]


def _link(file: Path, to: Path) -> None:
    """A second name for a file that only we have, or a copy where the file system has no such links."""
    try:
        to.hardlink_to(file)
    except OSError:
        shutil.copyfile(file, to)


def _copy_rows(
    index: Path,
    rows: Path,
    chosen: Sequence[bool],
    found: Iterator[tuple[str, DetectedFace]] | None,
    points_of: Callable[..., Landmarks],
) -> None:
    """Copies the chosen rows of an index, with LANDMARKS and SCALE of the faces, and at most CHUNK_ROWS in memory."""
    with rows.open("w", encoding="utf-8", newline="") as file:
        start = 0
        for chunk in pd.read_csv(index, dtype=str, keep_default_na=False, chunksize=CHUNK_ROWS):
            if found:
                sizes = zip(chunk["width"].astype(int), chunk["height"].astype(int), strict=True)
                faces = [(face, points_of(face, frame=frame)) for frame, (_, face) in zip(sizes, found)]  # noqa: B905
                chunk[LANDMARKS] = np.array([points for _, points in faces]).round(2)
                chunk[SCALE] = np.round([scale_of(*each) for each in faces], 3)
            columns = [*COLUMNS, *([*LANDMARKS, SCALE] if found else [])]
            kept = chunk.loc[list(chosen[start : start + len(chunk)]), columns]
            kept.to_csv(file, index=False, lineterminator="\n", header=start == 0)
            start += len(chunk)


def _faces_of(index: Path, faces: Path | None) -> Iterator[Framed]:
    if faces is None:
        yield from ((path, None) for path in read_paths(index))
        return
    for path, found in zip_longest(read_paths(index), read_faces(faces)):
        if path is None or found is None or found[0] != path:
            raise UserError(f"{faces} and {index} do not list the same frames; run `dvc repro`")
        yield found


def _read_crops(
    raw: Path, folders: Folders, rule: CropRule, margin: float, size: int, frames: list[Framed]
) -> NDArray[np.uint8]:
    """The crops of frames of one file, in their order: shape (frames, size, size, 3)."""
    places = {path: place for place, (path, _) in enumerate(frames)}
    crops = np.empty((len(frames), size, size, 3), np.uint8)
    try:
        for path, pixels in read_pixels(raw, folders, list(places)):
            crops[places[path]] = crop_face(pixels, frames[places[path]][1], rule, margin, size)
    except UnreadableImageError as error:
        file = file_of(frames[0][0])
        raise UserError(f"{file}: {error}: fix or remove it, then index the frames again (dvc repro)") from None
    return crops


def read_faces(path: Path) -> Iterator[tuple[str, DetectedFace]]:
    """Yields the paths and faces of a file of faces, with at most CHUNK_ROWS in memory.

    Raises UserError when the file is missing or is not a table of faces.
    """
    types = {"path": str, **Box.__annotations__, **Landmarks.__annotations__}
    with one_line_errors(path, "a table of faces"):
        for chunk in pd.read_csv(path, dtype=types, usecols=FACE_COLUMNS, keep_default_na=False, chunksize=CHUNK_ROWS):
            for name, *numbers in chunk[FACE_COLUMNS].itertuples(index=False):
                yield name, DetectedFace(Box(*numbers[: len(Box._fields)]), Landmarks(*numbers[len(Box._fields) :]))
