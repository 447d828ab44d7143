"""Augmentation of training frames, random for each frame and epoch.

Flip, rotation, scale, shift, brightness and contrast are here. ``effects`` has the others.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import grid_sample

from deepfake_detection.frames.dataset import Frame
from deepfake_detection.params.train_sections import Augment
from deepfake_detection.training.effects import apply_effects, erase_part

_GREY = np.array([0.2989, 0.587, 0.114])  # weights of red, green and blue: ITU-R BT.601, rounded as in torchvision
_LEVELS = np.arange(256, dtype=np.uint8)


class Drawn(NamedTuple):
    """The random values of one frame's augmentation.

    The frame is flipped left to right, then rotated counter-clockwise by ``angle`` degrees and enlarged ``scale``
    times, both around its centre, then moved right by ``across`` and down by ``down``, shares of its width and height;
    colours are jittered last.
    """

    flip: bool
    angle: float
    brightness: float
    contrast: float
    brightness_first: bool
    scale: float = 1.0
    across: float = 0.0
    down: float = 0.0


def augment_frame(
    augment: Augment, frame: Frame, rng: np.random.Generator, landmarks: NDArray[np.float32] | None = None
) -> Frame:
    """Returns the frame augmented with values drawn from ``rng``. ``frame`` must be writable.

    ``landmarks`` are those of ``erase_part``; without them nothing is erased.
    """
    drawn = draw_augmentation(augment, rng)
    if augment.erase and landmarks is not None and rng.random() < augment.erase:
        frame = erase_part(frame, landmarks, rng)
    return apply_effects(augment, apply_augmentation(frame, drawn), rng)


def augment_mask(
    augment: Augment, mask: NDArray[np.float32], rng: np.random.Generator, landmarks: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Returns the mask of a frame, moved as ``augment_frame`` moves the frame if ``rng`` gives the same numbers.

    Masks are from 0 to 1, of shape (height, width). What is erased counts as unchanged: 0.
    """
    drawn = draw_augmentation(augment, rng)._replace(brightness=1.0, contrast=1.0)
    grey = np.repeat(np.rint(255 * mask).astype(np.uint8)[..., None], 3, axis=2)
    if augment.erase and landmarks is not None and rng.random() < augment.erase:
        grey[(erase_part(grey, landmarks, rng) != grey).any(axis=2)] = 0
    return np.asarray(apply_augmentation(grey, drawn)[..., 0] / np.float32(255))


def draw_augmentation(augment: Augment, rng: np.random.Generator) -> Drawn:
    """Draws as torchvision's v2 RandomHorizontalFlip, RandomAffine and ColorJitter do, applied one after another.

    ColorJitter applies brightness and contrast in random order. With probability 1 - ``rotate_p`` there is no rotation,
    as with v2's RandomApply.
    """
    drawn = Drawn(
        flip=bool(rng.random() < augment.flip),
        angle=rng.uniform(-augment.rotation, augment.rotation),
        brightness=rng.uniform(1 - augment.brightness, 1 + augment.brightness),
        contrast=rng.uniform(1 - augment.contrast, 1 + augment.contrast),
        brightness_first=bool(rng.random() < 0.5),
    )
    # these are drawn last, so that the values above do not depend on rotate_p and scale
    angle = drawn.angle if rng.random() < augment.rotate_p else 0.0
    drawn = drawn._replace(angle=angle, scale=rng.uniform(1 - augment.scale, 1 + augment.scale))
    if not augment.shift:  # then the effects get the numbers that come next
        return drawn
    across, down = rng.uniform(-augment.shift, augment.shift, 2).tolist()
    return drawn._replace(across=across, down=down)


def apply_augmentation(frame: Frame, drawn: Drawn) -> Frame:
    """Returns the augmented frame. Both frames are uint8 of shape (height, width, 3), and ``frame`` must be writable.

    One bilinear resampling flips, rotates, scales and shifts; pixels from beyond the edge are black. A frame that is
    neither rotated nor scaled nor shifted is not resampled. One table of 256 levels sets brightness and contrast. The
    result is within one level of torchvision's v2 functions with the same values, except at the outline of a rotated
    frame, which v2 fades to black a second time.
    """
    if drawn.angle or drawn.scale != 1 or drawn.across or drawn.down:
        frame = _resample(frame, drawn)
    elif drawn.flip:
        frame = np.ascontiguousarray(frame[:, ::-1])
    if drawn.brightness != 1 or drawn.contrast != 1:
        frame = np.take(_colour_table(frame, drawn), frame)
    return frame


def _resample(frame: Frame, drawn: Drawn) -> Frame:
    height, width = frame.shape[:2]
    cos, sin = (turn(math.radians(drawn.angle)) / drawn.scale for turn in (math.cos, math.sin))
    # pixels from where the centre is moved to
    x = torch.arange(width) + (0.5 - width / 2 - width * drawn.across)
    y = (torch.arange(height) + (0.5 - height / 2 - height * drawn.down))[:, None]
    # source coordinates of each output pixel, -1 to 1 from edge to edge; the flip comes first, so it is inverted last
    across, down = (-2 if drawn.flip else 2) / width, 2 / height
    source = torch.stack((x * (cos * across) - y * (sin * across), x * (sin * down) + y * (cos * down)))
    planes = torch.from_numpy(frame).permute(2, 0, 1).float()
    found = grid_sample(planes[None], source.permute(1, 2, 0)[None], align_corners=False)[0].round_()
    return found.permute(1, 2, 0).contiguous().byte().numpy()


def _colour_table(frame: Frame, drawn: Drawn) -> Frame:
    """A table with the new value of each level.

    Contrast pulls towards the frame's mean grey, which is taken after brightness if brightness comes first.
    """
    table = _brighten(_LEVELS, drawn.brightness) if drawn.brightness_first else _LEVELS
    if drawn.contrast != 1:
        counts = np.reshape(Image.fromarray(frame).histogram(), (3, 256))
        # minus half a level, because v2 rounds each pixel's grey down before it takes the mean
        grey = _GREY @ (counts @ table.astype(float)) * 3 / frame.size - 0.5
        table = _truncate(table * np.float32(drawn.contrast) + np.float32(grey * (1 - drawn.contrast)))
    return table if drawn.brightness_first else _brighten(table, drawn.brightness)


def _brighten(table: Frame, factor: float) -> Frame:
    return _truncate(table * np.float32(factor))


def _truncate(levels: NDArray[np.float32]) -> Frame:
    return levels.clip(0, 255).astype(np.uint8)
