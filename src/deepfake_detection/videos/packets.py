"""Lists the packets of a film without decoding them: when each picture is on show, and what is damaged or missing.

Only the packets tell. A header may lie about the length, pictures may be on show for unequal times, and a file that
broke off or lost some blocks has nothing that says so.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from numpy.typing import NDArray

from deepfake_detection.pictures.images import UnreadableImageError

ENCRYPTED = "encrypted: it cannot be judged without its key"
NO_FILM = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_PROTECTED = re.compile(rb"stsd.{12}(?:encv|drmi)", re.DOTALL)  # an MP4's kind of pictures; FFmpeg may not know them
MAX_REORDERED = 17  # pictures; H.264 and HEVC allow 16
MAX_FAILURES = 100  # of reading a packet; behind a failure there may be more packets
# Decoders take a lost block, which is zeros, for pictures. The packets of these codecs never hold so many zeros.
ZEROS, NEVER_ZEROS = bytes(32), {"h264", "hevc", "vp8", "vp9", "av1"}
# Bytes that belong to no packet. What these containers write between packets is smaller.
HOLE, WITHOUT_HOLES = 1024, ("avi", "matroska,webm")


@dataclass
class Track:
    """The packets of a film in decoding order, and its pictures in the order of their showing.

    Times are in seconds from the first picture. ``first`` is the packet at which decoding has to begin for a packet's
    picture. ``shown`` has the packet of each picture, ``begin`` and ``end`` the time for which it is on show.
    ``seconds`` is the length of the film, with a missing end. ``slack`` is by how many pictures the order may be wrong.
    ``damaged`` grows when packets turn out not to decode.
    """

    stream: int
    times: NDArray[np.float64]
    first: NDArray[np.int64]
    damaged: NDArray[np.bool_]
    shown: NDArray[np.int64]
    begin: NDArray[np.float64]
    end: NDArray[np.float64]
    seconds: float
    slack: int

    def is_bad(self, packet: int) -> bool:
        """Whether a packet's picture, or one that it builds on, is damaged."""
        return bool(self.damaged[self.first[packet] : packet + 1].any())

    def unseen_seconds(self) -> float:
        """How much of the film is damaged or missing, as far as is known."""
        numbers = np.arange(len(self.damaged))
        bad = np.maximum.accumulate(np.where(self.damaged, numbers, -1)) >= self.first
        return max(0.0, round(float(self.seconds - (self.end - self.begin)[~bad[self.shown]].sum()), 3))


@dataclass
class _Rows:
    """What the packets of one stream say, a value for each packet."""

    pts: list[int | None] = field(default_factory=list)
    dts: list[int | None] = field(default_factory=list)
    duration: list[int] = field(default_factory=list)
    place: list[tuple[int, int]] = field(default_factory=list)  # the bytes in the file, from and to
    key: list[bool] = field(default_factory=list)
    damaged: list[bool] = field(default_factory=list)
    discard: list[bool] = field(default_factory=list)

    def add(self, packet: "av.Packet[Any]", damaged: bool) -> None:
        self.pts.append(packet.pts)
        self.dts.append(packet.dts)
        self.duration.append(packet.duration or 0)
        self.place.append((packet.pos or 0, (packet.pos or 0) + packet.size))
        self.key.append(packet.is_keyframe)
        self.damaged.append(damaged)
        self.discard.append(packet.is_discard)


def read_packets(container: InputContainer, *streams: av.VideoStream) -> Iterator["av.Packet[Any]"]:
    """The packets of ``streams``, or of all, with those behind a place that cannot be read."""
    for _ in range(MAX_FAILURES):
        try:
            yield from (packet for packet in container.demux(*streams) if packet.size)
        except av.FFmpegError:
            continue
        return


