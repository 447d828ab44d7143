"""Reads a picture as upright RGB pixels, or raises an error that says in a few words why it cannot.

Pillow warns of malformed metadata, and of very many pixels. Such a warning reaches the program as from any library.
It cannot be hidden here: warnings' filters belong to the whole process, and two threads that set and restore them can
leave a program silent for good. Stages and commands set a filter when they start.
"""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile

from deepfake_detection.pictures.kinds import file_kind
from deepfake_detection.pictures.segments import (
    MAX_PIECES,
    bare_avif,
    bare_jpeg,
    bare_png,
    ended_jpegs,
    jpeg_coding,
    jpeg_scans,
)

# Twice the pixels of an 8K film frame. This is below Pillow's own limit, which only gives a warning.
MAX_PIXELS = 2**26
# A JPEG of up to this many pixels can be decoded to half its width and height, which never needs all its pixels at
# once. One in several passes needs all their coefficients at once, up to 6 bytes a pixel.
MAX_JPEG_PIXELS = 2**28
MAX_PASSES_PIXELS = 2**27
MAX_BYTES = 2**27
# These limit the work, not the time, so a busy or slow machine rejects the same files. A decoder's C code could not
# be interrupted anyway. Without these limits a JPEG of 1 MB can take minutes: thousands of passes over 64 megapixels.
MAX_SCANNED_PIXELS = 5 * 2**28  # pixels in all passes ("scans") of a JPEG together, about 1 ns each
_OPENED_LOCK = Lock()  # an opened image reads its file when it is first used, and must not do so twice at a time

