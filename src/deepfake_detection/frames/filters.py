"""JPEG, blur and noise: what both the robustness test and the augmentation do to a frame.

Each function takes one RGB frame, uint8 of shape (height, width, 3), and returns a new one of the same shape.
"""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Frame = NDArray[np.uint8]


def jpeg(frame: Frame, setting: float, seed: int = 0) -> Frame:
    """JPEG with 4:2:0 chroma at quality ``setting`` (1 to 100)."""
    # Pillow's encoder, because torchvision has deprecated its own since version 0.29
    file = BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=int(setting), subsampling="4:2:0")
    return np.array(Image.open(file))


def gaussian_blur(frame: Frame, setting: float, seed: int = 0) -> Frame:
    """Gaussian blur with a standard deviation of ``setting`` pixels, cut off at three standard deviations."""
    # torchvision's blur is not separable and takes several times as long
    blurred = ndimage.gaussian_filter(frame.astype(np.float32), setting, axes=(0, 1), mode="mirror", truncate=3.0)
    return np.asarray(np.rint(blurred), np.uint8)


def gaussian_noise(frame: Frame, setting: float, seed: int = 0) -> Frame:
    """Adds independent noise to each pixel and channel, with a standard deviation of ``setting`` times the full range.

    The same seed gives the same pattern at every setting, so that severities differ only in strength.
    """
    noise = np.random.default_rng(seed).standard_normal(frame.shape, dtype=np.float32)
    return np.clip(np.rint(frame + 255 * setting * noise), 0, 255).astype(np.uint8)
