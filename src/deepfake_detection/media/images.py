"""Reads an image file as upright RGB pixels, or raises an error that says in a few words why it cannot."""

import contextlib
import io
import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
FORMATS = ("JPEG", "PNG", "BMP", "WEBP")
# Twice the pixels of an 8K film frame. This is below Pillow's own limit, which only gives a warning.
MAX_PIXELS = 2**26
MAX_BYTES = 2**27
# These limit the work, not the time, so a busy or slow machine rejects the same files. A decoder's C code could not
# be interrupted anyway. Without these limits a JPEG of 1 MB can take minutes: thousands of passes over 64 megapixels.
MAX_SCANNED_PIXELS = 2**30  # pixels in all passes ("scans") of a JPEG together, about 1 ns each
MAX_READS = 2**20  # Pillow reads markers, chunks and runs of pixels one by one, at up to 3 us each

_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnreadableImageError(Exception):
    """An image file that gives no pixels. The message is a short reason, the same on every machine."""


class _TooMuchWorkError(Exception):
    pass


class _ReadLimited(io.BytesIO):
    """A file's bytes, which can be read at most MAX_READS times."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > MAX_READS:
            raise _TooMuchWorkError
        return super().read(size)


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """The upright pixels of a JPEG, PNG, BMP or WebP file, shape (height, width, 3), values 0 to 255.

    The EXIF orientation is applied. Grey, palette and CMYK images become RGB. Alpha is dropped, not
    blended. 16-bit grey is scaled (65535 becomes 255). An animation gives its first picture.

    Raises UnreadableImageError for a file that cannot be opened or completely decoded: "empty file",
    "not an image in a known format", "truncated", "damaged", "too many pixels" (more than
    MAX_PIXELS), "too many bytes" (more than MAX_BYTES), "too much work to decode" (MAX_SCANNED_PIXELS or
    MAX_READS exceeded), or the operating system's message ("permission denied").
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UnreadableImageError("too many bytes")
        content = path.read_bytes()
        # Pillow gives warnings for problems that it can handle, and raises for the others.
        with warnings.catch_warnings(action="ignore"), Image.open(_ReadLimited(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            # the compressed pixels cannot contain these two bytes
            scans = content.count(b"\xff\xda") if isinstance(image, JpegImageFile) else 1
            if image.width * image.height * scans > MAX_SCANNED_PIXELS or scans > MAX_READS:
                raise _TooMuchWorkError
            rgb = _to_rgb(image)
            orientation = _orientation(image)
    except (MemoryError, UnreadableImageError):
        raise  # a MemoryError is about the machine, not about the file
    except Exception as error:  # Pillow's decoders raise almost anything on malformed files
        raise UnreadableImageError(_reason(path, error)) from error
    return np.array(rgb.transpose(_TRANSPOSES[orientation]) if orientation in _TRANSPOSES else rgb)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # convert() would clip at 255. Pillow keeps the high byte of 16-bit colour, so do the same for grey.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")


def _orientation(image: Image.Image) -> object:
    # ImageOps.exif_transpose is not used: it rewrites the EXIF data and fails on a malformed tag.
    # Malformed EXIF data says nothing about the pixels, so they are kept as stored.
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
