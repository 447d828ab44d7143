"""Faces are cut out by each rule as its authors say, and their landmarks are known in the crop."""

import sys
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from deepfake_detection.common.crop_rule import CROP_WORDS, CropRule
from deepfake_detection.common.errors import UserError
from deepfake_detection.pictures.crops import crop_face, in_crop, scale_of, square_within
from deepfake_detection.pictures.faces import Box, DetectedFace, Landmarks
from tests.unit.pictures.test_faces import drawn

Frame = NDArray[np.uint8]
RULES: list[CropRule] = [rule for rule in CROP_WORDS if rule != "none"]
# a face that leans, seen a little from the side: eyes, nose and corners of the mouth
MARKS = np.array([[61.2, 70.4], [103.9, 61.8], [88.1, 92.3], [75.5, 120.2], [111.0, 112.9]])
FACES = {
    "in the middle": DetectedFace(Box(45, 31, 126, 142, 0.9), Landmarks(*MARKS.ravel())),
    "in the corner": DetectedFace(Box(4, 2, 85, 113, 0.9), Landmarks(*np.subtract(MARKS, (41, 29)).ravel())),
    "wide, at the edge": DetectedFace(Box(70, 140, 200, 200, 0.9), Landmarks(*np.add(MARKS, (40, 68)).ravel())),
}


def face_at(left: int, top: int, right: int, bottom: int) -> DetectedFace:
    return DetectedFace(Box(left, top, right, bottom, 1.0), Landmarks(*np.arange(10.0)))


def textured(width: int, height: int) -> Frame:
    """A smooth picture in which no two places are alike."""
    small = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    ("box", "margin", "square"),
    [
        ((40, 40, 60, 60), 0.0, (40, 40, 60, 60)),
        ((40, 40, 60, 60), 0.3, (34, 34, 66, 66)),
        ((40, 40, 50, 60), 0.0, (35, 40, 55, 60)),  # the longer side counts
        ((0, 0, 20, 20), 0.3, (0, 0, 32, 32)),  # moved in from the corner
        ((180, 80, 200, 100), 0.3, (168, 68, 200, 100)),
        ((10, 10, 90, 90), 0.3, (0, 0, 100, 100)),  # no larger than the picture
        ((150, 10, 200, 90), 1.0, (100, 0, 200, 100)),
        ((50, 50, 50, 50), 0.3, (50, 50, 51, 51)),
    ],
)
def test_square_around_a_box(box: tuple[int, int, int, int], margin: float, square: tuple[int, ...]) -> None:
    assert square_within(Box(*box, 1.0), margin, (200, 100)) == square


@given(st.lists(st.integers(0, 300), min_size=4, max_size=4), st.floats(0, 4), st.integers(1, 300), st.integers(1, 300))
def test_square_is_square_inside_and_around(sides: list[int], margin: float, width: int, height: int) -> None:
    (left, right), (top, bottom) = sorted(sides[:2]), sorted(sides[2:])
    box = Box(left, top, right, bottom, 1.0)
    x0, y0, x1, y1 = square_within(box, margin, (width, height))
    assert x1 - x0 == y1 - y0 > 0
    assert min(x0, y0) >= 0
    assert x1 <= width
    assert y1 <= height
    if right <= width and bottom <= height and max(right - left, bottom - top) <= min(width, height):
        assert x0 <= left <= right <= x1
        assert y0 <= top <= bottom <= y1


def test_crop_shows_the_square_and_nothing_else() -> None:
    picture = np.zeros((100, 200, 3), dtype=np.uint8)
    picture[34:66, 34:66] = (200, 100, 50)
    assert (crop_face(picture, face_at(40, 40, 60, 60), "face", 0.3, 8) == (200, 100, 50)).all()
    assert not (crop_face(picture, face_at(40, 40, 60, 60), "face", 0.6, 8) == (200, 100, 50)).all()


def test_without_a_face_the_whole_frame_is_squeezed() -> None:
    picture = drawn(1)[:, :200]
    squeezed = Image.fromarray(picture).resize((64, 64), Image.Resampling.BILINEAR)
    assert np.array_equal(crop_face(picture, None, "face", 0.3, 64), np.asarray(squeezed))
    assert np.array_equal(crop_face(picture, face_at(0, 0, 9, 9), "none", 0.3, 64), np.asarray(squeezed))


def selimsef(picture: Frame, face: DetectedFace, size: int) -> Frame:
    """A third of the box is added on each side, and the longer side of what is there becomes ``size`` pixels."""
    x0, y0, x1, y1 = face.box[:4]
    down, across = (y1 - y0) // 3, (x1 - x0) // 3
    cut = picture[max(y0 - down, 0) : y1 + down, max(x0 - across, 0) : x1 + across]
    high, wide = cut.shape[:2]
    scale = size / max(high, wide)
    new = (size, int(high * scale)) if wide > high else (int(wide * scale), size)
    cut = np.asarray(cv2.resize(cut, new, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA), np.uint8)
    whole = np.zeros((size, size, 3), np.uint8)
    y, x = (size - cut.shape[0]) // 2, (size - cut.shape[1]) // 2
    whole[y : y + cut.shape[0], x : x + cut.shape[1]] = cut
    return whole


def sbi(picture: Frame, face: DetectedFace, size: int) -> Frame:
    """An eighth of width and height on each side; what is within the picture is squeezed to a square."""
    x0, y0, x1, y1 = face.box[:4]
    wide, high = (x1 - x0) / 4 * 0.5, (y1 - y0) / 4 * 0.5
    rows = slice(max(0, int(y0 - high)), min(picture.shape[0], int(y1 + high) + 1))
    columns = slice(max(0, int(x0 - wide)), min(picture.shape[1], int(x1 + wide) + 1))
    return np.asarray(cv2.resize(picture[rows, columns], (size, size)), np.uint8)


