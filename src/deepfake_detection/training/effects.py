"""What happens to pictures on their way through the world: the effects of ``train.augment`` beyond the recipe's.

Wang et al. 2020, "CNN-generated images are surprisingly easy to spot... for now", train on blurred and compressed
pictures so that a detector does not hang on what compression removes. Erasing follows Seferbekov 2020, who removed
parts of the face by its landmarks and won the Deepfake Detection Challenge with it.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from deepfake_detection.frames.filters import Frame, gaussian_blur, gaussian_noise, jpeg
from deepfake_detection.network.vision import functional
from deepfake_detection.params.train_sections import Augment, Effect

# of resizing programs: the kernel that shrinks a picture and the one that enlarges it are drawn apart
_KERNELS = (
    Image.Resampling.NEAREST,
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)
# the landmarks of the parts that may be erased, and half of their height and width in distances of the eyes
_PARTS = (((0, 1), 0.25, 0.3), ((2,), 0.3, 0.3), ((3, 4), 0.3, 0.25))


def apply_effects(augment: Augment, frame: Frame, rng: np.random.Generator) -> Frame:
    """Applies each effect of ``augment`` with its probability, in the order in which a picture meets them.

    The colours come first, then the lens and the sensor, then resizing and compression, then what a social network
    does, which resizes and compresses once more. Effects with a probability of 0 draw nothing from ``rng``.
    """
    steps: list[tuple[float, Callable[[], Frame]]] = [
        (augment.hue.p, lambda: _hue(frame, _draw(augment.hue, rng))),
        (augment.grey, lambda: _grey(frame)),
        (augment.blur.p, lambda: gaussian_blur(frame, _draw(augment.blur, rng))),
        (augment.noise.p, lambda: gaussian_noise(frame, _draw(augment.noise, rng), int(rng.integers(2**32)))),
        (augment.scaling.p, lambda: _rescale(frame, augment.scaling, rng)),
        (augment.jpeg.p, lambda: jpeg(frame, _draw(augment.jpeg, rng))),
        (augment.social, lambda: _share(frame, augment, rng)),
    ]
    for probability, effect in steps:
        if probability and rng.random() < probability:
            frame = effect()
    return frame


def erase_part(frame: Frame, landmarks: NDArray[np.float32], rng: np.random.Generator) -> Frame:
    """Covers the eyes, the nose or the mouth with a box or an ellipse of noise or of one colour.

    ``landmarks`` has shape (5, 2): x and y of the eyes, the nose and the corners of the mouth, in pixels. A face
    without landmarks (NaN) is returned as it is.
    """
    if not np.isfinite(landmarks).all():
        return frame
    points, across, down = _PARTS[int(rng.integers(len(_PARTS)))]
    eyes = float(np.linalg.norm(landmarks[1] - landmarks[0]))
    part = landmarks[list(points)]
    low, high = part.min(0) - eyes * np.array([across, down]), part.max(0) + eyes * np.array([across, down])
    mask = Image.new("1", (frame.shape[1], frame.shape[0]))
    draw = ImageDraw.Draw(mask)
    (draw.rectangle if rng.random() < 0.5 else draw.ellipse)([*low.tolist(), *high.tolist()], fill=1)
    shape = frame.shape if rng.random() < 0.5 else (1, 1, 3)
    filling = rng.integers(0, 256, shape, dtype=np.uint8)
    return np.where(np.asarray(mask)[..., None], filling, frame)


def _draw(effect: Effect, rng: np.random.Generator) -> float:
    low, high = effect.range
    return float(rng.uniform(low, high))


def _hue(frame: Frame, turn: float) -> Frame:
    # of a Pillow picture, because torchvision takes three times as long for a tensor
    return np.array(functional.adjust_hue(Image.fromarray(frame), turn))


def _grey(frame: Frame) -> Frame:
    return np.array(Image.fromarray(frame).convert("L").convert("RGB"))


def _rescale(frame: Frame, scaling: Effect, rng: np.random.Generator) -> Frame:
    """Makes the frame smaller and large again."""
    return _resize(_shrink(frame, scaling, rng), frame.shape, rng)


def _share(frame: Frame, augment: Augment, rng: np.random.Generator) -> Frame:
    """What a social network does: it makes the frame smaller and compresses it; the viewer makes it large again."""
    return _resize(jpeg(_shrink(frame, augment.scaling, rng), _draw(augment.jpeg, rng)), frame.shape, rng)


def _shrink(frame: Frame, scaling: Effect, rng: np.random.Generator) -> Frame:
    factor = _draw(scaling, rng)
    return _resize(frame, [max(1, round(side * factor)) for side in frame.shape[:2]], rng)


def _resize(frame: Frame, shape: Sequence[int], rng: np.random.Generator) -> Frame:
    return np.array(Image.fromarray(frame).resize((shape[1], shape[0]), rng.choice(_KERNELS)))
