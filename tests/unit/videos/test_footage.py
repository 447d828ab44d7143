"""Frames of videos are read where the videos lie: evenly, each once, by their real numbers and with every pixel."""

from pathlib import Path

import numpy as np
import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.pictures.images import UnreadableImageError
from deepfake_detection.videos.footage import file_of, frame_path, read_pixels, sound_frames
from deepfake_detection.videos.video import Video
from tests.support.miniatures.drawing import film, picture


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a film of 12 frames, one of 3, one whose end is missing, and a text file."""
    folder = tmp_path_factory.mktemp("films")
    film(folder / "long.mp4", 1, False, frames=12)
    film(folder / "short.mp4", 2, False, frames=3)
    film(folder / "broken.mkv", 3, False, frames=40)
    content = (folder / "broken.mkv").read_bytes()
    (folder / "broken.mkv").write_bytes(content[: len(content) // 2])
    (folder / "notes.mp4").write_text("no video")
    return folder


def test_frames_are_even_and_damaged_ones_are_left_out(films: Path) -> None:
    assert [frame.number for frame in sound_frames(films / "long.mp4", 4)] == [1, 4, 7, 10]
    assert [frame.number for frame in sound_frames(films / "short.mp4", 4)] == [0, 1, 2]
    assert 1 <= len(list(sound_frames(films / "broken.mkv", 4))) <= 4  # it gives what it has
    with pytest.raises(UnreadableImageError, match="a text file, neither a picture nor a video"):
        next(sound_frames(films / "notes.mp4", 4))
    with pytest.raises(UnreadableImageError, match="no such file"):
        next(sound_frames(films / "gone.mp4", 4))


def test_a_picture_that_is_held_is_one_frame(tmp_path: Path) -> None:
    film(tmp_path / "one.mp4", 1, False, frames=1)
    assert [frame.number for frame in sound_frames(tmp_path / "one.mp4", 8)] == [0]


def test_rows_of_a_file_have_its_pixels(films: Path, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "source.json").write_text('{"video_frames": 4}')
    video = "own/files/long.mp4"
    pixels = {frame.number: frame.pixels for frame in Video(films / "long.mp4", 4).frames()}
    rows = [frame_path(video, number) for number in (10, 4)]
    assert [file_of(path) for path in rows] == [video, video]
    found = dict(read_pixels(tmp_path, {"own": films}, rows))
    assert list(found) == [f"{video}/000004", f"{video}/000010"]
    assert all(np.array_equal(found[frame_path(video, number)], pixels[number]) for number in (4, 10))
    with pytest.raises(UnreadableImageError, match="no frame 000005"):
        list(read_pixels(tmp_path, {"own": films}, [frame_path(video, 5)]))
    with pytest.raises(UnreadableImageError, match="no such file"):  # one that was downloaded lies below data/raw
        list(read_pixels(tmp_path, {"other": films}, rows))
    picture(tmp_path / "own" / "files" / "3.png", 1, False)
    ((path, _),) = read_pixels(tmp_path, {"own": films}, ["own/files/3.png"])  # pictures always lie there
    assert path == "own/files/3.png" == file_of(path)


@pytest.mark.parametrize("content", ["{}", '{"video_frames": "4"}', '{"video_frames": 0}', "[]", "{"])
def test_nobody_says_how_many_frames_are_taken(films: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "source.json").write_text(content)
    with pytest.raises(UserError, match=r"source\.json does not say how many frames .* run `dvc repro download`$"):
        list(read_pixels(tmp_path, {"own": films}, ["own/files/long.mp4/000001"]))
