"""A data set of videos gives the tables and pixels that its frames would give as PNG files, and none is written."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import write_csv
from deepfake_detection.common.tables import FILES
from deepfake_detection.frames.preparing import prepare_frames
from deepfake_detection.index.build import Indexed, index_data_set
from deepfake_detection.params.data_sections import Dataset, Video
from deepfake_detection.sources.drawn.drawing import film
from deepfake_detection.sources.gather import gather
from deepfake_detection.videos.video import Video as Film
from tests.support.films import write_film

COUNT, SIZE = 4, 32
PEOPLE = {"fake/000_001.mp4": 4, "fake/001_000.mp4": 6, "real/000.mp4": 2, "real/001.mp4": 5}
VIDEOS = list(PEOPLE)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces that move; in one original there is none in the first half. And a file that is no video."""
    folder = tmp_path_factory.mktemp("films")
    for name, who in PEOPLE.items():
        (folder / name).parent.mkdir(exist_ok=True)
        face = np.round(film(who, 0, 160, 42).filmed * 255).astype(np.uint8)
        pictures = [np.roll(face, 2 * number, 1) for number in range(12)]
        if name == "real/001.mp4":
            pictures[:6] = [np.full_like(face, 10 * number) for number in range(6)]
        write_film(folder / name, pictures, preset="ultrafast")
    (folder / "fake" / "broken.mp4").write_text("no video")
    return folder


class Made:
    """What the stages make of a data set in a folder."""

    def __init__(self, data: Path, folder: Path, work: Path | None = None, workers: int = 1) -> None:
        self.raw, self.work, self.data = data / "raw", work, data
        self.folders = {"own": folder}
        gather("own", Dataset(path=str(folder), use="train"), Video(frames=COUNT), self.raw / "own")
        self.found = self.indexed(workers)
        write_csv(data / "index.csv", self.found.frames.drop(columns="phash"))
        write_csv(data / "faces.csv", self.found.faces)
        self.pixels = self.prepared(workers)

    def indexed(self, workers: int = 1) -> Indexed:
        return index_data_set(self.raw, "own", 1.0, True, workers, self.folders, self.work)

    def prepared(self, workers: int = 1) -> Any:
        index, faces = self.data / "index.csv", self.data / "faces.csv"
        how: dict[str, Any] = {"faces": faces, "margin": 0.3, "folders": self.folders, "work": self.work}
        prepare_frames(index, self.raw, self.data / "prepared", SIZE, workers, **how)
        return np.load(self.data / "prepared.npy")


@pytest.fixture(scope="module")
def made(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    return Made(folder, films, folder / "work", workers=2)


def test_tables_and_pixels_are_those_of_frames_as_files(films: Path, made: Made, tmp_path: Path) -> None:
    for name in VIDEOS:
        folder = tmp_path / "frames" / name.removesuffix(".mp4")
        folder.mkdir(parents=True)
        for frame in Film(films / name, COUNT).frames():
            Image.fromarray(frame.pixels).save(folder / f"{frame.number:06d}.png")
    files = Made(tmp_path, tmp_path / "frames")
    assert made.pixels.shape == (16, SIZE, SIZE, 3)
    assert np.array_equal(made.pixels, files.pixels)
    for ours, theirs in (
        (made.found.frames.drop(columns="seconds"), files.found.frames),
        (made.found.faces, files.found.faces),
        (pd.read_csv(made.data / "prepared.csv"), pd.read_csv(files.data / "prepared.csv")),
    ):
        named = ours.assign(path=ours["path"].str.replace(".mp4/", "/") + ".png")
        pd.testing.assert_frame_equal(named, theirs)
    assert made.found.frames["seconds"].tolist()[:4] == [0.1, 0.4, 0.7, 1.0]
    there = {path.name for path in (made.raw / "own").rglob("*") if path.is_file()}
    assert there == {"frames.csv", "rejected.csv", "source.json", "videos.csv"}
    (rejected,) = made.found.rejected.itertuples(index=False)
    assert rejected == (
        f"own/{FILES}/fake/broken.mp4",
        "fake",
        "no frame of the video: a text file, neither a picture nor a video",
    )
    assert made.found.missing["video_id"].tolist() == ["broken"]


def test_equal_videos_are_duplicates_frame_by_frame(films: Path, tmp_path: Path) -> None:
    for name in VIDEOS:
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_bytes((films / name).read_bytes())
    (tmp_path / "mine" / VIDEOS[0]).write_bytes((films / VIDEOS[2]).read_bytes())
    found = Made(tmp_path, tmp_path / "mine").found
    assert found.rejected[["path", "reason"]].to_numpy().tolist() == [
        [f"own/{FILES}/{VIDEOS[0]}/{number:06d}", f"duplicate of own/{FILES}/{VIDEOS[2]}/{number:06d}"]
        for number in (1, 4, 7, 10)
    ]


def test_a_killed_index_goes_on_at_the_next_video(made: Made) -> None:
    assert made.work
    kept = sorted(made.work.glob("*.json"), key=lambda path: json.loads(path.read_text())[0][2])
    assert len(kept) == len(VIDEOS)
    kept[0].unlink()  # as if it had been killed there
    changed = json.loads(kept[1].read_text())
    changed[0][5] = 0  # a phash, which shows that the video is not decoded again
    kept[1].write_text(json.dumps(changed))
    again = made.indexed()
    assert sorted(made.work.glob("*.json")) == sorted(kept)
    pd.testing.assert_frame_equal(again.faces, made.found.faces)
    differ = again.frames["phash"] != made.found.frames["phash"]
    assert again.frames.loc[differ, "phash"].tolist() == [0]
    for path in kept:
        path.unlink()


def test_killed_preparing_goes_on_at_the_next_video(made: Made, films: Path) -> None:
    assert made.work
    (part,) = (path for path in made.work.iterdir() if not path.suffix)
    content, frame = part.read_bytes(), 3 * SIZE**2
    header = len(content) - 16 * frame
    for there in (0, header - 1, header, header + 6 * frame + 5):
        part.write_bytes(content[:there].replace(content[header : header + 9], bytes(9), 1))
        (made.data / "prepared.npy").unlink(missing_ok=True)  # DVC removes it
        again = made.prepared()
        # the first video was there whole, with other pixels, and stayed
        assert np.array_equal(again[4:], made.pixels[4:])
        assert (again[0, 0, :3] == 0).all() == (there > header + 4 * frame)
        assert np.array_equal(again[0, 1:], made.pixels[0, 1:])
    os.utime(films / VIDEOS[0], (1, 1))  # another video
    assert np.array_equal(made.prepared(), made.pixels)


def test_a_video_that_is_gone_is_one_line(made: Made, films: Path) -> None:
    film = films / VIDEOS[3]
    film.rename(films / "elsewhere")
    with pytest.raises(
        UserError, match=r"^own/files/real/001\.mp4: no such file or directory: .* index the frames again"
    ):
        made.prepared()
    (films / "elsewhere").rename(film)
