"""Self-blended frames: a part of the face from a changed copy, and nothing else that tells them from originals."""

from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from deepfake_detection.frames.filters import Frame
from deepfake_detection.pictures.crops import crop_face, in_crop
from deepfake_detection.pictures.faces import detect_faces
from deepfake_detection.sources.drawn.drawing import film
from deepfake_detection.training.blending import LANDMARKS, REGIONS, draw_region, self_blend

SIZE = 128


@pytest.fixture(scope="module")
def faces() -> list[tuple[Frame, NDArray[np.float32]]]:
    """Crops of drawn people and their landmarks, of those whom the detector finds."""
    found = []
    for who in range(50):
        picture = np.round(film(who, 0, 160, 42).filmed * 255).astype(np.uint8)
        if seen := detect_faces(picture)[:1]:
            points = np.array(in_crop(seen[0], "face", 0.3, (160, 160), SIZE), np.float32).reshape(5, 2)
            found.append((crop_face(picture, seen[0], "face", 0.3, SIZE), points))
    assert len(found) > 28
    return found


def test_it_changes_a_part_of_the_face(faces: list[tuple[Frame, NDArray[np.float32]]]) -> None:
    for number, (frame, points) in enumerate(faces):
        blended, mask = self_blend(frame, points, np.random.default_rng(number))
        assert blended.shape == frame.shape
        assert blended.dtype == np.uint8
        assert mask.shape == frame.shape[:2]
        assert 0 <= mask.min() <= mask.max() <= 1
        assert mask.max() > 0.1, "it hides something"
        assert mask[[0, 0, -1, -1], [0, -1, 0, -1]].max() < 0.05, "the corners are not of the face"
        again = self_blend(frame, points, np.random.default_rng(number))
        assert np.array_equal(again.frame, blended)
        other = self_blend(frame, points, np.random.default_rng(number + 1000))
        assert not np.array_equal(other.frame, blended)


def test_a_reduced_crop_is_blended_as_the_large_one_would_be() -> None:
    """And pixels that the blend does not change are those of the crop."""
    apart, kept = [], 0
    for who in range(8):
        large = np.round(film(who, 0, 256, 42).filmed * 255).astype(np.uint8)
        points = (LANDMARKS * 54 + [128, 113]).astype(np.float32)
        small, scale = np.asarray(Image.fromarray(large).resize((96, 96), Image.Resampling.BILINEAR)), 256 / 96
        expected = self_blend(large, points, np.random.default_rng(who)).frame
        expected = np.asarray(Image.fromarray(expected).resize((96, 96), Image.Resampling.BILINEAR))
        found, mask = self_blend(small, points / scale, np.random.default_rng(who), scale)
        assert (found.shape, mask.shape) == (small.shape, (96, 96))
        at_its_size = self_blend(small, points / scale, np.random.default_rng(who)).frame
        apart.append([abs(each.astype(int) - expected).mean() for each in (found, at_its_size)])
        kept += np.array_equal(found[mask == 0], small[mask == 0])
    near, far = np.mean(apart, axis=0)
    assert near < far / 2, (near, far)
    assert 0 < kept < 8


def test_outside_the_mask_it_is_the_target_alone(faces: list[tuple[Frame, NDArray[np.float32]]]) -> None:
    """Half of the time that is the original itself; otherwise the changed copy is outside."""
    kept = 0
    for number, (frame, points) in enumerate(faces):
        blended, mask = self_blend(frame, points, np.random.default_rng(number))
        kept += np.array_equal(blended[mask == 0], frame[mask == 0])
    assert 0.25 < kept / len(faces) < 0.75


@pytest.mark.parametrize("turn", [0.0, 0.4])
def test_regions_follow_the_landmarks(turn: float) -> None:
    rotate = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points = (30 * LANDMARKS @ rotate + (60, 55)).astype(np.float32)
    masks = {region: draw_region(region, points, (SIZE, SIZE, 3)) for region in REGIONS}

    def holds(region: str, landmark: int) -> bool:
        x, y = points[landmark]
        return bool(masks[region][round(y), round(x)])

    assert [holds("whole face", landmark) for landmark in range(5)] == [True] * 5
    assert [holds("lower half", landmark) for landmark in range(5)] == [False, False, True, True, True]
    assert [holds("eyes", landmark) for landmark in range(5)] == [True, True, False, False, False]
    assert [holds("mouth", landmark) for landmark in range(5)] == [False, False, False, True, True]
    areas = {region: mask.sum() for region, mask in masks.items()}
    assert areas["mouth"] < areas["lower half"] < areas["face to the brows"] < areas["whole face"]


def test_colours_and_file_size_do_not_tell_it_from_an_original(faces: list[tuple[Frame, NDArray[np.float32]]]) -> None:
    def features(frame: Frame) -> list[float]:
        file = BytesIO()
        Image.fromarray(frame).save(file, "PNG")
        return [*frame.mean((0, 1)), *frame.std((0, 1)), float(len(file.getvalue()))]

    draws = [(number, frame, points) for number, (frame, points) in enumerate(faces * 4)]
    blends = [self_blend(frame, points, np.random.default_rng(number)).frame for number, frame, points in draws]
    rows = np.array([features(frame) for frame in [*(frame for _, frame, _ in draws), *blends]])
    labels = np.repeat([0, 1], len(draws))
    groups = np.array([number % len(faces) for number, _, _ in draws] * 2)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    for columns in (rows, rows[:, :3], rows[:, -1:]):
        scores = cross_val_predict(model, columns, labels, groups=groups, cv=GroupKFold(5), method="decision_function")
        auroc = roc_auc_score(labels, scores)
        assert max(auroc, 1 - auroc) < 0.65
