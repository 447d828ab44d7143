"""Reading an image file as upright RGB pixels, whatever it holds, or saying in a few words why not."""

import contextlib
import io
import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

FORMATS = ("JPEG", "PNG", "BMP", "WEBP")
# Twice an 8K film frame. Below Pillow's own limit, which only warns.
MAX_PIXELS = 2**26
MAX_BYTES = 2**27
# Bounds of work, not of time: a busy or slow machine rejects the same files, and a decoder's C code could not be
# interrupted anyway. Without them a JPEG of 1 MB can take minutes, in thousands of passes over 64 megapixels.
MAX_SCANNED = 2**30  # pixels that all passes ("scans") of a JPEG go over, about 1 ns each
MAX_READS = 2**20  # Pillow reads markers, chunks and runs of pixels one by one, at up to 3 us

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnreadableImageError(Exception):
    """An image file that gives no pixels; the message is a short reason, the same on every machine."""


class _TooMuchWorkError(Exception):
    pass


class _Metered(io.BytesIO):
    """A file's bytes, which may be read MAX_READS times."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > MAX_READS:
            raise _TooMuchWorkError
        return super().read(size)


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """The pixels of a JPEG, PNG, BMP or WebP file, shape (height, width, 3), 0 to 255, upright.

    The EXIF orientation is applied; grey, palette and CMYK become RGB; alpha is dropped, not
    blended; 16-bit grey is scaled (65535 becomes 255). Of an animation, the first picture.

    Raises UnreadableImageError for a file that cannot be opened or decoded whole: "empty file",
    "not an image in a known format", "truncated", "damaged", "too many pixels" (more than
    MAX_PIXELS), "too many bytes" (more than MAX_BYTES), "too much work to decode" (MAX_SCANNED or
    MAX_READS exceeded), or the system's words ("permission denied").
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UnreadableImageError("too many bytes")
        content = path.read_bytes()
        # Pillow warns of oddities that it gets over; what it does not get over raises.
        with warnings.catch_warnings(action="ignore"), Image.open(_Metered(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            # in the pixels' own data no such pair of bytes can be
            scans = content.count(b"\xff\xda") if isinstance(image, JpegImageFile) else 1
            if image.width * image.height * scans > MAX_SCANNED or scans > MAX_READS:
                raise _TooMuchWorkError
            rgb = _to_rgb(image)
            orientation = _orientation(image)
    except (MemoryError, UnreadableImageError):
        raise  # the former says something of the machine, not of the file
    except Exception as error:  # on malformed files Pillow's decoders raise nearly anything
        raise UnreadableImageError(_reason(path, error)) from error
    return np.array(rgb.transpose(_TURNS[orientation]) if orientation in _TURNS else rgb)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # convert() would clip at 255. The high byte is what Pillow takes of 16-bit colour.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")


def _orientation(image: Image.Image) -> object:
    # Not ImageOps.exif_transpose: it writes the EXIF anew and fails where a tag is malformed.
    # Malformed EXIF says nothing about the pixels, so they are kept as stored.
    with contextlib.suppress(Exception):
        return image.getexif().get(ExifTags.Base.Orientation)
    return None


def _reason(path: Path, error: Exception) -> str:
    match error:
        case Image.DecompressionBombError():
            return "too many pixels"
        case _TooMuchWorkError():
            return "too much work to decode"
        case OSError(errno=int(number)):
            return os.strerror(number).lower()
        case UnidentifiedImageError():
            return "not an image in a known format" if path.stat().st_size else "empty file"
        case _:
            return "truncated" if "truncated" in str(error).lower() else "damaged"
