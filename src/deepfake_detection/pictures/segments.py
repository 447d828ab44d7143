"""Tells the pieces of a JPEG or PNG that are the picture from those that are not, without decoding it."""

import re
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

MAX_PIECES = 2**20  # Pillow reads markers, chunks and runs of pixels one by one, at up to 3 us each

# the markers that libjpeg acts on; within compressed pixels, it passes over all others
_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd8-\xfe])")
_END, _SCAN = 0xD9, 0xDA
_RANDOM = bytes((89 * number + 180) % 254 + 1 for number in range(255))  # no byte of it or its complement is a marker
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALL = 2**64 - 1  # a bit for each coefficient of a block

_AVIF_HEADER = 2**16  # bytes in which it names its parts
_SIGNATURE = 8  # bytes of a PNG before its first chunk
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_USED = (b"eXIf", b"acTL")  # the orientation, and the number of pictures


_UNREAD = {  # what decoders may lack, by the marker of the frame: ITU-T T.81, table B.1, and T.87
    **dict.fromkeys((0xC3, 0xC7, 0xCB, 0xCF), "lossless"),
    **dict.fromkeys((0xC9, 0xCA, 0xCD, 0xCE), "with arithmetic coding"),
    **dict.fromkeys((0xC5, 0xC6), "hierarchical"),
    0xF7: "JPEG-LS",
}


class Scans(NamedTuple):
    """The passes over a JPEG's pixels: how many, whether the end mark follows them, whether they give all precision."""

    number: int
    ended: bool
    whole: bool


def jpeg_scans(content: bytes) -> Scans:
    """Counts a JPEG's scans up to its end mark.

    What follows the end mark (a phone's film, a second picture) is no part of the picture. Neither is a thumbnail in
    the metadata. Markers are found as libjpeg finds them. A file of more than MAX_PIECES of them counts as ended.
    """
    scans, at, components = 0, 2, b""
    exact: dict[int, int] = defaultdict(int)  # the coefficients of each component that some scan gives to the last bit
    for _ in range(MAX_PIECES):
        if not (found := _MARKER.search(content, at)):
            return Scans(scans, False, bool(components) and all(exact[each] & _ALL == _ALL for each in components))
        at = found.end()
        marker = found[1][0]
        if marker == _END:
            return Scans(scans, True, True)
        part = content[at + 2 : at + int.from_bytes(content[at : at + 2], "big")]
        if marker in _FRAMES:
            components = part[6::3]
        elif marker == _SCAN:
            scans += 1
            ids = 2 * part[0] if part else 0
            if len(part) >= ids + 4 and not part[ids + 3] & 15:  # no bit is left for a later scan
                for component in part[1:ids:2]:
                    exact[component] |= (1 << part[ids + 2] + 1) - (1 << part[ids + 1])
        at += len(part) + 2
    return Scans(MAX_PIECES, True, True)


def jpeg_coding(content: bytes) -> str:
    """What is unusual in how a JPEG's pixels are coded, such as "12 bits a colour", or "" for nothing."""
    at = 2
    for _ in range(MAX_PIECES):
        if not (found := _MARKER.search(content, at)) or found[1][0] in (_END, _SCAN):
            break
        marker, part = found[1][0], content[found.end() :]
        if marker in _UNREAD:
            return _UNREAD[marker]
        if marker in _FRAMES:
            return f"{part[2]} bits a colour" if len(part) > 2 and part[2] != 8 else ""
        at = found.end() + int.from_bytes(part[:2], "big")
    return ""


def ended_jpegs(content: bytes) -> Iterator[bytes]:
    """Gives a JPEG that lacks its end mark the mark, behind several ways to go on.

    A decoder that still needs pixels takes them from there, and so gives others for each of these. They are: nothing,
    pixels at random, other ones, and some behind the next restart marker, without which it might take none.
    """
    there = content.rstrip(b"\xff")
    found = [there.rfind(bytes([0xFF, 0xD0 + number])) for number in range(8)]
    restart = 0xD0 + (found.index(max(found)) + 1) % 8 if max(found) >= 0 else 0xD0
    for pixels in (b"", _RANDOM, bytes(255 - each for each in _RANDOM), bytes([0xFF, restart, *_RANDOM])):
        yield there + pixels + bytes([0xFF, _END])


def bare_jpeg(content: bytes) -> bytes:
    """A JPEG without comments and applications' segments, except the orientation and what says how colours are coded.

    Pillow refuses a file in which one of the others is damaged.
    """
    parts, at = [content[:2]], 2
    for _ in range(MAX_PIECES):
        found = _MARKER.search(content, at)
        if not found or found[1][0] in (_END, _SCAN):
            break
        length = int.from_bytes(content[found.end() : found.end() + 2], "big")
        at, part = found.end() + max(length, 2), content[found.start() : found.end() + length]
        used = part[4:].startswith(b"Exif\0\0") or (part[4:].startswith(b"Adobe") and length >= 14)
        if used or not 0xE0 <= found[1][0] <= 0xFE:
            parts.append(part)
    return b"".join([*parts, content[at:]])


def bare_png(content: bytes) -> bytes:
    """A PNG without the texts, colour profiles and whatever else does not change its pixels.

    Pillow refuses texts and profiles of more than 1 MB, and a file in which one of them is damaged.
    """
    parts, at = [content[:_SIGNATURE]], _SIGNATURE
    for _ in range(MAX_PIECES):
        if len(head := content[at : at + 8]) < 8:
            break
        length, kind = struct.unpack(">I4s", head)
        end = at + 12 + length
        kept = kind in _USED and zlib.crc32(content[at + 4 : end - 4]).to_bytes(4, "big") == content[end - 4 : end]
        if kept or kind in _CRITICAL:
            parts.append(content[at:end])
        at = end
    return b"".join(parts)


def bare_avif(content: bytes) -> bytes:
    """An AVIF whose EXIF data have another name, so that no one reads them. How it is turned, it says elsewhere."""
    return content[:_AVIF_HEADER].replace(b"Exif", b"none") + content[_AVIF_HEADER:]
