"""Self-blended images: fakes that are made of an original alone.

Shiohara and Yamasaki 2022, "Detecting Deepfakes with Self-Blended Images". A frame is laid over a changed copy of
itself under a deformed mask of a part of the face. What remains is what every face swap leaves: two sources of pixels,
and the border between them. This is written from the paper. Its masks are the convex hulls of 81 or 68 landmarks; ours
are drawn around five. It blends whole frames before they are cropped; ours are crops, enlarged to what they were.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from scipy import ndimage

from deepfake_detection.frames.filters import Frame

Mask = NDArray[np.float32]
Points = NDArray[np.float32]

LARGEST_SCALE = 4.0  # a blend takes time with the square of it
MASK_SIDE = 256  # of a larger frame the mask is made at this size and enlarged: it has no finer detail
RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)  # how much of the source the mask lets through, from the paper
# A face from the front. The unit is the distance of the eyes, and the point between them is the origin. The landmarks
# are the eyes, the tip of the nose and the corners of the mouth.
LANDMARKS = np.array([(-0.5, 0.0), (0.5, 0.0), (0.0, 0.6), (-0.4, 1.05), (0.4, 1.05)])
_OVAL = [(0.95 * np.cos(turn), 0.5 + 1.3 * np.sin(turn)) for turn in np.linspace(0, 2 * np.pi, 24, endpoint=False)]
REGIONS: dict[str, list[tuple[float, float]]] = {
    "whole face": _OVAL,
    "face to the brows": [(x, max(y, -0.3)) for x, y in _OVAL],
    "lower half": [(x, max(y, 0.35)) for x, y in _OVAL],
    "eyes": [(-0.95, -0.3), (0.95, -0.3), (0.95, 0.25), (0.3, 0.2), (0.0, 0.35), (-0.3, 0.2), (-0.95, 0.25)],
    "mouth": [(-0.65, 0.85), (0.0, 0.7), (0.65, 0.85), (0.65, 1.25), (0.0, 1.5), (-0.65, 1.25)],
}


class Blend(NamedTuple):
    """A blended frame, uint8 of shape (size, size, 3), and its mask, from 0 to 1: the share of the source."""

    frame: Frame
    mask: Mask


def self_blend(frame: Frame, landmarks: Points, rng: np.random.Generator, scale: float = 1.0) -> Blend:
    """Blends a square frame with a changed copy of itself.

    ``landmarks`` has shape (5, 2), x and y in pixels, in the order of LANDMARKS.
    A crop that was reduced has a ``scale`` over 1, how many pixels there were for each, along a side. It is blended at
    that size, so that a blur of some pixels, say, is as faint in the crop as it is after a blend of the whole frame.
    """
    side = round(len(frame) * min(scale, LARGEST_SCALE))
    if side <= len(frame):
        return _blend(frame, landmarks, rng)
    full = _resized(frame, side, Image.Resampling.BICUBIC)
    blended, mask = _blend(full, landmarks * np.float32(side / len(frame)), rng)
    before, after = (_resized(each, len(frame), Image.Resampling.BILINEAR).astype(int) for each in (full, blended))
    # what the blend has changed, so that resizing there and back leaves no trace elsewhere
    found = (frame + (after - before)).clip(0, 255).astype(np.uint8)
    return Blend(found, _resized(mask, len(frame), Image.Resampling.BILINEAR))


def _blend(frame: Frame, landmarks: Points, rng: np.random.Generator) -> Blend:
    changed = _change(frame, rng)
    source, target = (changed, frame) if rng.random() < 0.5 else (frame, changed)
    region = list(REGIONS)[int(rng.integers(len(REGIONS)))]
    side = min(len(frame), MASK_SIDE)
    drawn = draw_region(region, landmarks * np.float32(side / len(frame)), (side, side))
    soft = (_soften(_deform(drawn, rng), rng) * rng.choice(RATIOS)).astype(np.float32)
    moved, mask = _move(source, _resized(soft, len(frame), Image.Resampling.BILINEAR), rng)
    share = mask[..., None]
    blended = share * moved + (1 - share) * target
    return Blend(np.rint(blended).clip(0, 255).astype(np.uint8), mask)


def _resized(picture: NDArray[Any], side: int, kernel: Image.Resampling) -> NDArray[Any]:
    return np.array(Image.fromarray(picture).resize((side, side), kernel))


def draw_region(region: str, landmarks: Points, shape: tuple[int, ...]) -> Mask:
    """A region of REGIONS as a mask of 0 and 1, placed by the affine map that fits ``landmarks`` best."""
    known = np.column_stack([LANDMARKS, np.ones(len(LANDMARKS))])
    affine, *_ = np.linalg.lstsq(known, landmarks.astype(float), rcond=None)
    corners = np.column_stack([REGIONS[region], np.ones(len(REGIONS[region]))]) @ affine
    mask = Image.new("1", (shape[1], shape[0]))
    ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in corners], fill=1)
    return np.asarray(mask).astype(np.float32)


def _change(frame: Frame, rng: np.random.Generator) -> Frame:
    """Other colours, and either sharper or of a lower resolution."""
    shifted = frame + rng.uniform(-20, 20, 3) if rng.random() < 0.5 else frame.astype(float)
    picture = Image.fromarray(np.rint(shifted).clip(0, 255).astype(np.uint8))
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = enhance(picture).enhance(float(rng.uniform(0.8, 1.2)))
    if rng.random() < 0.5:
        picture = picture.filter(ImageFilter.UnsharpMask(radius=float(rng.uniform(1, 2)), percent=150, threshold=0))
    else:
        smaller = [max(1, side // int(rng.integers(2, 5))) for side in picture.size]
        kernel = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)[int(rng.integers(2))]
        picture = picture.resize((smaller[0], smaller[1]), kernel).resize(picture.size, kernel)
    return np.asarray(picture)


def _deform(mask: Mask, rng: np.random.Generator) -> Mask:
    """Moves the mask's pixels by a smooth random field (elastic deformation), up to a sixteenth of the frame."""
    height, width = mask.shape
    shifts = []
    for side in (height, width):
        coarse = rng.uniform(-1, 1, (4, 4)).astype(np.float32) * side / 16
        shifts.append(np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)))
    rows, columns = np.mgrid[:height, :width]
    found: Mask = ndimage.map_coordinates(mask, [rows + shifts[0], columns + shifts[1]], order=1, mode="constant")
    return found


