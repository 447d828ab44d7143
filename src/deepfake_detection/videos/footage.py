"""Gives the pixels of the rows of tables: of pictures, and of frames of videos, which are read where the videos lie.

No frame of a video is a file. The path of its row is that of the video, a slash and the number of the frame:
``own/files/fake/a.mp4/000007``.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import FILES, SOURCE, VIDEO_FRAMES
from deepfake_detection.pictures.images import UnreadableImageError, read_rgb

if TYPE_CHECKING:
    from deepfake_detection.videos.video import Frame

Folders = Mapping[str, Path]
"""The users' folders of data sets, by the name of the data set. They come from params.yaml, which is trusted."""
NO_FOLDERS: Folders = {}


def frame_path(video: str, number: int) -> str:
    """The path of the row of a frame."""
    return f"{video}/{number:06d}"


def file_of(path: str) -> str:
    """The path of the file that has a row's pixels: the video, or the picture itself, whose name has a suffix."""
    video, _, number = path.rpartition("/")
    return video if number.isdecimal() else path


def read_pixels(raw: Path, folders: Folders, paths: Sequence[str]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yields rows of one file with their upright RGB pixels, each of shape (height, width, 3).

    ``paths`` is that of a picture, or those of frames of one video, which is decoded once and no further than needed.
    Frames come in the order in which they are shown. Pictures lie below ``raw``; videos too, or in ``folders``.
    Raises UnreadableImageError, also if the video has no such frame.
    """
    if (file := file_of(paths[0])) == paths[0]:
        yield file, read_rgb(raw / file)
        return
    waiting = set(paths)
    for frame in sound_frames(place_of(raw, folders, file), frames_a_video(raw, file)):
        if (path := frame_path(file, frame.number)) in waiting:
            waiting.remove(path)
            yield path, frame.pixels
        if not waiting:
            return
    raise UnreadableImageError(f"no frame {min(waiting).rpartition('/')[2]}")


def place_of(raw: Path, folders: Folders, video: str) -> Path:
    """Where a video is: in the user's folder, or below ``raw`` if it was downloaded."""
    name, _, file = video.partition(f"/{FILES}/")
    return folders[name] / file if name in folders else raw / video


def frames_a_video(raw: Path, file: str) -> int:
    """How many frames are taken of each video of the data set that has a file. Raises UserError if nobody says it."""
    table = raw / file.partition("/")[0] / SOURCE
    try:
        count = json.loads(table.read_text(encoding="utf-8")).get(VIDEO_FRAMES)
    except (OSError, ValueError, AttributeError):
        count = None
    if not isinstance(count, int) or count < 1:
        raise UserError(f"{table} does not say how many frames are taken of a video; run `dvc repro download`")
    return count


def sound_frames(video: Path, count: int) -> Iterator["Frame"]:
    """Yields up to ``count`` frames of a video, as ``Video`` takes them, without those that are damaged.

    A picture that is on show at several of the times is one frame. Of a video that breaks off it yields what is there,
    and raises UnreadableImageError if that is nothing.
    """
    from deepfake_detection.videos.video import NONE_SOUND, Video  # slow to import, and most data sets have no videos

    numbers: set[int] = set()
    try:
        for frame in Video(video, count).frames():
            if frame.number not in numbers and not frame.damaged:
                numbers.add(frame.number)
                yield frame
    except UnreadableImageError:
        if not numbers:
            raise
    if not numbers:
        raise UnreadableImageError(NONE_SOUND)
