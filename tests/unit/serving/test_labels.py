"""Labels of faces cover no face and no other label, however close the faces are."""

import numpy as np
import pytest

from deepfake_detection.serving.labels import Rect, place_labels


def apart(faces: list[Rect], width: int, height: int, size: float) -> list[str]:
    """The texts of the labels, which must be within the picture and cover nothing."""
    texts = [f"{number}: over 99%" for number in range(1, len(faces) + 1)]
    labels = place_labels(faces, texts, width, height, size)
    for at, label in enumerate(labels):
        x, y, wide, tall = label.place
        assert 0 <= x <= x + wide <= width + 1e-6
        assert 0 <= y <= y + tall <= height + 1e-6
        assert wide >= 0.6 * label.size * len(label.text)  # the text fits
        assert not any(label.place.covers(face) for face in faces)
        assert not any(label.place.covers(other.place) for other in labels[:at])
    return [label.text for label in labels]


def test_three_faces_side_by_side_in_a_wide_picture() -> None:
    faces = [Rect(x, 60, 200, 220) for x in (60, 330, 610)]
    assert apart(faces, 900, 320, 40) == ["1: over 99%", "2: over 99%", "3: over 99%"]


@pytest.mark.parametrize("seed", range(20))
def test_faces_anywhere(seed: int) -> None:
    rng = np.random.default_rng(seed)
    faces: list[Rect] = []
    while len(faces) < 6:
        face = Rect(*map(float, rng.integers(0, (500, 260))), *map(float, rng.integers(40, 110, 2)))
        if not any(face.covers(other) for other in faces):
            faces.append(face)
    apart(faces, 640, 400, 28)


def test_without_space_it_is_the_number_in_the_corner_of_its_own_face() -> None:
    (label,) = place_labels([Rect(0, 0, 100, 100)], ["over 99%"], 100, 100, 20)
    assert (label.text, label.place[:2]) == ("1", (0, 0))
