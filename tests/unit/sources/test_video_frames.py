"""Frames of videos become files: evenly, called by their real numbers, and the same ones after a killed run."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepfake_detection.sources.video_frames import Taken, numbered, take_frames
from deepfake_detection.videos.video import Video
from tests.support.miniatures.drawing import film


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A film of 12 frames, one of 3, one whose end is missing, and a text file."""
    folder = tmp_path_factory.mktemp("videos")
    paths = [folder / name for name in ("long.mp4", "short.mp4", "broken.mkv", "notes.mp4")]
    film(paths[0], 1, False, frames=12)
    film(paths[1], 2, False, frames=3)
    film(paths[2], 3, False, frames=40)
    content = paths[2].read_bytes()
    paths[2].write_bytes(content[: len(content) // 2])
    paths[3].write_text("no video")
    return paths


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def folder_of(taken: Taken) -> Path:
    assert taken.folder is not None
    return taken.folder


def test_frames_are_even_and_keep_every_pixel(videos: list[Path], tmp_path: Path) -> None:
    long, short, broken, notes = take_frames(videos, tmp_path / "work", 4, "png", 1)
    assert [number for number, _ in numbered(folder_of(long))] == [1, 4, 7, 10]
    assert [path.name for _, path in numbered(folder_of(short))] == ["000000.png", "000001.png", "000002.png"]
    for frame, (number, path) in zip(Video(videos[0], 4).frames(), numbered(folder_of(long)), strict=True):
        assert frame.number == number
        assert np.array_equal(np.asarray(Image.open(path)), frame.pixels)
    assert 1 <= len(numbered(folder_of(broken))) <= 4  # it gives what it has
    assert notes == Taken(None, "a text file, neither a picture nor a video")


def test_processes_give_the_same_files_and_jpeg_is_smaller(videos: list[Path], tmp_path: Path) -> None:
    alone = [folder_of(each) for each in take_frames(videos[:2], tmp_path / "one", 4, "png", 1)]
    together = [folder_of(each) for each in take_frames(videos[:2], tmp_path / "two", 4, "png", 2)]
    assert list(map(hashes, alone)) == list(map(hashes, together))
    (jpeg,) = [folder_of(each) for each in take_frames(videos[:1], tmp_path / "jpeg", 4, "jpeg", 1)]
    assert [path.name for _, path in numbered(jpeg)] == ["000001.jpg", "000004.jpg", "000007.jpg", "000010.jpg"]
    assert sum(path.stat().st_size for path in jpeg.iterdir()) < sum(path.stat().st_size for path in alone[0].iterdir())


def test_a_killed_run_goes_on_where_it_stopped(videos: list[Path], tmp_path: Path) -> None:
    work = tmp_path / "work"
    first, second = (folder_of(each) for each in take_frames(videos[:2], work, 4, "png", 1))
    before = hashes(first), hashes(second)
    written = {path: path.stat().st_mtime_ns for path in first.iterdir()}
    second.rename(second.with_name(f".part-{second.name}"))  # as if the run had been killed in the second video
    (work / f".part-{second.name}" / "000002.png").write_bytes(b"half")
    again = [folder_of(each) for each in take_frames(videos[:2], work, 4, "png", 1)]
    assert again == [first, second]
    assert (hashes(first), hashes(second)) == before
    assert {path: path.stat().st_mtime_ns for path in first.iterdir()} == written  # it was not read again
    (other,) = [folder_of(each) for each in take_frames(videos[:1], work, 3, "png", 1)]
    assert other != first