def list_packets(container: InputContainer, path: Path) -> Track:
    """Reads all packets of the file and gives those of the film.

    The film is no cover picture and no track of thumbnails. It is the default of several, else the one with the most
    pixels. Raises UnreadableImageError if there is none, or if it is encrypted.
    """
    rows = {stream.index: _Rows() for stream in container.streams}
    films = [stream for stream in container.streams.video if not stream.disposition & NO_FILM]
    if not films:
        raise UnreadableImageError("a sound file without pictures" if container.streams.audio else "damaged")
    films = [stream for stream in films if stream.codec_context is not None]  # else no decoder knows it
    fragile = {stream.index for stream in films if stream.codec_context.codec.canonical_name in NEVER_ZEROS}
    encrypted = {stream.index for stream in films if "enc_key_id" in stream.metadata}  # of Matroska
    for packet in read_packets(container):
        if packet.has_sidedata("encryption_info"):  # of MP4; the pictures before may be plain
            encrypted.add(packet.stream_index)
        found = rows.get(packet.stream_index)
        if found is not None:  # streams may appear on the way
            zeros = packet.stream_index in fragile and ZEROS in bytes(packet)
            found.add(packet, packet.is_corrupt or zeros)
    films = [stream for stream in films if rows[stream.index].pts]
    if not films:
        raise UnreadableImageError(ENCRYPTED if _is_protected(path) else "no frame that can be decoded")

    def rank(stream: av.VideoStream) -> tuple[bool, bool, int, int]:
        size = stream.codec_context.width * stream.codec_context.height
        number = len(rows[stream.index].pts)
        return number > 1, Disposition.default in stream.disposition, size, number

    film = max(films, key=rank)
    if film.index in encrypted:
        raise UnreadableImageError(ENCRYPTED)
    return _track(container, path, film, rows)


def _is_protected(path: Path) -> bool:
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return bool(_PROTECTED.search(content))


def _track(container: InputContainer, path: Path, stream: av.VideoStream, rows: dict[int, _Rows]) -> Track:
    own = rows[stream.index]
    base = float(stream.time_base or 1)
    times, step = _times(own, base, float(stream.average_rate or 25))
    keys, damaged = np.array(own.key), np.array(own.damaged)
    damaged[0] |= keys.any() and not keys[0]  # cut off from what it builds on
    shown = np.flatnonzero(~np.array(own.discard))
    if not len(shown):
        raise UnreadableImageError("no frame that can be decoded")
    shown = shown[np.argsort(times[shown], kind="stable")]
    start = _start(container, times[shown], rows, step)
    times = times - start
    begin = times[shown]
    duration = np.array(own.duration)[shown] * base
    nominal = begin + np.where(duration > 0, duration, step)

    # A picture is on show until the next, but not over a stretch that is lost.
    holes = np.zeros(len(times), np.int64)
    if container.format.name in WITHOUT_HOLES:
        holes = np.cumsum(_after_holes(own, rows))
    after_hole = np.diff(holes[shown]) > 0
    lost = (np.diff(begin) > 1.5 * step) & (damaged[shown[:-1]] | damaged[shown[1:]] | after_hole)
    damaged[shown[1:][lost & after_hole]] |= ~keys[shown[1:][lost & after_hole]]
    end = np.append(np.where(lost, np.minimum(begin[1:], nominal[:-1]), begin[1:]), nominal[-1])

    seconds, declared = float(end[-1]), _declared_seconds(container, stream)
    if declared - seconds > 1.5 * step and _is_broken_off(container, path, stream, rows, 1 - seconds / declared):
        seconds = declared
    else:
        # the last picture stays on show until the sound ends
        ends = [_end(rows[sound.index], sound) - start for sound in container.streams.audio]
        seconds = end[-1] = max(seconds, *ends, 0)
    slack = MAX_REORDERED if container.format.name == "avi" else 2  # AVI knows the order of decoding alone
    return Track(stream.index, times, _first(times, keys), damaged, shown, begin, end, round(float(seconds), 3), slack)


def _times(rows: _Rows, base: float, rate: float) -> tuple[NDArray[np.float64], float]:
    """When the picture of each packet comes on show, and the usual time between two, in seconds."""
    dts = np.array(rows.dts, np.float64) * base
    times = np.array(rows.pts, np.float64) * base
    times = np.where(np.isnan(times), dts, times)
    gaps = np.diff(np.sort(times[~np.isnan(times)]))
    step = float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else 1 / rate
    _fill(times, np.isnan(times), step)
    clock = times.copy() if np.isnan(dts).all() else dts
    gaps = np.nan_to_num(np.diff(clock, prepend=clock[0]))
    forward = 0
    for number in np.flatnonzero(np.abs(gaps) > max(1.0, 20 * step)).tolist():
        if gaps[number] > 0:
            forward = number
        elif forward and clock[forward - 1] <= clock[number]:  # some wrong times, and then the right ones again
            times[forward:number] -= gaps[forward] - step
        else:  # recordings were joined, and the clock starts again
            times[number:] += step - gaps[number]
    # No codec shows a picture so many pictures later than it is decoded. The reader may guess so in damaged files.
    rank = np.argsort(np.argsort(times, kind="stable"))
    _fill(times, np.abs(rank - np.arange(len(times))) > MAX_REORDERED, step)
    return times, step


