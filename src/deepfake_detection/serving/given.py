"""What a caller gives to be judged: paths, PIL images, arrays, and iterables of these; and their pixels."""

import os
from collections.abc import Iterable, Mapping
from io import IOBase
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.pictures.faces import Box, DetectedFace, Landmarks
from deepfake_detection.pictures.images import Picture as ReadPicture
from deepfake_detection.pictures.images import UnreadableImageError, opened_picture, read_picture
from deepfake_detection.pictures.kinds import is_video

Pixels = NDArray[np.uint8]
OnePixels: TypeAlias = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]
ManyPixels: TypeAlias = np.ndarray[tuple[int, int, int, int], np.dtype[np.uint8]]
Picture: TypeAlias = str | os.PathLike[str] | Image.Image | Pixels
WANTED = "give a path, a PIL image, or an array of uint8 of shape (height, width, 3)"


def is_one(pictures: object) -> bool:
    """Whether this is one picture or video. Of arrays those of four dimensions are several, and those of paths."""
    if isinstance(pictures, np.ndarray):
        return pictures.ndim != 4 and pictures.dtype.kind not in "OUT"
    return isinstance(pictures, str | os.PathLike | Image.Image)


def several(pictures: Picture | Iterable[Picture]) -> Iterable[Picture]:
    """Raises UserError for what is no picture, and for what would be taken apart into something else than pictures."""
    if is_one(pictures):
        return [cast(Picture, pictures)]
    apart = (bytes, bytearray, memoryview, IOBase, Mapping, torch.Tensor)
    table = hasattr(pictures, "columns")  # of pandas or polars: its elements are columns
    if table or isinstance(pictures, apart) or not isinstance(pictures, Iterable):
        raise UserError(f"{_kind(pictures)} is not pictures: {WANTED}, or an iterable of these")
    return pictures


def names_video(picture: Picture) -> bool:
    """Whether this is the path of a video."""
    return isinstance(picture, str | os.PathLike) and is_video(picture)


def _kind(found: object) -> str:
    return f"a value of type {type(found).__name__}"


def read_given(picture: Any) -> ReadPicture:
    """The pixels. Raises UnreadableImageError for what is no picture, or cannot be read."""
    if isinstance(picture, str | os.PathLike):
        return read_picture(Path(picture))
    if isinstance(picture, Image.Image):
        return opened_picture(picture)
    if not isinstance(picture, np.ndarray):
        raise UnreadableImageError(f"{_kind(picture)} is not a picture: {WANTED}")
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        there = f"{picture.dtype} of shape {picture.shape}"
        raise UnreadableImageError(f"an array must be uint8 of shape (height, width, 3), not {there}")
    return ReadPicture(picture, 1, picture.shape[1], picture.shape[0])


def in_file(box: Box, read: ReadPicture) -> Box:
    """The box in the pixels of the file, which may have been read reduced."""
    right, bottom = min(box.right * read.scale, read.width), min(box.bottom * read.scale, read.height)
    return Box(box.left * read.scale, box.top * read.scale, right, bottom, box.score)


def face_in_file(face: DetectedFace, read: ReadPicture) -> DetectedFace:
    """The box and the landmarks in the pixels of the file."""
    return DetectedFace(in_file(face.box, read), Landmarks(*(value * read.scale for value in face.landmarks)))
