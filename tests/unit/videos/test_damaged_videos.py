"""A film that is damaged or not whole is seen as far as it goes, and says what was not seen."""

import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from deepfake_detection.pictures.images import UnreadableImageError
from deepfake_detection.videos.video import Video
from tests.support.films import add_film, encoded
from tests.torture.images import mutated
from tests.torture.videos import LONGEST, originals
from tests.unit.videos.test_video import CODECS, QUICK, brightness, taken


def place(path: Path, seconds: float) -> tuple[int, int]:
    """The bytes of the packet of the picture that comes on show then."""
    with av.open(str(path)) as container:
        packets: list[Any] = [packet for packet in container.demux(video=0) if packet.size]
        begin = min(packet.pts for packet in packets)
        found = min(packets, key=lambda each: abs((each.pts - begin) * each.time_base - seconds))
        return found.pos, found.size


def zeroed(path: Path, *seconds: float, part: float = 0.0) -> Path:
    """Up to 400 bytes of some packets are lost, from a part of each on."""
    content = bytearray(path.read_bytes())
    for at in seconds:
        begin, size = place(path, at)
        begin, end = begin + int(part * size), min(begin + size, begin + int(part * size) + 400)
        content[begin:end] = bytes(end - begin)
    path.write_bytes(content)
    return path


# x264 looks ahead beyond the edge of such small frames, into memory that differs from run to run. Without that, a film
# has the same bytes, and the damaged packet is of the same picture each time.
SAME = {"sc_threshold": "0", "x264-params": "rc-lookahead=0:sync-lookahead=0:mbtree=0"}


