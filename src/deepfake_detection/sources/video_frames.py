"""Takes frames of videos into files. What a run has taken before it was killed is there for the next one."""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from deepfake_detection.common.files import TEMPORARY
from deepfake_detection.common.parallel import map_in_processes
from deepfake_detection.common.text import system_words
from deepfake_detection.pictures.images import UnreadableImageError
from deepfake_detection.videos.video import NONE_SOUND, Video

# PNG is packed lightly: more effort would take longer than the decoding, for a few percent of the space
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "png": (".png", {"compress_level": 1}),
    "jpeg": (".jpg", {"quality": 95, "subsampling": 0}),
}


class Taken(NamedTuple):
    """The folder that holds the frames of a video, called by their numbers; or None, and the reason."""

    folder: Path | None
    reason: str = ""


def take_frames(
    videos: Sequence[Path], work: Path, count: int, form: str, workers: int | None = None
) -> Iterator[Taken]:
    """Takes up to ``count`` frames of each of ``videos``, evenly as ``Video`` does, and yields them in order.

    Each video has a folder of its own in ``work``, which comes into being whole. If it is there already, for the same
    video and the same wishes, it is not made again. ``form`` is one of FORMATS. A picture that is on show at several of
    the times is one frame. A damaged one is not taken. ``workers`` is as for ``map_in_processes``.
    """
    work.mkdir(parents=True, exist_ok=True)
    take = partial(_take, work, count, form)
    return map_in_processes(take, videos, len(videos), workers, "taking frames of videos", "video")


def numbered(folder: Path) -> list[tuple[int, Path]]:
    """The frames in a folder of ``take_frames``, each with its number in the video."""
    return sorted((int(path.stem), path) for path in folder.iterdir())


def _take(work: Path, count: int, form: str, video: Path) -> Taken:
    try:
        folder = work / _key(video, count, form)
    except OSError as error:
        return Taken(None, system_words(error))
    if folder.is_dir():
        return Taken(folder)
    part = folder.with_name(TEMPORARY + folder.name)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    suffix, options = FORMATS[form]
    taken: set[int] = set()
    reason = NONE_SOUND
    try:
        for frame in Video(video, count).frames():
            if frame.number not in taken and not frame.damaged:
                Image.fromarray(frame.pixels).save(part / f"{frame.number:06d}{suffix}", **options)
                taken.add(frame.number)
    except UnreadableImageError as error:
        reason = str(error)
    if not taken:  # otherwise it gives what it has
        part.rmdir()
        return Taken(None, reason)
    part.rename(folder)
    return Taken(folder)


def _key(video: Path, count: int, form: str) -> str:
    """A name that is another one if the video or the wishes change."""
    state = video.stat()
    told = f"{video.absolute()}\0{state.st_size}\0{state.st_mtime_ns}\0{count}\0{form}"
    return hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()[:32]
