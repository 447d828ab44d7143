"""The pictures on show at even times are taken from any container; what is no video says so in a few words."""

import gc
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from av.stream import Disposition

from deepfake_detection.pictures.images import UnreadableImageError
from deepfake_detection.videos.video import Frame, Video
from tests.support.films import add_film, add_silence, encoded, level, write_film

CODECS = {".webm": "libvpx", ".avi": "mpeg4"}
QUICK = {"deadline": "realtime", "cpu-used": "8"}  # of libvpx


def film(
    path: Path,
    frames: int,
    rate: int = 25,
    key_every: float = 2.0,
    times: Sequence[float] | None = None,
    last: float | None = None,
    **options: str,
) -> Path:
    """Grey frames, from black to white, a key frame every so many seconds.

    ``times`` says when each comes on show, ``last`` for how long the last one does.
    """
    how = QUICK if path.suffix == ".webm" else {"sc_threshold": "0"}  # no other key frames
    with av.open(str(path), "w", options=options) as container:
        stream = add_film(container, CODECS.get(path.suffix, "libx264"), rate, g=str(round(key_every * rate)), **how)
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        packets: list[Any] = []
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(level(number * 255 / max(frames - 1, 1)), format="rgb24")
            if times:
                frame.pts, frame.time_base = round(times[number] * 1000), Fraction(1, 1000)
            packets += stream.encode(frame)
        packets += stream.encode()
        if last is not None:
            packet = max(packets, key=lambda each: each.pts)
            packet.duration = round(last / packet.time_base)
        container.mux(packets)
    return path


def taken(path: Path, count: int = 32) -> tuple[Video, list[Frame]]:
    video = Video(path, count)
    return video, list(video.frames())


def brightness(frames: list[Frame]) -> list[float]:
    return [float(frame.pixels.mean()) for frame in frames]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".avi", ".ts"])
@pytest.mark.parametrize("count", [3, 8])  # by leaving out what no sample needs, and by decoding all
def test_frames_are_taken_evenly(tmp_path: Path, suffix: str, count: int) -> None:
    length = 24.0
    video, found = taken(film(tmp_path / f"a{suffix}", 240, rate=10), count)
    expected = [(number + 0.5) * length / count for number in range(count)]
    assert [frame.seconds for frame in found] == pytest.approx(expected, abs=0.11)
    assert brightness(found) == pytest.approx([frame.seconds / length * 255 for frame in found], abs=4)
    assert {frame.pixels.shape for frame in found} == {(48, 64, 3)}
    assert video.seconds == pytest.approx(length, abs=0.01)
    assert video.unseen_seconds == video.unseen_share == 0


class Counting(Video):
    """A video that counts the frames it decodes."""

    decoded = 0

    def _decode(self, *arguments: Any) -> Sequence[av.VideoFrame]:
        frames = super()._decode(*arguments)
        self.decoded += len(frames)
        return frames


def test_one_thread_decodes(tmp_path: Path) -> None:
    """With several, PyAV loses errors and may hang. FFmpeg starts its threads at the first packet."""
    video = Video(film(tmp_path / "a.mp4", 240, rate=10), 32)
    tasks = Path("/proc/self/task")
    before = set(tasks.iterdir())
    assert all(set(tasks.iterdir()) <= before for _ in video.frames())


def test_a_picture_that_is_let_go_is_freed_at_once(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 240, rate=10)
    gc.collect()
    gc.disable()
    try:
        before = count_frames()
        assert len(taken(path, 8)[1]) == 8
        assert count_frames() == before
    finally:
        gc.enable()


def count_frames() -> int:
    return sum(isinstance(each, av.VideoFrame) for each in gc.get_objects())


# 120 seconds, of which 10 frames are taken: 12 seconds apart
@pytest.mark.parametrize(("key_every", "least", "most"), [(2.0, 10, 400), (1000.0, 1100, 1200)])
def test_no_stretch_is_decoded_again_and_again(tmp_path: Path, key_every: float, least: int, most: int) -> None:
    counting = Counting(film(tmp_path / "a.mp4", 1200, rate=10, key_every=key_every), 10)
    found = [frame.seconds for frame in counting.frames()]
    assert found == pytest.approx([6 + 12 * number for number in range(10)], abs=0.11)
    assert least <= counting.decoded <= most


