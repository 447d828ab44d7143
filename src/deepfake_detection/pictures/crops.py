"""Cuts faces out of pictures. Training and prediction get their pixels from the same function.

The rule ``face`` is this project's. The others are those of published detectors: see docs/concepts/crops.md.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepfake_detection.common.crop_rule import CropRule
from deepfake_detection.pictures.faces import Box, DetectedFace, Frame, Landmarks, import_opencv

Corners: TypeAlias = tuple[int, int, int, int]
"""Left, top, right and bottom of a rectangle, in pixels; right and bottom are exclusive."""
Affine: TypeAlias = NDArray[np.float64]
"""Maps a point in a picture to one in another: a matrix of shape (2, 3), whose last column is added."""

# Where an aligned face of 112 x 112 pixels has its landmarks (Deng et al. 2019, "ArcFace"), in the order of Landmarks
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
TEMPLATE_SIZE = 112
ROUNDING = 1e-6  # pixels: a third of a box, 0.3333333333 of it, must not lose one


class Placed(NamedTuple):
    """A rectangle of a picture, which may reach beyond it, and the one of the crop that it fills."""

    region: Corners
    target: Corners


def crop_face(pixels: Frame, face: DetectedFace | None, rule: CropRule, margin: float, size: int) -> Frame:
    """Cuts a face out of an RGB picture and resizes it to uint8 of shape (size, size, 3).

    ``margin`` is what ``rule`` adds on each side, as a share of the face's size. With the rule ``none``, and without a
    face, the whole picture is squeezed to a square. What is beyond the picture is black. Raises UserError if OpenCV is
    missing, for the rules whose authors resize with it.
    """
    if face is None or rule == "none":
        return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))
    if rule == "aligned":
        return _warped(pixels, alignment(face.landmarks, margin, size), size)
    region, (left, top, right, bottom) = PLACES[rule](face.box, margin, (pixels.shape[1], pixels.shape[0]), size)
    crop = np.zeros((size, size, 3), np.uint8)
    x, y = max(0, region[0]), max(0, region[1])  # Pillow copies what it is given, so it gets no more than it needs
    near = Image.fromarray(pixels[y : region[3], x : region[2]])
    cut = near.crop((region[0] - x, region[1] - y, region[2] - x, region[3] - y))
    crop[top:bottom, left:right] = _resized(cut, right - left, bottom - top, rule)
    return crop


def in_crop(face: DetectedFace, rule: CropRule, margin: float, frame: tuple[int, int], size: int) -> Landmarks:
    """The landmarks in the pixels of the crop that ``crop_face`` makes of a frame of this width and height."""
    points = np.array(face.landmarks).reshape(-1, 2)
    if rule == "none":
        moved = points * (size / np.array(frame))
    elif rule == "aligned":
        matrix = alignment(face.landmarks, margin, size)
        moved = points @ matrix[:, :2].T + matrix[:, 2]
    else:
        region, target = (np.array(each) for each in PLACES[rule](face.box, margin, frame, size))
        moved = (points - region[:2]) * ((target[2:] - target[:2]) / (region[2:] - region[:2])) + target[:2]
    return Landmarks(*moved.ravel().tolist())


def scale_of(face: DetectedFace, points: Landmarks) -> float:
    """How many pixels of a frame go into one of the crop in which its face has the landmarks ``points``, along a side.

    It is 1 if the crop shows no face.
    """
    there, here = (np.array(each).reshape(-1, 2) for each in (face.landmarks, points))
    there, here = (np.hypot(*(each - each.mean(0)).T).mean() for each in (there, here))
    return float(there / here) if here else 1.0


def square_within(box: Box, margin: float, frame: tuple[int, int]) -> Corners:
    """A square around a box, with ``margin`` times the box's size on each side, within a frame (width, height).

    The square is centred on the box as far as the frame allows. It is never larger than the frame and never leaves it.
    """
    width, height = frame
    side = max(1, min(_side(box, margin), width, height))
    left = min(max(0, round((box.left + box.right - side) / 2)), width - side)
    top = min(max(0, round((box.top + box.bottom - side) / 2)), height - side)
    return left, top, left + side, top + side


def alignment(landmarks: Landmarks, margin: float, size: int) -> Affine:
    """Maps points in the picture to points in an aligned crop, whose scale is 1 + ``margin`` times the template's.

    It is the similarity transform that brings the landmarks nearest to the template (Umeyama 1991, "Least-squares
    estimation of transformation parameters between two point patterns"). With points of the plane as complex numbers
    it is z -> a z + b, and linear regression gives both.
    """
    wanted = (TEMPLATE * (size / TEMPLATE_SIZE) + size * margin / 2) / (1 + margin)
    there, template = (points @ np.array([1, 1j]) for points in (np.array(landmarks).reshape(-1, 2), wanted))
    centred = there - there.mean()
    spread = max(float((np.abs(centred) ** 2).sum()), 1e-9)  # 0 if all landmarks are at one place
    turn = (centred.conj() @ (template - template.mean())) / spread
    shift = template.mean() - turn * there.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def _side(box: Box, margin: float) -> int:
    return round((1 + 2 * margin) * max(box.right - box.left, box.bottom - box.top))


def _face(box: Box, margin: float, frame: tuple[int, int], size: int) -> Placed:
    return Placed(square_within(box, margin, frame), (0, 0, size, size))


def _square(box: Box, margin: float, frame: tuple[int, int], size: int) -> Placed:
    """Bonettini et al. 2020. Their square is centred on a whole pixel."""
    side = max(1, _side(box, margin))
    left, top = (box.left + box.right) // 2 - side // 2, (box.top + box.bottom) // 2 - side // 2
    return Placed((left, top, left + side, top + side), (0, 0, size, size))


def _box(box: Box, margin: float, frame: tuple[int, int], size: int) -> Placed:
    """Shiohara and Yamasaki 2022. The last row and column are those that the margin touches."""
    across, down = margin * (box.right - box.left), margin * (box.bottom - box.top)
    right, bottom = int(box.right + across + ROUNDING) + 1, int(box.bottom + down + ROUNDING) + 1
    start = max(0, int(box.left - across + ROUNDING)), max(0, int(box.top - down + ROUNDING))
    return Placed((*start, min(frame[0], right), min(frame[1], bottom)), (0, 0, size, size))


def _letterbox(box: Box, margin: float, frame: tuple[int, int], size: int) -> Placed:
    """Seferbekov 2020. The part of the box that is within the frame lies in the middle of the crop."""
    across, down = (int(margin * side + ROUNDING) for side in (box.right - box.left, box.bottom - box.top))
    left, top = max(0, box.left - across), max(0, box.top - down)
    right, bottom = min(frame[0], box.right + across), min(frame[1], box.bottom + down)
    width, height = right - left, bottom - top
    # the shorter side is rounded down after a division, as the authors' code does it
    if width > height:
        width, height = size, max(1, int(height * (size / width)))
    else:
        width, height = max(1, int(width * (size / height))), size
    x, y = (size - width) // 2, (size - height) // 2
    return Placed((left, top, right, bottom), (x, y, x + width, y + height))


PLACES: dict[CropRule, Callable[[Box, float, tuple[int, int], int], Placed]] = {
    "face": _face,
    "square": _square,
    "box": _box,
    "letterbox": _letterbox,
}


def _resized(cut: Image.Image, width: int, height: int, rule: CropRule) -> Frame:
    """The filters are part of a rule: OpenCV's bilinear one is not antialiased, unlike Pillow's."""
    if rule in ("face", "square"):
        return np.asarray(cut.resize((width, height), Image.Resampling.BILINEAR))
    cv2 = import_opencv()
    enlarged = max(width, height) > max(cut.size)
    method = cv2.INTER_LINEAR if rule == "box" else cv2.INTER_CUBIC if enlarged else cv2.INTER_AREA
    return np.asarray(cv2.resize(np.asarray(cut), (width, height), interpolation=method), np.uint8)


def _warped(pixels: Frame, matrix: Affine, size: int) -> Frame:
    cv2 = import_opencv()
    return np.asarray(cv2.warpAffine(pixels, matrix, (size, size), flags=cv2.INTER_LINEAR), np.uint8)
