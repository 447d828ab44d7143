"""Frames are taken evenly from any container; what is no video says so in a few words."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from av.container import InputContainer

from deepfake_detection.media.images import UnreadableImageError
from deepfake_detection.media.videos import _evenly_taken, sample_frames


def film(path: Path, frames: int, rate: int = 25, key_every: float = 2.0) -> Path:
    """Grey frames, from black to white, a key frame every so many seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx" if path.suffix == ".webm" else "libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.gop_size = round(key_every * rate)
        stream.options = {"sc_threshold": "0"}  # no other key frames
        for number in range(frames):
            grey = np.full((48, 64, 3), number * 255 / max(frames - 1, 1), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".avi"])
@pytest.mark.parametrize("count", [3, 8])  # by jumping to key frames, and by decoding all
def test_frames_are_taken_evenly(tmp_path: Path, suffix: str, count: int) -> None:
    length = 24.0
    found = list(sample_frames(film(tmp_path / f"a{suffix}", 240, rate=10), count))
    expected = [(number + 0.5) * length / count for number in range(count)]
    assert [seconds for seconds, _ in found] == pytest.approx(expected, abs=0.11)
    for seconds, pixels in found:
        assert pixels.shape == (48, 64, 3)
        assert pixels.mean() == pytest.approx(seconds / length * 255, abs=4)


class Counting:
    """A container that counts the frames it decodes."""

    def __init__(self, container: InputContainer) -> None:
        self.container, self.decoded = container, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.container, name)

    def decode(self, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
        for frame in self.container.decode(stream):
            self.decoded += 1
            yield frame


# 120 seconds, of which 10 frames are taken: 12 seconds apart
@pytest.mark.parametrize(("key_every", "least", "most"), [(2.0, 10, 400), (1000.0, 1100, 2400)])
def test_no_stretch_is_decoded_again_and_again(tmp_path: Path, key_every: float, least: int, most: int) -> None:
    with av.open(str(film(tmp_path / "a.mp4", 1200, rate=10, key_every=key_every))) as container:
        counting = Counting(container)
        found = [seconds for seconds, _ in _evenly_taken(cast(InputContainer, counting), 10)]
    assert found == pytest.approx([6 + 12 * number for number in range(10)], abs=0.11)
    assert least <= counting.decoded <= most


def test_a_short_video_gives_each_frame_once(tmp_path: Path) -> None:
    found = list(sample_frames(film(tmp_path / "a.mp4", 5), 32))
    assert [seconds for seconds, _ in found] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    assert len(list(sample_frames(film(tmp_path / "b.mp4", 1), 32))) == 1


def test_a_broken_off_video_gives_what_it_has(tmp_path: Path) -> None:
    whole = film(tmp_path / "a.mkv", 250).read_bytes()
    (tmp_path / "b.mkv").write_bytes(whole[: len(whole) // 2])
    assert 1 <= len(list(sample_frames(tmp_path / "b.mkv", 32))) < 32


def test_what_is_no_video_says_so(tmp_path: Path) -> None:
    film(tmp_path / "whole.mp4", 50)
    contents = {
        "text.mp4": (b"hello", "a text file, neither a picture nor a video"),
        "empty.mp4": (b"", "empty file"),
        "cut.mp4": ((tmp_path / "whole.mp4").read_bytes()[:500], "not a video in a known format"),
        # a playlist would have the decoder open other files, or addresses
        "list.mp4": (
            f"#EXTM3U\n#EXTINF:2,\n{tmp_path}/whole.mp4\n#EXT-X-ENDLIST\n".encode(),
            "a text file, neither a picture nor a video",
        ),
    }
    for name, (content, reason) in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableImageError, match=reason):
            list(sample_frames(tmp_path / name, 4))
    with pytest.raises(UnreadableImageError, match="no such file or directory"):
        list(sample_frames(tmp_path / "missing.mp4", 4))


def test_a_file_without_pictures_says_so(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    with pytest.raises(UnreadableImageError, match="a sound file without pictures"):
        list(sample_frames(tmp_path / "sound.mp4", 4))
