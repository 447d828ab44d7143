"""Says what a file is, by its first bytes and never by its name: a picture, a video, or something that is not read."""

import os
import stat
from codecs import getincrementaldecoder
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

HEAD = 4096  # bytes at the start of a file that say what it is

# Of names only: what a file is, its content decides.
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".bmp", ".webp", ".avif", ".gif"}
VIDEO_SUFFIXES = {".mp4", ".m4v", ".mov", ".3gp", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"}
OTHER_IMAGE_SUFFIXES = {".heic", ".heif", ".hif", ".jxl", ".jp2", ".tif", ".tiff"}  # of pictures that are not read

# What systems leave beside pictures. Macs write a file ._NAME for each file NAME, and put them into __MACOSX in a zip.
_CLUTTER = {"__macosx", "thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Kind:
    """What a file is. ``name`` is Pillow's name of a picture's format, or FFmpeg's of a video's.

    ``words`` are for people. Those for what is not read are a whole reason: they say what it is and what to do.
    """

    read_as: Literal["picture", "video", "nothing"]
    words: str
    name: str = ""


def _picture(name: str) -> Kind:
    return Kind("picture", "a picture, not a video", name)


def _other_picture(words: str) -> Kind:
    return Kind("nothing", f"{words}, which is not read: convert it to JPEG or PNG")


def _other_video(words: str) -> Kind:
    return Kind("nothing", f"{words}, which is not read: convert it to MP4")


def _neither(words: str) -> Kind:
    return Kind("nothing", f"{words}, neither a picture nor a video")


def _video(name: str) -> Kind:
    return Kind("video", "a video, not a picture", name)


EMPTY = Kind("nothing", "empty file")
UNKNOWN = Kind("nothing", "neither a picture nor a video that can be read")
_MOVIE = _video("mov,mp4,m4a,3gp,3g2,mj2")
_AVIF, _HEIC = _picture("AVIF"), _other_picture("an HEIC picture")
_RAW = _other_picture("a camera's raw picture")
_JPEG_2000, _JPEG_XL = _other_picture("a JPEG 2000 picture"), _other_picture("a JPEG XL picture")
_SOUND = Kind("nothing", "a sound file without pictures")
_SVG, _PAGE = _other_picture("an SVG drawing"), _neither("a web page (HTML)")
_TEXT, _ARCHIVE = _neither("a text file"), _neither("an archive or an Office document")

_STARTS = (
    (b"\xff\xd8\xff", _picture("JPEG")),
    (b"\x89PNG\r\n\x1a\n\0\0\0\4CgBI", _other_picture("a PNG of Xcode, changed for iPhones")),
    (b"\x89PNG\r\n\x1a\n", _picture("PNG")),
    (b"GIF87a", _picture("GIF")),
    (b"GIF89a", _picture("GIF")),
    (b"\x1a\x45\xdf\xa3", _video("matroska,webm")),
    (b"\0\0\1\xba", _video("mpeg")),
    (b"II*\0", _other_picture("a TIFF or a camera's raw picture")),
    (b"MM\0*", _other_picture("a TIFF or a camera's raw picture")),
    (b"II+\0", _other_picture("a TIFF picture")),
    (b"MM\0+", _other_picture("a TIFF picture")),
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"IIU\0", _RAW),
    (b"IIRO\x08", _RAW),
    (b"IIRS\x08", _RAW),
    (b"\xff\x0a", _JPEG_XL),
    (b"\0\0\0\x0cJXL ", _JPEG_XL),
    (b"\xff\x4f\xff\x51", _JPEG_2000),
    (b"\0\0\0\x0cjP  ", _JPEG_2000),
    (b"\0\0\1\0", _other_picture("an icon")),
    (b"8BPS\0", _other_picture("a Photoshop picture")),
    (b"FLV\1", _other_video("an FLV video")),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _other_video("a Windows Media file")),
    (b".RMF\0", _other_video("a RealMedia file")),
    (b"\0\0\1\xb3", _other_video("a bare MPEG video")),
    (b"\x06\x0e\x2b\x34", _other_video("an MXF video")),
    (b"ID3\2", _SOUND),
    (b"ID3\3", _SOUND),
    (b"ID3\4", _SOUND),
    (b"fLaC", _SOUND),
    (b"#!AMR", _SOUND),
    (b"MThd\0", _SOUND),
    (b"%PDF", _neither("a PDF file")),
    (b"PK\3\4", _ARCHIVE),
    (b"PK\5\6", _ARCHIVE),
    (b"\x1f\x8b", _ARCHIVE),
    (b"BZh91AY", _ARCHIVE),
    (b"\xfd7zXZ\0", _ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", _ARCHIVE),
    (b"Rar!\x1a\x07", _ARCHIVE),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _neither("an old Office document or Windows' Thumbs.db")),
    (b"\0\5\x16\7", _neither("a Mac's companion of another file")),
    (b"\0\0\0\1Bud1", _neither("a Mac's settings of a folder")),
)
_RIFF = {b"WEBP": _picture("WEBP"), b"AVI ": _video("avi"), b"WAVE": _SOUND}
_SOUND_FRAMES = {bytes([0xFF, second]) for second in (0xE2, 0xE3, 0xF2, 0xF3, 0xFA, 0xFB, 0xF1, 0xF9)}  # MP3 and AAC
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # bytes

