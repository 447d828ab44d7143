"""Samples the pictures of a video at even intervals of time."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideDataContainer
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from deepfake_detection.common.text import system_words
from deepfake_detection.pictures.images import MAX_PIXELS, UnreadableImageError
from deepfake_detection.pictures.kinds import file_kind
from deepfake_detection.videos.packets import Track, breaks_off, list_packets, read_packets

# only plain files: no playlist that names other files, and no network address, is opened
OPTIONS = {"protocol_whitelist": "file", "format_whitelist": "mov,mp4,avi,matroska,webm,mpeg,mpegts"}
MIN_SKIP_SECONDS = 4.0  # shorter stretches between sampled times are decoded too, which shows what is damaged there
# Frames that are taken without another wish: one a second, but in a video of any length at least and at most so many.
LEAST_FRAMES, MOST_FRAMES = 32, 128
MAX_ASPECT = 4.0  # of a pixel; more is a mistake in the header
UNTAGGED = 2  # FFmpeg's AVCOL_SPC_UNSPECIFIED and H.273's "unspecified": the file does not name its matrix
HD_WIDTH, HD_HEIGHT = 1280, 720
NONE_SOUND = "no frame without damage"


def open_video(path: Path) -> InputContainer:
    """Opens a video as what its first bytes say. FFmpeg by itself would also go by the name.

    Raises UnreadableImageError for what is no video, and OSError or FFmpegError if it cannot be opened.
    """
    kind = file_kind(path)
    if kind.read_as != "video":
        raise UnreadableImageError(kind.words)
    return av.open(str(path), format=kind.name, options=OPTIONS)


@dataclass(frozen=True)
class Frame:
    """A picture of a video: upright RGB of shape (height, width, 3), and when it is on show in seconds from the start.

    ``damaged`` is true if its own packet or one that it builds on is damaged. Players show it all the same. ``number``
    is its place among the pictures of the video, from 0 on.
    """

    seconds: float
    pixels: NDArray[np.uint8]
    damaged: bool = False
    number: int = 0


class _UndecodedError(Exception):
    """Something did not decode. To know what is damaged, more has to be decoded than the pictures that are taken."""


class Video:
    """The pictures that are on show at up to ``count`` evenly spaced times of a video.

    Without a ``count``, one is taken for each second, but at least LEAST_FRAMES and at most MOST_FRAMES.

    The video is divided into ``count`` equal intervals, and the picture on show in the middle of each is taken. So a
    picture that is held for half of the video is half of those taken. Its time is when it came on show, or the start of
    the interval if that is later. A video of fewer pictures, which are on show for equal times, gives each once. The
    end of a file that breaks off has no pictures: the intervals divide what is there.

    With ``from_first_to_last`` the pictures are evenly spaced by their number, and the first and the last are among
    them, as published detectors take them.

    Raises UnreadableImageError, in a few words, for a file that is not a video or has no pictures.
    """

    def __init__(self, path: Path, count: int | None = None, from_first_to_last: bool = False) -> None:
        self.path = path
        try:
            with open_video(path) as container:
                self.track = list_packets(container, path)
        except (av.FFmpegError, ValueError, OSError) as error:
            raise UnreadableImageError(_reason(path, error)) from error
        count = count or min(max(LEAST_FRAMES, round(self.track.seconds)), MOST_FRAMES)
        found = _numbered(self.track, count) if from_first_to_last else _sampled(self.track, count)
        self._rank = np.zeros(len(self.track.times), np.int64)  # of each packet's picture in the order of their showing
        self._rank[self.track.shown] = np.arange(len(self.track.shown))
        self._samples = [(seconds, packet) for seconds, packet in found if packet is not None]
        self._count, self._sound = len(found), 0
        self._careful, self._sure = False, 0  # careful as soon as something fails to decode

    @property
    def seconds(self) -> float:
        """The length, with an end that is missing."""
        return self.track.seconds

    @property
    def unseen_seconds(self) -> float:
        """How much of it is damaged or missing, as far as the packets show and, after ``frames``, the decoder."""
        return self.track.unseen_seconds()

    @property
    def unseen_share(self) -> float:
        """The damaged or missing share of the time, or if it is larger, of the pictures that ``frames`` took."""
        return max(self.unseen_seconds / max(self.seconds, 1e-9), 1 - self._sound / self._count)

    def frames(self) -> Iterator[Frame]:
        """Yields the pictures in their order. Where nothing can be decoded, there is none.

        Raises UnreadableImageError if none can be decoded at all, and for pictures of more than MAX_PIXELS.
        """
        if not (yield from self._frames()):
            raise UnreadableImageError("no frame that can be decoded")

    def _frames(self) -> Generator[Frame, None, int]:
        found, self._sound, packet = 0, 0, 0
        shown, pixels = None, np.empty((0, 0, 3), np.uint8)
        try:
            for (seconds, packet), frame in zip(self._samples, self._on_show(), strict=False):
                if frame is None:
                    continue
                if frame is not shown:
                    shown, pixels = frame, _pixels(frame, self._aspect)
                damaged = self.track.is_bad(packet)
                found, self._sound = found + 1, self._sound + (not damaged)
                yield Frame(seconds, pixels, damaged, int(self._rank[packet]))
        except (av.FFmpegError, ValueError, OSError) as error:
            if not found:
                raise UnreadableImageError(_reason(self.path, error)) from error
            self.track.damaged[packet:] = True
        return found

    def _on_show(self) -> Iterator[av.VideoFrame | None]:
        """For each of the samples, in order, what is on show then, or None if that cannot be decoded."""
        done = 0
        try:
            for frame in self._decoded(done):
                yield frame
                done += 1
        except _UndecodedError:
            self._careful = True
            yield from self._decoded(done)

    def _decoded(self, done: int) -> Iterator[av.VideoFrame | None]:
        """As _on_show, without the first ``done`` samples. Long stretches between the samples are not decoded."""
        times, wanted = self.track.times, [packet for _, packet in self._samples]
        # what failed may lie before the sample that is next
        begin, self._sure = self._skip(-1, 0) if not done else self._start(wanted[done - 1])
        held, held_number, decoding = None, -1, True
        with open_video(self.path) as container:
            stream = next(each for each in container.streams.video if each.index == self.track.stream)
            self._prepare(stream)
            for number, packet in enumerate(chain(read_packets(container, stream), [None])):
                if packet and number < begin:
                    decoding = False
                    continue
                if packet and not decoding:
                    stream.codec_context.flush_buffers()
                    held, held_number, decoding = None, -1, True
                for frame in self._decode(stream.codec_context, packet, number):
                    now = min(frame.opaque[0] if isinstance(frame.opaque, list) else number, len(times) - 1)
                    if frame.is_corrupt:
                        self._blame(now)
                    while done < len(wanted) and times[now] > times[wanted[done]]:
                        yield self._settled(held, held_number, wanted[done])
                        done += 1
                    held, held_number = frame, now
                if done == len(wanted):
                    return
                begin, self._sure = self._skip(number, done)
            for packet_number in wanted[done:]:
                yield self._settled(held, held_number, packet_number)

    def _prepare(self, stream: av.VideoStream) -> None:
        context = stream.codec_context
        if context.width * context.height > MAX_PIXELS:
            raise UnreadableImageError("too many pixels")
        # with several threads PyAV loses some errors, and may wait for ever: its issue 1861
        stream.thread_type, context.thread_count = "NONE", 1
        context.copy_opaque = True
        context.options = {"err_detect": "explode"}  # else a decoder paints over what it cannot decode
        self._aspect = float(stream.sample_aspect_ratio or 1)

    def _decode(
        self, context: av.VideoCodecContext, packet: "av.Packet[av.VideoStream] | None", number: int
    ) -> Sequence[av.VideoFrame]:
        if packet:
            packet.opaque = [number]  # PyAV knows it by the object's identity, which small numbers share
        try:
            return context.decode(packet)
        except av.FFmpegError:
            self._blame(min(number, len(self.track.damaged) - 1))
            return []

    def _blame(self, packet: int) -> None:
        if self.track.damaged[packet] or packet < self._sure:
            return
        if not self._careful:
            raise _UndecodedError
        self.track.damaged[packet] = True

    def _start(self, packet: int) -> tuple[int, int]:
        """Where to begin decoding for a packet's picture, and from where on errors are damage.

        Some encoders spread the refreshing of the picture over many frames. To be sure, what lies between the two key
        packets before is decoded too.
        """
        first = int(self.track.first[packet])
        return int(self.track.first[max(first - 1, 0)]) if self._careful else first, first

    def _skip(self, number: int, done: int) -> tuple[int, int]:
        """As _start, for the sample that is next, if it is far; else the packet behind ``number``."""
        times, (begin, sure) = self.track.times, self._start(self._samples[done][1])
        far = begin > number and times[begin] - times[max(number, 0)] > MIN_SKIP_SECONDS
        return (begin, sure) if far else (number + 1, self._sure)

    def _settled(self, held: av.VideoFrame | None, number: int, wanted: int) -> av.VideoFrame | None:
        """The picture for a sample. A packet without a picture of its own leaves the one before on show."""
        if held is not None and number == wanted:
            return held
        near = self._rank[wanted] - self._rank[number] <= self.track.slack
        if held is not None and near and not self.track.is_bad(wanted):
            return held
        self.track.damaged[wanted] = True
        return None


def _sampled(track: Track, count: int) -> list[tuple[float, int | None]]:
    """The times of the samples and their packets: None where pictures are lost."""
    begin, end = track.begin, track.end
    lasts = end - begin
    if len(begin) <= count and lasts.max() <= 1.5 * lasts.min():
        return [(float(second), int(packet)) for second, packet in zip(begin, track.shown, strict=True)]
    found: list[tuple[float, int | None]] = []
    for number in range(count):
        start, time = (float((number + part) * end[-1] / count) for part in (0, 0.5))
        item = max(int(np.searchsorted(begin, time, "right")) - 1, 0)
        there = begin[item] <= time < end[item]
        found.append((max(start, float(begin[item])), int(track.shown[item]) if there else None))
    return found


def _numbered(track: Track, count: int) -> list[tuple[float, int | None]]:
    """As _sampled, evenly spaced by number."""
    places = np.unique(np.linspace(0, len(track.shown) - 1, count, dtype=int))
    return [(float(track.begin[place]), int(track.shown[place])) for place in places]


def _pixels(frame: av.VideoFrame, aspect: float) -> NDArray[np.uint8]:
    """The picture as it is to be seen: RGB of square pixels, turned and mirrored as the file says."""
    width, height = frame.width, frame.height
    if width * height > MAX_PIXELS:
        raise UnreadableImageError("too many pixels")
    if 1 / MAX_ASPECT <= aspect <= MAX_ASPECT and max(aspect, 1 / aspect) * width * height <= MAX_PIXELS:
        width, height = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
    pixels = frame.to_ndarray(
        format="rgb24",
        width=width,
        height=height,
        src_colorspace=_matrix(frame),
        threads=1,
    )
    return np.ascontiguousarray(_upright(cast("NDArray[np.uint8]", pixels), *_display_matrix(frame)))


def _matrix(frame: av.VideoFrame) -> Colorspace | None:
    """The matrix that makes RGB of a frame, or None for the one that its stream names.

    FFmpeg reads a stream that names none by BT.601. Players read HD by BT.709. Chromium does so from 720 lines on
    (media/ffmpeg/ffmpeg_common.cc), mpv from 1280 columns or 577 lines on (pl_color_system_guess_ycbcr of libplacebo).
    A range that is not named is the limited one, in FFmpeg as in both.
    """
    if frame.colorspace != UNTAGGED or frame.format.is_rgb:
        return None
    return Colorspace.ITU709 if frame.width >= HD_WIDTH or frame.height >= HD_HEIGHT else Colorspace.ITU601


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """How a frame is to be seen: its pixel (x, y) at (a x + c y, b x + d y)."""
    # `frame.side_data` would be kept by the frame and keep it, until the garbage collector finds them
    side_data = cast("Mapping[str, Any]", SideDataContainer(frame))  # type: ignore[call-arg]  # PyAV's stub omits it
    try:
        matrix = np.frombuffer(side_data["DISPLAYMATRIX"], np.int32)
    except KeyError:
        return 1, 0, 0, 1
    except ValueError:  # PyAV does not know another kind of what comes with the frame, and then gives the angle alone
        turned = np.exp(1j * np.deg2rad(frame.rotation))
        return round(turned.real), -round(turned.imag), round(turned.imag), round(turned.real)
    return int(matrix[0]), int(matrix[1]), int(matrix[3]), int(matrix[4])


def _upright(pixels: NDArray[np.uint8], a: int, b: int, c: int, d: int) -> NDArray[np.uint8]:
    """Turns and mirrors. There are eight ways to see a picture; other matrices are taken for the nearest of them."""
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels, a, d = pixels.transpose(1, 0, 2), c, b
    return pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, av.FFmpegError):
        return system_words(error)
    if breaks_off(path):
        return "truncated"
    return "not a video in a known format" if isinstance(error, av.InvalidDataError) else "damaged"