def test_a_short_video_gives_each_frame_once(tmp_path: Path) -> None:
    _, found = taken(film(tmp_path / "a.mp4", 5))
    assert [frame.seconds for frame in found] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    video, found = taken(film(tmp_path / "b.mp4", 1, last=3600))
    assert (len(found), video.seconds) == (1, 3600)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_a_picture_counts_for_the_time_it_is_on_show(tmp_path: Path, suffix: str) -> None:
    """One for 30 seconds of 60, and 300 in the others; a few for unequal times; the last held to the end."""
    times = [0, *(30 + number / 10 for number in range(300))]
    video, found = taken(film(tmp_path / f"a{suffix}", 301, rate=10, times=times))
    assert video.seconds == pytest.approx(60, abs=0.11)
    assert (np.array(brightness(found)) < 1).sum() == 16
    assert [frame.seconds for frame in found][:3] == pytest.approx([0, 1.875, 3.75], abs=0.01)
    assert brightness(found[16:]) == pytest.approx([(frame.seconds - 30) / 30 * 255 for frame in found[16:]], abs=4)

    _, found = taken(film(tmp_path / f"b{suffix}", 3, rate=10, times=[0, 10, 30], last=30), 12)
    assert brightness(found) == pytest.approx([0] * 2 + [127] * 4 + [255] * 6, abs=3)


def test_the_last_picture_is_on_show_until_the_sound_ends(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = add_film(container)
        add_silence(container, 157)  # 20 seconds
        container.mux(encoded(stream, [level(0), level(255)]))
    video, found = taken(tmp_path / "a.mkv", 8)
    assert video.seconds == pytest.approx(20, abs=0.3)
    assert brightness(found) == pytest.approx([255] * 8, abs=3)


@pytest.mark.parametrize("start", [-3.0, 7.0])
def test_times_count_from_the_first_picture(tmp_path: Path, start: float) -> None:
    path = film(tmp_path / "a.mp4", 100, rate=10, times=[start + number / 10 for number in range(100)])
    video, found = taken(path, 5)
    assert video.seconds == pytest.approx(10 + min(start, 0), abs=0.2)
    assert video.unseen_seconds == 0
    assert [frame.seconds for frame in found] == pytest.approx(
        [(number + 0.5) * video.seconds / 5 for number in range(5)], abs=0.11
    )


def test_a_film_whose_clock_starts_again_goes_on(tmp_path: Path) -> None:
    part = film(tmp_path / "part.ts", 100, rate=10).read_bytes()
    (tmp_path / "a.ts").write_bytes(part * 2)
    video, found = taken(tmp_path / "a.ts", 10)
    assert video.seconds == pytest.approx(20, abs=0.2)
    assert brightness(found) == pytest.approx([25, 75, 126, 180, 230] * 2, abs=6)


@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        (".mp4", "libx264", {"x264-params": "open-gop=1:keyint=20:scenecut=0"}),
        (".mp4", "libx264", {"x264-params": "intra-refresh=1:keyint=20"}),  # no key frames but the first
        (".avi", "libx264", {"g": "20"}),  # AVI knows no times, and H.264 changes the order
        (".ts", "mpeg2video", {"bf": "2", "g": "15"}),
        (".avi", "mpeg4", {"bf": "2", "g": "20"}),
        (".webm", "libvpx", QUICK | {"auto-alt-ref": "1", "lag-in-frames": "16"}),  # packets without a picture
    ],
)
@pytest.mark.parametrize("count", [2, 30])
def test_nothing_of_a_sound_film_counts_as_unseen(
    tmp_path: Path, suffix: str, codec: str, options: dict[str, str], count: int
) -> None:
    noise = np.random.default_rng(0).integers(0, 60, (48, 64, 3), np.uint8)
    moved = (np.roll(noise, (number, 2 * number), (0, 1)) + np.uint8(number // 2) for number in range(240))
    write_film(tmp_path / f"a{suffix}", moved, codec, 20, **options)
    video, found = taken(tmp_path / f"a{suffix}", count)
    assert (video.unseen_seconds, video.unseen_share, len(found)) == (0, 0, count)
    assert brightness(found) == pytest.approx([29.5 + 10 * frame.seconds for frame in found], abs=6)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".m4v"])