def textured(path: Path, frames: int = 200, rate: int = 10, key_every: float = 5.0) -> Path:
    """As film, but on a pattern that moves: its packets are of a few hundred bytes."""
    rng = np.random.default_rng(0)
    pattern = rng.integers(-20, 20, (48, 64, 1))
    how = {".avi": {"sc_threshold": "1000000000", "qmax": "4"}, ".webm": QUICK}.get(path.suffix, SAME)
    greys = (np.roll(pattern, (number, 2 * number), (0, 1)) + 30 + 195 * number // frames for number in range(frames))
    pictures = (np.broadcast_to(grey, (48, 64, 3)).astype(np.uint8) for grey in greys)
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        codec, every = CODECS.get(path.suffix, "libx264"), str(round(key_every * rate))
        container.mux(encoded(add_film(container, codec, rate, g=every, **how), pictures))
    return path


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """The bytes of a film of 20 seconds by its suffix: 200 frames on a moving pattern, a key frame every 5 seconds."""
    folder, made = tmp_path_factory.mktemp("sound"), dict[str, bytes]()

    def content(suffix: str) -> bytes:
        if suffix not in made:
            made[suffix] = textured(folder / f"a{suffix}").read_bytes()
        return made[suffix]

    return content


SUFFIXES = [".mp4", ".mkv", ".webm", ".avi", ".ts"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("damage", "unseen"),
    [([4.0], 1.0), ([0.0], 5.0), ([19.0], 1.0), ([1.0, 7.0, 14.0], 8.0)],
    ids=["middle", "start", "end", "several"],
)
def test_a_film_goes_on_behind_damage_and_says_what_is_damaged(
    tmp_path: Path, sound: Callable[[str], bytes], suffix: str, damage: list[float], unseen: float
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(sound(suffix))
    video, found = taken(zeroed(path, *damage), 40)
    assert video.seconds == pytest.approx(20, abs=0.11)
    # pictures that are shown before the damaged one may build on it
    assert unseen - 0.4 * len(damage) <= video.unseen_seconds <= unseen + 0.5 * len(damage)
    assert video.unseen_share == pytest.approx(unseen / 20, abs=0.03 * (1 + len(damage)))
    intact = [frame for frame in found if not frame.damaged]
    assert len(intact) == pytest.approx(40 - 2 * unseen, abs=1 + len(damage))
    assert brightness(intact) == pytest.approx([30 + 195 * frame.seconds / 20 for frame in intact], abs=4)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_zeros_that_a_decoder_takes_for_pictures_are_damage(
    tmp_path: Path, sound: Callable[[str], bytes], suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(sound(suffix))
    video, _ = taken(zeroed(path, 5.0, part=0.6), 40)
    assert video.unseen_seconds == pytest.approx(5, abs=0.35)


def test_where_nothing_is_sound_the_damaged_pictures_are_shown(tmp_path: Path) -> None:
    video, (frame,) = taken(zeroed(textured(tmp_path / "a.mp4", 1), 0.0, part=0.5))
    assert frame.damaged
    assert (video.unseen_share, video.unseen_seconds) == (1, video.seconds)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".avi"])
def test_a_film_that_breaks_off_says_how_much_is_missing(
    tmp_path: Path, sound: Callable[[str], bytes], suffix: str
) -> None:
    whole, path = sound(suffix), tmp_path / f"a{suffix}"
    cut = len(whole) * 45 // 100
    path.write_bytes(whole[:cut])
    video, found = taken(path)
    assert video.seconds == pytest.approx(20, abs=0.11)
    assert 10 < video.unseen_seconds < 16
    assert video.unseen_share > 0.5
    assert len(found) >= 25  # of what is there
    path.write_bytes(whole[:cut] + bytes(len(whole) - cut))  # room was made for all of it
    again, _ = taken(path)
    assert (again.seconds, again.unseen_seconds) == pytest.approx((video.seconds, video.unseen_seconds), abs=0.5)


def test_what_broke_off_at_once_is_truncated(tmp_path: Path, sound: Callable[[str], bytes]) -> None:
    (tmp_path / "a.mp4").write_bytes(sound(".mp4")[:1000])
    (tmp_path / "b.avi").write_bytes(sound(".avi")[:3000])
    for name in ("a.mp4", "b.avi"):
        with pytest.raises(UnreadableImageError, match="truncated"):
            Video(tmp_path / name, 4)


def test_a_film_cut_between_key_frames_is_seen_from_the_next_one(tmp_path: Path, sound: Callable[[str], bytes]) -> None:
    whole = sound(".ts")
    begin, _ = divmod(len(whole) // 10, 188)
    (tmp_path / "a.ts").write_bytes(whole[begin * 188 : len(whole) * 9 // 10])
    video, found = taken(tmp_path / "a.ts")
    assert 1.5 < video.unseen_seconds < 5
    intact = [frame for frame in found if not frame.damaged]
    missing = 20 - 20 * 9 / 10
    assert brightness(intact)[-1] == pytest.approx(225 - 9.75 * missing, abs=15)


def test_what_was_lost_on_the_way_is_damage(tmp_path: Path, sound: Callable[[str], bytes]) -> None:
    """A transport stream counts its packets."""
    (tmp_path / "a.ts").write_bytes(sound(".ts"))
    begin, size = place(tmp_path / "a.ts", 10.0)
    assert size > 2 * 188
    (tmp_path / "a.ts").write_bytes(sound(".ts")[: begin + 188] + sound(".ts")[begin + 2 * 188 :])
    video, found = taken(tmp_path / "a.ts", 40)
    assert video.unseen_seconds == pytest.approx(5, abs=0.5)
    assert {frame.damaged for frame in found if not 9.5 < frame.seconds < 15} == {False}


@pytest.mark.parametrize("length", [3.0, 3600.0])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_a_wrong_length_in_the_header_changes_nothing(
    tmp_path: Path, sound: Callable[[str], bytes], suffix: str, length: float
) -> None:
    content, path = bytearray(sound(suffix)), tmp_path / f"a{suffix}"
    if suffix == ".mkv":
        at = content.index(b"\x44\x89\x88") + 3  # Duration, in milliseconds
        content[at : at + 8] = struct.pack(">d", length * 1000)
    elif suffix == ".mp4":
        for name in (b"mvhd", b"mdhd"):
            at = content.index(name) + 16
            (scale,) = struct.unpack_from(">I", content, at)
            struct.pack_into(">I", content, at + 4, round(length * scale))
    else:
        for name, offset in ((b"avih", 24), (b"strh", 40)):
            struct.pack_into("<I", content, content.index(name) + offset, round(length * 10))
    path.write_bytes(content)
    video, found = taken(path, 40)
    assert video.seconds == pytest.approx(20, abs=0.11)
    assert video.unseen_seconds == 0
    assert brightness(found) == pytest.approx([30 + 195 * frame.seconds / 20 for frame in found], abs=4)


def test_mutated_videos_give_pictures_or_a_reason(tmp_path: Path) -> None:
    """A short version of ``python -m tests.torture.videos``."""
    rng = np.random.default_rng(3)
    sources = originals(tmp_path)
    pictures, reasons = 0, set()
    for number in range(60):
        source = sources[number % len(sources)]
        path = tmp_path / f"mutated{source.suffix}"
        path.write_bytes(mutated(source.read_bytes(), rng))
        start = time.perf_counter()
        try:
            _, found = taken(path, 4)
            pictures += len(found)
        except UnreadableImageError as error:
            reasons.add(str(error))
        assert time.perf_counter() - start < LONGEST
    assert pictures > 40
    assert reasons <= {
        "damaged",
        "no frame that can be decoded",
        "neither a picture nor a video that can be read",
        "not a video in a known format",
        "truncated",
    }
