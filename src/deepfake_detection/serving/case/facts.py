"""Lists the facts of a picture's or video's file, and what the file claims of itself."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from PIL import ExifTags, Image
from PIL.JpegImagePlugin import get_sampling

from deepfake_detection.common.files import sha256_of
from deepfake_detection.pictures.kinds import Kind, file_kind
from deepfake_detection.serving.credentials import Anchors, Credentials, credentials_of, short
from deepfake_detection.videos.packets import NO_FILM
from deepfake_detection.videos.video import open_video

MOST_CLAIMS = 100  # of one file; a hostile one may hold any number
_POINTERS = {ExifTags.Base.ExifOffset, ExifTags.Base.GPSInfo, ExifTags.Base.ExifInteroperabilityOffset}
_XMP = re.compile(rb"\b(CreatorTool|DigitalSourceType|softwareAgent|Credit|History)(?:=\"|>|=')([^<\"']{1,500})")
_SAMPLING = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}


@dataclass(frozen=True)
class Claim:
    """What a file says of itself, for example its EXIF tag Software. Anyone can write, change or remove it."""

    source: str
    name: str
    value: str


@dataclass(frozen=True)
class Facts:
    """What a file is. What its header does not say, or what cannot be read, is None.

    ``kind`` is "picture", "video" or "nothing". ``width`` and ``height`` are in pixels as they are stored, before any
    turning. ``frame_rate`` is in frames a second, ``seconds`` the length and ``frames`` their number as the header has
    them. ``sound`` is the codec of the sound.
    """

    bytes: int
    sha256: str
    kind: str
    container: str
    codec: str | None = None
    width: int | None = None
    height: int | None = None
    frame_rate: float | None = None
    seconds: float | None = None
    frames: int | None = None
    sound: str | None = None
    claims: tuple[Claim, ...] = ()
    credentials: Credentials | None = None


def facts_of(path: Path, anchors: Anchors | None = None) -> Facts:
    """The facts of a file, which is read as a whole. Only headers are decoded. Raises OSError if it cannot be read.

    ``anchors`` are those for its Content Credentials.
    """
    kind = file_kind(path)
    found: dict[str, Any] = {}
    claims: list[Claim] = []
    # what is damaged says nothing of itself: libraries raise almost anything
    with suppress(Exception):
        if kind.read_as == "picture":
            claims += _of_picture(path, kind, found)
        elif kind.read_as == "video":
            claims += _of_video(path, found)
    return Facts(
        bytes=path.stat().st_size,
        sha256=sha256_of(path),
        kind=kind.read_as,
        container=found.pop("container", kind.name or kind.words),
        claims=tuple(claims[:MOST_CLAIMS]),
        credentials=credentials_of(path, anchors) if kind.read_as != "nothing" else None,
        **found,
    )


def _of_picture(path: Path, kind: Kind, found: dict[str, Any]) -> Iterator[Claim]:
    with Image.open(path, formats=[kind.name]) as image:
        found |= {"container": image.format, "width": image.width, "height": image.height, "codec": _coding(image)}
        yield from _exif(image)
        for name, value in image.info.items():
            # a PNG's text, a JPEG's comment
            if isinstance(value, str) and not str(name).startswith("XML:"):
                yield Claim(f"{image.format} text", short(str(name)), short(value))
            elif name == "comment" and isinstance(value, bytes):
                yield Claim(f"{image.format} comment", "comment", short(value.decode("utf-8", "replace")))
            elif name == "photoshop":
                yield Claim("JPEG segment", "Photoshop", "there")
        yield from _xmp(image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b"")


def _coding(image: Image.Image) -> str:
    if image.format != "JPEG":
        return image.mode
    with suppress(Exception):
        way = "progressive" if image.info.get("progressive") else "baseline"
        return ", ".join(filter(None, [way, image.mode, _SAMPLING.get(get_sampling(image))]))
    return image.mode


def _exif(image: Image.Image) -> Iterator[Claim]:
    exif = image.getexif()
    parts: list[tuple[Iterable[tuple[int, Any]], dict[int, str]]] = [(exif.items(), ExifTags.TAGS)]
    for part, names in ((ExifTags.IFD.Exif, ExifTags.TAGS), (ExifTags.IFD.GPSInfo, ExifTags.GPSTAGS)):
        with suppress(Exception):
            parts.append((exif.get_ifd(part).items(), names))
    for tags, names in parts:
        for tag, value in tags:
            if tag not in _POINTERS:
                yield Claim("EXIF", names.get(tag, f"tag {tag}"), short(_as_text(value)))


def _xmp(packet: bytes | str) -> Iterator[Claim]:
    content = packet.encode() if isinstance(packet, str) else packet
    for name, value in _XMP.findall(content):
        yield Claim("XMP", name.decode(), short(value.decode("utf-8", "replace")))


def _of_video(path: Path, found: dict[str, Any]) -> Iterator[Claim]:
    with open_video(path) as container:
        film = next(stream for stream in container.streams.video if not stream.disposition & NO_FILM)
        context = film.codec_context
        sound = ", ".join(stream.codec_context.name for stream in container.streams.audio)
        found |= {
            "container": container.format.long_name,
            "codec": ", ".join(filter(None, [context.codec.long_name, context.profile, context.pix_fmt])),
            "width": context.width,
            "height": context.height,
            "frame_rate": round(float(film.average_rate), 3) if film.average_rate else None,
            "seconds": round(container.duration / av.time_base, 3) if container.duration else None,
            "frames": film.frames or None,
            "sound": sound or "none",
        }
        for source, tags in (("container", container.metadata), ("video stream", film.metadata)):
            for name, value in tags.items():
                yield Claim(source, short(name), short(value))


def _as_text(value: object) -> str:
    if isinstance(value, bytes):
        text = value.removeprefix(b"ASCII\0\0\0").rstrip(b"\0")
        with suppress(UnicodeDecodeError):
            if (words := text.decode("ascii")).isprintable():
                return words
        return f"{len(value)} bytes"
    return str(value)
