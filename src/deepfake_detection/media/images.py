"""Reads a picture as upright RGB pixels, or raises an error that says in a few words why it cannot.

Pillow warns of malformed metadata, and of very many pixels. Such a warning reaches the program as from any library.
It cannot be hidden here: warnings' filters belong to the whole process, and two threads that set and restore them can
leave a program silent for good. Stages and commands set a filter when they start.
"""

import contextlib
import io
import os
from pathlib import Path
from threading import Lock

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
_OPENED_LOCK = Lock()  # an opened image reads its file when it is first used, and must not do so twice at a time

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
        with Image.open(_ReadLimited(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            # the compressed pixels cannot contain these two bytes
            scans = content.count(b"\xff\xda") if isinstance(image, JpegImageFile) else 1
            if image.width * image.height * scans > MAX_SCANNED_PIXELS or scans > MAX_READS:
                raise _TooMuchWorkError
            return _upright(image)
    except (MemoryError, UnreadableImageError):
        raise  # a MemoryError is about the machine, not about the file
    except Exception as error:  # Pillow's decoders raise almost anything on malformed files
        raise UnreadableImageError(_reason(path, error)) from error


def opened_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """The upright pixels of an image that Pillow has opened or made, as read_rgb gives them for a file.

    The image itself stays as it is. An animation gives the picture that is current. 32-bit grey is taken for 16-bit.
    Several threads may give the same image. Raises UnreadableImageError as read_rgb does, and for an image whose mode
    has no known range (F) or that Pillow cannot make RGB (La).
    """
    if image.width * image.height > MAX_PIXELS:
        raise UnreadableImageError("too many pixels")
    try:
        with _OPENED_LOCK:
            image.load()
            if image.mode in ("F", "La"):
                raise UnreadableImageError(f"an image of mode {image.mode}: convert it to RGB first")
            return _upright(image)
    except (MemoryError, UnreadableImageError):
        raise
    except Exception as error:
        raise UnreadableImageError(_reason(None, error)) from error


def _upright(image: Image.Image) -> NDArray[np.uint8]:
    rgb, orientation = _to_rgb(image), _orientation(image)
    return np.array(rgb.transpose(_TRANSPOSES[orientation]) if orientation in _TRANSPOSES else rgb)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # convert() would clip at 255. Pillow keeps the high byte of 16-bit colour, so do the same for grey.
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if isinstance(image.info.get("transparency"), bytes):
        # one alpha for each colour of a palette: Pillow would warn, because RGB cannot keep it
        image = image.copy()
        del image.info["transparency"]
    return image.convert("RGB")


def _orientation(image: Image.Image) -> object:
    # ImageOps.exif_transpose is not used: it rewrites the EXIF data and fails on a malformed tag.
    # Malformed EXIF data says nothing about the pixels, so they are kept as stored.
    with contextlib.suppress(Exception):
        return image.getexif().get(ExifTags.Base.Orientation)
    return None


def _reason(path: Path | None, error: Exception) -> str:
    match error:
        case Image.DecompressionBombError() | Image.DecompressionBombWarning():  # if warnings are errors
            return "too many pixels"
        case _TooMuchWorkError():
            return "too much work to decode"
        case OSError(errno=int(number)):
            return os.strerror(number).lower()
        case UnidentifiedImageError():
            return "empty file" if path and not path.stat().st_size else "not an image in a known format"
        case _:
            return "truncated" if "truncated" in str(error).lower() else "damaged"
