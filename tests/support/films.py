"""Films for tests, of any pictures."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def level(value: float, height: int = 48, width: int = 64) -> Pixels:
    """A picture of one grey."""
    return np.full((height, width, 3), value, np.uint8)


def add_film(container: Any, codec: str = "libx264", rate: int = 10, shape: Any = (48, 64), **options: str) -> Any:
    """A stream for pictures of a height and width."""
    stream = container.add_stream(codec, rate=rate)
    stream.height, stream.width = shape[:2]
    stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    stream.codec_context.thread_count, stream.options = 1, options  # libvpx waits for its threads in busy loops
    return stream


def encoded(stream: Any, pictures: Iterable[Pixels]) -> list[Any]:
    """The packets of a whole stream."""
    frames = (av.VideoFrame.from_ndarray(each, format="rgb24") for each in pictures)
    return list(chain(*map(stream.encode, frames), stream.encode()))


def add_silence(container: Any, blocks: int) -> None:
    """Sound as the last stream, an eighth of a second in each block."""
    stream = container.add_stream("aac", rate=8000)
    container.start_encoding()
    for number in range(blocks):
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate, silence.pts = 8000, 1024 * number
        container.mux(stream.encode(silence))
    container.mux(stream.encode())


def write_film(
    file: Any, pictures: Iterable[Pixels], codec: str = "libx264", rate: int = 10, form: str | None = None, **how: Any
) -> Any:
    """Writes a film into a path or a binary file, which is given back. ``how`` are the encoder's options."""
    first, *others = pictures
    with av.open(str(file) if isinstance(file, Path) else file, "w", format=form) as container:
        stream = add_film(container, codec, rate, first.shape, **how)
        container.mux(encoded(stream, [first, *others]))
    return file