@pytest.mark.parametrize("kind", ["cover", "cover not marked", "thumbnails", "other film"])
def test_the_film_is_judged_and_not_what_comes_before_it(tmp_path: Path, suffix: str, kind: str) -> None:
    with av.open(str(tmp_path / f"a{suffix}"), "w", format="mp4" if suffix == ".m4v" else None) as container:
        pictures = {"thumbnails": 3, "other film": 30}.get(kind, 1)
        side = 320 if pictures == 1 else 32
        still, stream = add_film(container, "mjpeg", 1, (side, side)), add_film(container)
        if kind == "cover":
            still.disposition = Disposition.attached_pic
        stream.disposition = Disposition.default
        container.start_encoding()
        container.mux(encoded(still, [level(255, side, side)] * pictures))
        container.mux(encoded(stream, map(level, range(30))))
    video, found = taken(tmp_path / f"a{suffix}")
    assert {frame.pixels.shape for frame in found} == {(48, 64, 3)}
    assert (len(found), video.unseen_seconds) == (30, 0)


@pytest.mark.parametrize("cover", [False, True])
def test_sound_has_no_film(tmp_path: Path, cover: bool) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        if cover:
            still = add_film(container, "mjpeg", 1)
            still.disposition = Disposition.attached_pic
        add_silence(container, 1)
        if cover:
            container.mux(encoded(still, [level(255)]))
    with pytest.raises(UnreadableImageError, match="a sound file without pictures"):
        Video(tmp_path / "a.mp4", 4)


def corners(path: Path) -> Path:
    """Five frames of 64 x 48 whose corners are red, green, blue and white, from the upper left on, row by row."""
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32, 0] = picture[:24, 32:, 1] = picture[24:, :32, 2] = picture[24:, 32:] = 255
    return cast(Path, write_film(path, [picture] * 5, "mpeg4", 5))