def _fill(times: NDArray[np.float64], wrong: NDArray[np.bool_], step: float) -> None:
    for number in np.flatnonzero(wrong):
        times[number] = times[number - 1] + step if number else 0


def _start(container: InputContainer, times: NDArray[np.float64], rows: dict[int, _Rows], step: float) -> float:
    """The time of the first picture, or 0 if what came before it is lost."""
    first, last = float(times[0]), float(times[-1])
    if "matroska" in container.format.name and first > 1.5 * step:
        places = [place for each in rows.values() for place in each.place]
        if min(places)[0] / max(places)[1] > first / last / 2:  # as many bytes as the time would need
            return 0
    return first


def _first(times: NDArray[np.float64], keys: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each packet the key packet before it, or for a picture shown before that key's picture the one before."""
    first = np.maximum.accumulate(np.where(keys, np.arange(len(keys)), 0))
    before = first[np.maximum(first - 1, 0)]
    return np.where(times < times[first], before, first)


def _after_holes(own: _Rows, rows: dict[int, _Rows]) -> NDArray[np.bool_]:
    """Which packets come behind bytes of the file that belong to no packet."""
    places = np.array(sorted(place for each in rows.values() for place in each.place), np.int64)
    ends = np.maximum.accumulate(places[:, 1])
    holes = set(places[1:, 0][places[1:, 0] - ends[:-1] > HOLE].tolist())
    return np.array([place[0] in holes for place in own.place])


def _declared_seconds(container: InputContainer, stream: av.VideoStream) -> float:
    """The length that the header says, or 0."""
    if container.format.name == "avi":  # the reader shortens the length if the file is shorter
        return stream.frames / float(stream.average_rate or 25)
    if stream.duration:
        return stream.duration * float(stream.time_base or 1)
    return (container.duration or 0) / av.time_base


def _is_broken_off(
    container: InputContainer, path: Path, stream: av.VideoStream, rows: dict[int, _Rows], missing: float
) -> bool:
    """Whether a share of a film is missing at its end. Else the header says a wrong length."""
    if "mov" in container.format.name:
        return len(rows[stream.index].pts) < len(stream.index_entries) or breaks_off(path)
    read = max(place[1] for each in rows.values() for place in each.place)
    unread = path.stat().st_size - read  # what is missing may be there, overwritten
    return breaks_off(path) or unread / (read + unread) > missing / 2


def _end(rows: _Rows, stream: av.AudioStream) -> float:
    """When a sound ends, by its packets' durations."""
    start = min((pts for pts in rows.pts if pts is not None), default=0)
    return (start + sum(rows.duration)) * float(stream.time_base or 1)


def breaks_off(path: Path) -> bool:
    """Whether a file is shorter than it says: its last MP4 box, RIFF chunk or Matroska segment ends behind its end."""
    size, position = path.stat().st_size, 0
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"\x1a\x45\xdf\xa3":
            return _segment_end(head + file.read(4096)) > size
        riff = head[:4] == b"RIFF"
        if not riff and head[4:8] not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            return False
        while position + 8 <= size:
            file.seek(position)
            header = file.read(16)
            length = int.from_bytes(header[4:8], "little") + 8 if riff else int.from_bytes(header[:4], "big")
            if not riff and length == 1:
                length = int.from_bytes(header[8:16], "big")
            if length < 8 or (not header[:4].isalnum() and riff):
                return False
            position += length
    return position > size


def _segment_end(head: bytes) -> int:
    """The byte at which a Matroska file's segment ends; 0 if it does not say, as of a live recording."""
    length, position = _ebml_number(head, 4)
    position += length
    if head[position : position + 4] != b"\x18\x53\x80\x67":
        return 0
    length, position = _ebml_number(head, position + 4)
    return position + length if length else 0


def _ebml_number(content: bytes, position: int) -> tuple[int, int]:
    """The number that starts at ``position``, or 0 if it is unknown, and the position behind it."""
    lead = content[position] if position < len(content) else 0
    width = 9 - lead.bit_length()
    number = int.from_bytes(content[position : position + width], "big") & ((1 << 7 * width) - 1)
    return 0 if number == (1 << 7 * width) - 1 else number, position + width