NOT_READ = "a coding that is not read: convert it to an ordinary JPEG or PNG"
_CLOSED = "an image that was closed: give it while it is open, or give its path"
_BARE = {"AVIF": bare_avif, "JPEG": bare_jpeg, "PNG": bare_png}
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
    """A file's bytes, which can be read at most MAX_PIECES times."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > MAX_PIECES:
            raise _TooMuchWorkError
        return super().read(size)


class Picture(NamedTuple):
    """The upright pixels of a picture, of shape (height, width, 3), and the file's own upright size.

    Each of the pixels stands for ``scale`` x ``scale`` of the file's.
    """

    pixels: NDArray[np.uint8]
    scale: int
    width: int
    height: int


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """The upright pixels of a JPEG, PNG, BMP, WebP, AVIF or GIF file, shape (height, width, 3), values 0 to 255.

    The EXIF orientation is applied. Grey, palette and CMYK images become RGB. Alpha is dropped, not
    blended. 16-bit grey is scaled (65535 becomes 255). A JPEG with further pictures or a film behind it gives its
    main picture.

    Raises UnreadableImageError for a file that cannot be opened or completely decoded. It says what the file is if it
    is no such picture, an animation, or in a coding that is not read. Otherwise it says "empty file", "truncated",
    "damaged", "too many pixels" (more than MAX_PIXELS), "too many bytes" (more than MAX_BYTES), "too much work to
    decode" (MAX_SCANNED_PIXELS or MAX_PIECES exceeded), or the operating system's message ("permission denied").
    """
    return _read(path, MAX_PIXELS).pixels


def read_picture(path: Path) -> Picture:
    """The picture in a file, as read_rgb reads it. JPEGs may have more pixels, and are then decoded to fewer."""
    return _read(path, MAX_JPEG_PIXELS)


def opened_picture(image: Image.Image) -> Picture:
    """The picture that Pillow has opened or made, as read_picture gives it for a file.

    The image itself stays as it is. 32-bit grey is taken for 16-bit. Several threads may give the same image. Raises
    UnreadableImageError as read_picture does, also for one picture of an animation that is not a copy by itself, and
    for an image whose mode has no known range (F) or that Pillow cannot make RGB (La, LAB).
    """
    with _unreadable_if_it_fails():
        with _OPENED_LOCK:
            if getattr(image, "tile", None) and not getattr(image, "fp", None):
                raise UnreadableImageError(_CLOSED)
            if not (isinstance(image, JpegImageFile) and image.tile and image.fp):
                return _picture(image)
            if image.decoderconfig or image.tell():  # the caller's choice: a size, or another picture in the file
                return _picture(image)
            at = image.fp.tell()
            image.fp.seek(0)
            content = image.fp.read(MAX_BYTES)
            image.fp.seek(at)
        return _decoded_jpeg(content, MAX_JPEG_PIXELS)


def _read(path: Path, most_of_a_jpeg: int) -> Picture:
    with _unreadable_if_it_fails():
        kind = file_kind(path)
        if kind.read_as != "picture":
            raise UnreadableImageError(kind.words)
        if path.stat().st_size > MAX_BYTES:
            raise UnreadableImageError(_too_many("bytes", MAX_BYTES))
        content = path.read_bytes()
        try:
            return _decoded(content, kind.name, most_of_a_jpeg)
        except (MemoryError, UnreadableImageError, _TooMuchWorkError, Image.DecompressionBombError):
            raise
        except Exception:
            if kind.name == "JPEG" and (coding := jpeg_coding(content)):
                raise UnreadableImageError(f"a JPEG, {coding}, {NOT_READ}") from None
            if (bare := _BARE.get(kind.name, bytes)(content)) == content:
                raise
            return _decoded(bare, kind.name, most_of_a_jpeg)


def _decoded(content: bytes, format: str, most_of_a_jpeg: int) -> Picture:
    if format == "JPEG":
        return _decoded_jpeg(content, most_of_a_jpeg)
    with Image.open(_ReadLimited(content), formats=[format]) as image:
        return _picture(image)


def _picture(image: Image.Image) -> Picture:
    """The pixels of an image in one go."""
    if image.width * image.height > MAX_PIXELS:
        raise UnreadableImageError(_too_many("pixels", MAX_PIXELS))
    # the further pictures of a JPEG are other views of the main one, or corrections of its brightness
    if (count := getattr(image, "n_frames", 1)) > 1 and not isinstance(image, JpegImageFile):
        name = "WebP" if image.format == "WEBP" else image.format
        what = f"an animated {name}" if name in ("WebP", "PNG", "GIF", "AVIF") else f"a {name} file"
        raise UnreadableImageError(f"{what} of {count} pictures: save one of them by itself, or all of them as a video")
    image.load()
    pixels = _upright(image)
    return Picture(pixels, 1, pixels.shape[1], pixels.shape[0])


def _decoded_jpeg(content: bytes, most: int) -> Picture:
    """The main picture of a JPEG of up to ``most`` pixels. What is behind its end mark does not matter."""
    scans = jpeg_scans(content)
    if scans.ended:
        return _main_picture(content, scans.number, most)
    if scans.whole:  # then all pixels may be there: those that are do not depend on how the file is ended
        one, *others = (_main_picture(each, scans.number, most) for each in ended_jpegs(content))
        if all(np.array_equal(one.pixels, other.pixels) for other in others):
            return one
    raise UnreadableImageError("truncated")


def _main_picture(content: bytes, scans: int, most: int) -> Picture:
    with JpegImageFile(_ReadLimited(content)) as image:  # Image.open would compare the size with a limit of its own
        width, height = image.size
        most = most if scans <= 1 else min(most, MAX_PASSES_PIXELS)
        if width * height > most:
            raise UnreadableImageError(_too_many("pixels", most))
        if width * height * scans > MAX_SCANNED_PIXELS or scans >= MAX_PIECES:
            raise _TooMuchWorkError
        scale = next(each for each in (1, 2, 4, 8) if -(-width // each) * -(-height // each) <= MAX_PIXELS)
        if scale > 1:
            image.draft(None, (width // scale, height // scale))
        pixels = _upright(image)
        turned = _orientation(image) in (5, 6, 7, 8)
    return Picture(pixels, scale, *((height, width) if turned else (width, height)))


def _upright(image: Image.Image) -> NDArray[np.uint8]:
    rgb, orientation = _to_rgb(image), _orientation(image)
    return np.array(rgb.transpose(_TRANSPOSES[orientation]) if orientation in _TRANSPOSES else rgb)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # convert() would clip at 255. Pillow keeps the high byte of 16-bit colour, so do the same for grey.
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("F", "La", "LAB"):
        raise UnreadableImageError(f"an image of mode {image.mode}: convert it to RGB first")
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


def _too_many(what: str, most: int) -> str:
    return f"too many {what}: at most {most / 1e6:.0f} million are read"


@contextlib.contextmanager
def _unreadable_if_it_fails() -> Iterator[None]:
    """Gives the errors of the block as UnreadableImageError. Pillow's decoders raise almost anything."""
    try:
        yield
    except (MemoryError, UnreadableImageError):
        raise  # a MemoryError is about the machine, not about the file
    except Exception as error:
        raise UnreadableImageError(_reason(error)) from error


def _reason(error: Exception) -> str:
    match error:
        case Image.DecompressionBombError() | Image.DecompressionBombWarning():  # if warnings are errors
            return _too_many("pixels", MAX_PIXELS)
        case _TooMuchWorkError():
            return "too much work to decode"
        case ValueError() if "closed" in str(error):
            return _CLOSED
        case OSError(errno=int(number)):
            return os.strerror(number).lower()
        case _ if "unsupported" in str(error).lower():
            return NOT_READ
        case _:
            return "truncated" if "truncated" in str(error).lower() else "damaged"
