"""Frames of a video, evenly taken."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from deepfake_detection.images import MAX_PIXELS, UnreadableImageError

SUFFIXES = {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts"}
# files alone: a playlist that names others, or an address, is not opened
OPTIONS = {"protocol_whitelist": "file", "format_whitelist": "mov,mp4,avi,matroska,webm,mpeg,mpegts"}
SKIP = 4.0  # seconds from which a jump to the key frame before costs less than decoding what lies between


def sample_frames(path: Path, count: int) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Up to ``count`` frames from the middles of as many equal stretches, with their seconds from the start.

    Frames are RGB of shape (height, width, 3), upright; fewer where the video has fewer. Raises
    UnreadableImageError, in a few words, for a file that is no video, has no picture or breaks off
    before its first frame, and for frames of more than MAX_PIXELS.
    """
    found = 0
    try:
        with av.open(str(path), options=OPTIONS) as container:
            for seconds, frame in _at(container, count):
                if frame.width * frame.height > MAX_PIXELS:
                    raise UnreadableImageError("too many pixels")
                pixels = frame.to_ndarray(format="rgb24")
                found += 1
                yield seconds, np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90))
    except (av.FFmpegError, ValueError, OSError) as error:
        if not found:
            raise UnreadableImageError(_reason(path, error)) from error
    if not found:
        raise UnreadableImageError("no frame that can be decoded")


def _at(container: InputContainer, count: int) -> Iterator[tuple[float, av.VideoFrame]]:
    if not container.streams.video:
        raise UnreadableImageError("no video in it")
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    start, length = _extent(container, stream)
    half = 0.5 / float(stream.average_rate or 25)  # of a frame, in seconds
    frames, now, jumps = container.decode(stream), start, True
    for time in (start + (number + 0.5) * length / count for number in range(count)):
        if jumps and time - now > SKIP:
            container.seek(round(time / _base(stream)), stream=stream)
            frames = container.decode(stream)
            if (landed := next(frames, None)) is None:
                return
            # behind where it was: key frames are too far apart, and each jump would decode the same stretch again
            jumps = landed.time is None or landed.time > now
            frames = chain([landed], frames)
        nearest = None
        for nearest in frames:  # where stretches are shorter than a frame, each takes the next
            now = nearest.time if nearest.time is not None else time
            if now >= time - half:
                break
        if nearest is None:
            return
        yield now - start, nearest


def _extent(container: InputContainer, stream: av.VideoStream) -> tuple[float, float]:
    """The seconds at which the pictures start, and how long they last."""
    start = (stream.start_time or 0) * _base(stream)
    if stream.duration:
        return start, stream.duration * _base(stream)
    if container.duration:
        return start, container.duration / av.time_base
    # as browsers record it: only the packets tell
    last = max((packet.pts * _base(stream) for packet in container.demux(stream) if packet.pts), default=start)
    container.seek(0)
    return start, last - start


def _base(stream: av.VideoStream) -> float:
    return float(stream.time_base or 1)


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and not path.is_file():
        return error.strerror.lower()
    if path.stat().st_size == 0:
        return "empty file"
    return "not a video in a known format" if isinstance(error, av.InvalidDataError) else "damaged"