_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_STILL_BRANDS = {b"mif1", b"mif2", b"msf1", b"miaf"}  # of pictures in any of several codings
_SOUND_BRANDS = {b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "}
_FILM_BRANDS = (b"iso", b"mp4", b"qt", b"3g", b"M4V", b"avc", b"dash")  # how they begin
_MOVIE_BOXES = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}  # how a QuickTime film of old begins


def kind_of(head: bytes) -> Kind:
    """What a file is that begins with ``head``, its first HEAD bytes or all that it has."""
    if not head:
        return EMPTY
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], UNKNOWN)
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return _picture("BMP")
    if head[4:8] == b"ftyp":
        return _kind_by_brands(head)
    if head.startswith(b"OggS"):
        return _other_video("an Ogg video") if b"theora" in head else _SOUND
    if head.startswith(b"FORM") and head[8:12] in (b"AIFF", b"AIFC"):
        return _SOUND
    if _is_text(head):
        start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        return _PAGE if start.startswith((b"<!doctype html", b"<html")) else _SVG if b"<svg" in start else _TEXT
    if head[4:8] in _MOVIE_BOXES:
        return _MOVIE
    if _is_transport_stream(head):
        return _video("mpegts")
    if head[257:262] == b"ustar":
        return _ARCHIVE
    return _SOUND if head[:2] in _SOUND_FRAMES else UNKNOWN


def file_kind(path: str | os.PathLike[str]) -> Kind:
    """What the file at ``path`` is. Raises OSError if it cannot be read, also if it is a folder.

    A pipe or a device is never opened, because that might wait for ever.
    """
    mode = Path(path).stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        what = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        return Kind("nothing", f"{what}, not a file")
    with Path(path).open("rb", buffering=0) as file:
        return kind_of(file.read(HEAD))


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a file is to be judged as a video: by its first bytes. One that cannot be read is none."""
    try:
        return file_kind(path).read_as == "video"
    except OSError:
        return False


def is_clutter(name: str) -> bool:
    """Whether a name in a folder is hidden, or one that a system leaves there. Such files are no one's pictures."""
    return name.startswith(".") or name.lower() in _CLUTTER


def _kind_by_brands(head: bytes) -> Kind:
    """Films, sounds and still pictures share one container. The brands at its start tell them apart."""
    major = head[8:12]
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {major} | {head[at : at + 4] for at in range(16, end, 4)}
    if not major.startswith(_FILM_BRANDS):
        if brands & _AVIF_BRANDS and major not in _HEIC_BRANDS:
            return _AVIF
        if brands & (_HEIC_BRANDS | _STILL_BRANDS):
            return _HEIC
    return _RAW if major == b"crx " else _SOUND if major in _SOUND_BRANDS else _MOVIE


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16
        return True
    try:
        text = getincrementaldecoder("utf-8")().decode(head)  # the end may be within a character
    except UnicodeDecodeError:
        return False
    return all(char.isprintable() or char in "\ufeff\t\n\r\f\v\x1b" for char in text)


def _is_transport_stream(head: bytes) -> bool:
    """Whether five packets follow each other: each is 188 bytes from a sync byte on, or 192 with a time before it."""
    return any(b"\x47" * 5 in head[start::size] for size in (188, 192) for start in range(size))
