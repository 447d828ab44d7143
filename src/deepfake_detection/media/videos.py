"""Samples the frames of a video at even intervals."""

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from deepfake_detection.common.text import system_words
from deepfake_detection.media.images import MAX_PIXELS, UnreadableImageError
from deepfake_detection.media.kinds import file_kind

# only plain files: no playlist that names other files, and no network address, is opened
OPTIONS = {"protocol_whitelist": "file", "format_whitelist": "mov,mp4,avi,matroska,webm,mpeg,mpegts"}
MIN_SEEK_SECONDS = 4.0  # over a longer gap, a jump to the key frame before costs less than decoding every frame


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a file is to be judged as a video: by its first bytes. One that cannot be read is none."""
    try:
        return file_kind(path).read_as == "video"
    except OSError:
        return False


def open_video(path: Path) -> InputContainer:
    """Opens a video as what its first bytes say. FFmpeg by itself would also go by the name.

    Raises UnreadableImageError for what is no video, and OSError or FFmpegError if it cannot be opened.
    """
    kind = file_kind(path)
    if kind.read_as != "video":
        raise UnreadableImageError(kind.words)
    return av.open(str(path), format=kind.name, options=OPTIONS)


def sample_frames(path: Path, count: int) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Yields up to ``count`` frames with their times in seconds from the start.

    The video is divided into ``count`` equal intervals, and the middle frame of each is taken. A video
    with fewer frames gives fewer. Frames are upright RGB of shape (height, width, 3). Raises
    UnreadableImageError, in a few words, for a file that is not a video, has no pictures or breaks off
    before its first frame, and for frames of more than MAX_PIXELS.
    """
    found = 0
    try:
        with open_video(path) as container:
            for seconds, frame in _evenly_taken(container, count):
                if frame.width * frame.height > MAX_PIXELS:
                    raise UnreadableImageError("too many pixels")
                pixels = frame.to_ndarray(format="rgb24")
                found += 1
                yield seconds, np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90))
    except (av.FFmpegError, ValueError, OSError) as error:
        if not found:
            raise UnreadableImageError(_reason(error)) from error
    if not found:
        raise UnreadableImageError("no frame that can be decoded")


def _evenly_taken(container: InputContainer, count: int) -> Iterator[tuple[float, av.VideoFrame]]:
    if not container.streams.video:
        raise UnreadableImageError("a sound file without pictures")
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    start, length = _start_and_duration(container, stream)
    half_frame = 0.5 / float(stream.average_rate or 25)  # half the duration of a frame, in seconds
    frames, now, may_seek = container.decode(stream), start, True
    for time in (start + (number + 0.5) * length / count for number in range(count)):
        if may_seek and time - now > MIN_SEEK_SECONDS:
            container.seek(round(time / _time_base(stream)), stream=stream)
            frames = container.decode(stream)
            if (landed := next(frames, None)) is None:
                return
            # If a jump goes back, key frames are too far apart: each jump would decode the same frames again.
            may_seek = landed.time is None or landed.time > now
            frames = chain([landed], frames)
        nearest = None
        for nearest in frames:  # if intervals are shorter than a frame, each takes the next frame
            now = nearest.time if nearest.time is not None else time
            if now >= time - half_frame:
                break
        if nearest is None:
            return
        yield now - start, nearest


def _start_and_duration(container: InputContainer, stream: av.VideoStream) -> tuple[float, float]:
    """The time at which the pictures start and their duration, both in seconds."""
    start = (stream.start_time or 0) * _time_base(stream)
    if stream.duration:
        return start, stream.duration * _time_base(stream)
    if container.duration:
        return start, container.duration / av.time_base
    # videos recorded by browsers store no duration: only the packets show it
    last = max((packet.pts * _time_base(stream) for packet in container.demux(stream) if packet.pts), default=start)
    container.seek(0)
    return start, last - start


def _time_base(stream: av.VideoStream) -> float:
    return float(stream.time_base or 1)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, av.FFmpegError):
        return system_words(error)
    return "not a video in a known format" if isinstance(error, av.InvalidDataError) else "damaged"
