"""Keeps the frames of a video, so that it is decoded once."""

from tempfile import SpooledTemporaryFile, gettempdir
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.text import system_words

IN_MEMORY = 2**28  # bytes; what is more goes to a temporary file

Pixels = NDArray[np.uint8]


class KeptFrames:
    """Frames by their times in seconds, uint8 of shape (height, width, 3). It is a context, at whose end all are gone.

    Up to IN_MEMORY bytes are in memory, and more in a temporary file without a name. A frame that is the same array as
    the one before it takes no space.
    """

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  closed by __exit__
        self._places: dict[float, tuple[int, tuple[int, ...]]] = {}
        self._last: tuple[Pixels, tuple[int, tuple[int, ...]]] | None = None

    def __enter__(self) -> "KeptFrames":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._last = None
        self._file.close()

    def add(self, seconds: float, pixels: Pixels) -> None:
        """Keeps a frame. Raises UserError if there is no space for it."""
        if self._last is None or self._last[0] is not pixels:
            start = self._file.seek(0, 2)
            try:
                self._file.write(np.ascontiguousarray(pixels).data)
            except OSError as error:
                where = f"{gettempdir()}: the frames of a video cannot be kept there ({system_words(error)})"
                raise UserError(f"{where}; set TMPDIR to a folder with more space") from None
            self._last = pixels, (start, pixels.shape)
        self._places[seconds] = self._last[1]

    def __getitem__(self, seconds: float) -> Pixels:
        start, shape = self._places[seconds]
        self._file.seek(start)
        read = self._file.read(int(np.prod(shape)))
        return np.frombuffer(read, np.uint8).reshape(shape)