def polimi(picture: Frame, face: DetectedFace, size: int) -> Frame:
    """A fifth of the longer side on each side of it makes a square, on a picture that black goes around."""
    x0, y0, x1, y1 = face.box[:4]
    side = round(1.4 * max(x1 - x0, y1 - y0))
    around = np.pad(picture, ((side, side), (side, side), (0, 0)))
    top, left = ((start + end) // 2 - side // 2 + side for start, end in ((y0, y1), (x0, x1)))
    cut = Image.fromarray(around[top : top + side, left : left + side])
    return np.asarray(cut.resize((size, size), Image.Resampling.BILINEAR))


def deepfakebench(picture: Frame, face: DetectedFace, size: int) -> Frame:
    """Umeyama's transform, by his singular value decomposition, to ArcFace's points, drawn 1 / 1.3 as large."""
    template = np.array([[30.2946, 51.6963], [65.5318, 51.5014], [48.0252, 71.7366], [33.5493, 92.3655]])
    template = np.vstack([template, [62.7299, 92.2041]])  # of 96 x 112 pixels, as published
    wanted = np.add(template, (8, 0)) / 112 * size
    border = size * 0.3 / 2
    wanted = (wanted + border) * size / (size + 2 * border)
    there = np.array(face.landmarks).reshape(5, 2)
    covariance = (wanted - wanted.mean(0)).T @ (there - there.mean(0)) / 5
    left, values, right = np.linalg.svd(covariance)
    signs = np.array([1, np.sign(np.linalg.det(covariance))])
    turn = left @ np.diag(signs) @ right * (values @ signs / (there - there.mean(0)).var(0).sum())
    matrix = np.column_stack([turn, wanted.mean(0) - turn @ there.mean(0)])
    return np.asarray(cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR), np.uint8)


AUTHORS: dict[CropRule, tuple[Callable[[Frame, DetectedFace, int], Frame], float, int]] = {
    "letterbox": (selimsef, 0.3333333333333333, 380),
    "box": (sbi, 0.125, 380),
    "square": (polimi, 0.2, 224),
    "aligned": (deepfakebench, 0.3, 256),
}


@pytest.mark.parametrize("size", ["as published", "small"])
@pytest.mark.parametrize("place", FACES)
@pytest.mark.parametrize("rule", AUTHORS)
def test_a_rule_is_that_of_its_authors(rule: CropRule, place: str, size: str) -> None:
    authors, margin, published = AUTHORS[rule]
    picture, face = textured(208, 208), FACES[place]
    pixels = published if size == "as published" else 61
    crop, wanted = crop_face(picture, face, rule, margin, pixels), authors(picture, face, pixels)
    assert crop.shape == wanted.shape == (pixels, pixels, 3)
    assert np.array_equal(crop, wanted)
    assert not np.array_equal(crop_face(picture, face, rule, margin + 0.1, pixels), wanted)
    others = [crop_face(picture, face, other, margin, pixels) for other in AUTHORS if other != rule]
    assert not any(np.array_equal(other, wanted) for other in others)


@pytest.mark.parametrize("place", FACES)
@pytest.mark.parametrize("rule", RULES)
def test_landmarks_are_where_the_crop_shows_them(rule: CropRule, place: str) -> None:
    """Each landmark is a spot of light in a dark picture."""
    face, size = FACES[place], 160
    frame = 230, 210
    points = in_crop(face, rule, 0.3, frame, size)
    for number, (x, y) in enumerate(np.reshape(face.landmarks, (5, 2))):
        across, down = np.meshgrid(np.arange(frame[0]) - x, np.arange(frame[1]) - y)
        light = np.exp(-(across**2 + down**2) / 18)
        crop = crop_face(np.repeat((255 * light)[..., None], 3, 2).astype(np.uint8), face, rule, 0.3, size)[..., 0]
        weights = crop.astype(float) ** 2
        seen = [(weights.sum(axis) @ np.arange(size)) / weights.sum() for axis in (0, 1)]
        assert seen == pytest.approx(points[2 * number : 2 * number + 2], abs=1.5)


@pytest.mark.parametrize("rule", RULES)
def test_the_scale_of_a_crop_is_that_of_the_region_that_it_shows(rule: CropRule) -> None:
    """A crop of half the size has twice the scale, and the squares are of the box with its margins."""
    face = FACES["in the middle"]
    large, small = (scale_of(face, in_crop(face, rule, 0.3, (230, 210), size)) for size in (160, 80))
    assert small == pytest.approx(2 * large, rel=0.02)
    if rule in ("face", "square"):
        left, top, right, bottom = face.box[:4]
        assert large == pytest.approx(round(1.6 * max(right - left, bottom - top)) / 160, rel=0.01)


def test_landmarks_at_one_place_are_no_error() -> None:
    nowhere = DetectedFace(Box(10, 10, 60, 60, 0.9), Landmarks(*[30.0] * 10))
    assert crop_face(textured(80, 80), nowhere, "aligned", 0.3, 32).shape == (32, 32, 3)
    assert scale_of(nowhere, in_crop(nowhere, "face", 0.3, (80, 80), 32)) == 1


def test_the_rules_of_opencv_without_it_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match=r"^prepare\.crop: opencv-python-headless is not installed; run make env"):
        crop_face(textured(80, 80), face_at(10, 10, 60, 60), "box", 0.1, 32)
    assert crop_face(textured(80, 80), face_at(10, 10, 60, 60), "square", 0.1, 32).any()