def colours(pixels: np.ndarray[Any, Any]) -> str:
    """The corners' colours, from the upper left on, row by row."""
    height, width, _ = pixels.shape
    names = {(1, 0, 0): "r", (0, 1, 0): "g", (0, 0, 1): "b", (1, 1, 1): "w"}
    places = [(row * height // 4, column * width // 4) for row in (1, 3) for column in (1, 3)]
    return "".join(names[tuple((pixels[place] > 127).astype(int).tolist())] for place in places)


# what the matrix of a track header does, by its a, b, c and d: a point (x, y) is seen at (a x + c y, b x + d y)
ORIENTATIONS = {
    (1, 0, 0, 1): "rgbw",
    (-1, 0, 0, 1): "grwb",  # mirrored
    (1, 0, 0, -1): "bwrg",  # upside down and mirrored
    (-1, 0, 0, -1): "wbgr",  # by 180 degrees
    (0, 1, -1, 0): "brwg",  # by 90 degrees, clockwise
    (0, -1, 1, 0): "gwrb",  # by 90 degrees, counterclockwise
    (0, 1, 1, 0): "rbgw",  # transposed
    (0, -1, -1, 0): "wgbr",
}


@pytest.mark.parametrize(("matrix", "seen"), ORIENTATIONS.items())
def test_a_film_is_turned_and_mirrored_as_its_track_says(
    tmp_path: Path, matrix: tuple[int, int, int, int], seen: str
) -> None:
    content = bytearray(corners(tmp_path / "a.mp4").read_bytes())
    a, b, c, d = (value << 16 for value in matrix)
    struct.pack_into(">9i", content, content.index(b"tkhd") + 44, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (tmp_path / "a.mp4").write_bytes(content)
    _, found = taken(tmp_path / "a.mp4")
    assert {colours(frame.pixels) for frame in found} == {seen}
    assert found[0].pixels.shape == ((48, 64, 3) if matrix[0] else (64, 48, 3))


@pytest.mark.parametrize(("aspect", "shape"), [((4, 3), (48, 85, 3)), ((1, 2), (96, 64, 3)), ((1, 100), (48, 64, 3))])
def test_pixels_become_square(tmp_path: Path, aspect: tuple[int, int], shape: tuple[int, int, int]) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = add_film(container, "mpeg4", 5)
        stream.codec_context.sample_aspect_ratio = Fraction(*aspect)
        container.mux(encoded(stream, [level(0)]))
    _, found = taken(tmp_path / "a.mkv")
    assert found[0].pixels.shape == shape


@pytest.mark.parametrize("fragments", ["faststart", "frag_keyframe+empty_moov"])
@pytest.mark.parametrize("entry", [b"avc1", b"encv", b"drmi"])
def test_an_encrypted_film_says_so(tmp_path: Path, fragments: str, entry: bytes) -> None:
    path = tmp_path / "a.mp4"
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "76" * 16, "encryption_kid": "a7" * 16}
    with av.open(str(path), "w", options={"movflags": fragments, **key}) as container:
        container.mux(encoded(add_film(container), map(level, range(50, 80))))
    path.write_bytes(path.read_bytes().replace(b"avc1\0\0", entry + b"\0\0"))
    with pytest.raises(UnreadableImageError, match=r"^encrypted: it cannot be judged without its key$"):
        taken(path)


def test_what_is_no_video_says_so(tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.mp4", 50)
    # a playlist would have the decoder open other files, or addresses
    playlist = f"#EXTM3U\n#EXTINF:2,\n{whole}\n#EXT-X-ENDLIST\n".encode()
    for name, content, reason in (
        ("cut.mp4", whole.read_bytes()[:500], "truncated"),
        ("list.mp4", playlist, "a text file, neither a picture nor a video"),
        ("missing.mp4", None, "no such file or directory"),
    ):
        if content:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableImageError, match=reason):
            Video(tmp_path / name, 4)


COLOURS = [(200, 40, 40), (40, 180, 60), (50, 60, 200), (230, 200, 120), (20, 20, 20), (250, 250, 250)]
BT601, BT709 = (0.299, 0.114), (0.2126, 0.0722)  # the weights of red and blue in the brightness


@pytest.mark.parametrize(
    ("shape", "weights", "full", "tags"),
    [
        ((48, 96), BT709, False, "colormatrix=bt709"),
        ((720, 96), BT601, False, "colormatrix=smpte170m"),
        ((718, 96), BT601, False, ""),
        ((720, 96), BT709, False, ""),
        ((48, 1278), BT601, False, ""),
        ((48, 1280), BT709, False, ""),
        ((48, 96), BT601, True, "fullrange=on"),
        ((720, 96), BT709, True, "fullrange=on"),
    ],
)
def test_colours_are_those_that_the_file_names_and_else_those_of_its_size(
    tmp_path: Path, shape: tuple[int, int], weights: tuple[float, float], full: bool, tags: str
) -> None:
    height, width = shape
    columns = np.arange(width) * len(COLOURS) // width
    red, green, blue = np.moveaxis(np.broadcast_to(np.array(COLOURS)[columns] / 255, (height, width, 3)), -1, 0)
    brightness = weights[0] * red + (1 - sum(weights)) * green + weights[1] * blue
    chroma = [(blue - brightness) / (2 - 2 * weights[1]), (red - brightness) / (2 - 2 * weights[0])]
    first, steps, chroma_steps = (0, 255, 255) if full else (16, 219, 224)
    planes = [first + steps * brightness, *(128 + chroma_steps * each[::2, ::2] for each in chroma)]
    yuv = np.concatenate([plane.ravel() for plane in planes]).round().astype(np.uint8).reshape(-1, width)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        how: dict[str, Any] = {"qp": "0", "preset": "ultrafast"} | ({"x264-params": tags} if tags else {})
        stream = add_film(container, shape=shape, **how)
        container.mux([*stream.encode(av.VideoFrame.from_ndarray(yuv, format="yuv420p")), *stream.encode()])
    (frame,) = taken(tmp_path / "a.mp4")[1]
    middles = (np.arange(len(COLOURS)) * 2 + 1) * width // (2 * len(COLOURS))
    assert frame.pixels[height // 2, middles].tolist() == [pytest.approx(each, abs=4) for each in COLOURS]