def _soften(mask: Mask, rng: np.random.Generator) -> Mask:
    """Blurs the mask twice. In between it is shrunk to where the first blur left it full."""
    first, second = rng.uniform(0.005, 0.03, 2) * len(mask)
    blurred = ndimage.gaussian_filter(mask, first)
    # of a small region, such as the mouth, a wide blur leaves no pixel full
    core = (blurred > min(0.99, 0.8 * blurred.max())).astype(np.float32)
    softened: Mask = ndimage.gaussian_filter(core, second)
    return softened


def _move(source: Frame, mask: Mask, rng: np.random.Generator) -> tuple[NDArray[np.float32], Mask]:
    """Moves and resizes the source with its mask: up to 3% of the frame up or down, 1.5% aside, 5% in size."""
    height, width = mask.shape
    scale = rng.uniform(0.95, 1.05)
    down, across = rng.uniform(-0.03, 0.03) * height, rng.uniform(-0.015, 0.015) * width
    middle = np.array([(height - 1) / 2, (width - 1) / 2])
    offset = middle - (middle + np.array([down, across])) / scale
    planes = [*np.moveaxis(source.astype(np.float32), 2, 0), mask]
    moved = [ndimage.affine_transform(plane, [1 / scale] * 2, offset, order=1, mode="nearest") for plane in planes]
    return np.stack(moved[:3], axis=2), moved[3]
