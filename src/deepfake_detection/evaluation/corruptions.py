"""Eight corruptions, with five settings each, that a frame may undergo on its way to the detector.

The scheme of single corruptions at five rising severities is that of Hendrycks and Dietterich 2019,
"Benchmarking Neural Network Robustness to Common Corruptions and Perturbations". The scaling factors are those of
their pixelate corruption. The contrast factors are those of Jiang et al. 2020, "DeeperForensics-1.0". H.264 goes
from FaceForensics++'s c23 to its c40 (Rössler et al. 2019). The settings of JPEG, WebP, blur, noise and brightness are
our own, from hardly visible to clearly visible.

The corruptions are meant for prepared pixels, which have the network's input size. At that size a JPEG block, a
blur of two pixels or a noise grain covers more of the face than in the full-size frame, which is scaled down
afterwards. The test is therefore stricter than the same setting at full size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import cast

import av
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from deepfake_detection.frames.filters import Frame, gaussian_blur, gaussian_noise, jpeg
from deepfake_detection.network.vision import functional


@dataclass(frozen=True)
class Corruption:
    """The unit of the settings, five settings from mild to severe, and the function.

    ``apply(frame, setting, seed)`` takes one RGB frame, uint8 of shape (height, width, 3). It returns a new frame of
    the same shape and does not modify its input. Only noise uses the seed.
    """

    unit: str
    settings: tuple[float, float, float, float, float]
    apply: Callable[[Frame, float, int], Frame]


def scaling(frame: Frame, setting: float, seed: int = 0) -> Frame:
    """Resizes to ``setting`` times the size and back, both antialiased bilinear."""
    small = _resize(_to_tensor(frame), [max(1, round(side * setting)) for side in frame.shape[:2]])
    return _from_tensor(_resize(small, list(frame.shape[:2])))


def brightness(frame: Frame, setting: float, seed: int = 0) -> Frame:
    """Multiplies every value by ``setting`` and clips it; settings above 1 overexpose the frame."""
    return _from_tensor(functional.adjust_brightness(_to_tensor(frame), setting))


def contrast(frame: Frame, setting: float, seed: int = 0) -> Frame:
    """Multiplies every value's distance from the frame's mean grey by ``setting``; below 1 the frame is flatter."""
    return _from_tensor(functional.adjust_contrast(_to_tensor(frame), setting))


def webp(frame: Frame, setting: float, seed: int = 0) -> Frame:
    """Lossy WebP at quality ``setting`` (0 to 100)."""
    file = BytesIO()
    Image.fromarray(frame).save(file, "WEBP", quality=int(setting))
    return np.array(Image.open(file))


def h264(frame: Frame, setting: float, seed: int = 0) -> Frame:
    """Encodes the frame as one H.264 key frame, with x264 at constant rate factor ``setting`` (0 to 51), 4:2:0 chroma.

    A key frame shows the codec's blocks and loss of detail, but not the effects of prediction between frames.
    """
    height, width = frame.shape[:2]
    even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")  # 4:2:0 needs even sides
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = even.shape[:2]
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 25)
    encoder.thread_count = 1  # the bits depend on the number of threads
    encoder.options = {"crf": str(setting), "preset": "medium", "g": "1"}
    picture = av.VideoFrame.from_ndarray(even, format="rgb24").reformat(format="yuv420p")
    picture.pts = 0
    packets = encoder.encode(picture) + encoder.encode(None)
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    (decoded,) = [shown for packet in [*packets, None] for shown in decoder.decode(packet)]
    return cast(Frame, decoded.to_ndarray(format="rgb24"))[:height, :width].copy()


CORRUPTIONS: dict[str, Corruption] = {
    "jpeg": Corruption("quality", (75, 50, 30, 20, 10), jpeg),
    "scaling": Corruption("factor", (0.6, 0.5, 0.4, 0.3, 0.25), scaling),
    "gaussian_blur": Corruption("sigma in pixels", (0.5, 1.0, 1.5, 2.0, 3.0), gaussian_blur),
    "gaussian_noise": Corruption("sigma of the full range", (0.02, 0.04, 0.06, 0.1, 0.2), gaussian_noise),
    "brightness": Corruption("factor", (1.15, 1.3, 1.5, 1.75, 2.0), brightness),
    "contrast": Corruption("factor", (0.85, 0.725, 0.6, 0.475, 0.35), contrast),
    "webp": Corruption("quality", (75, 50, 30, 20, 10), webp),
    "h264": Corruption("CRF", (23, 28, 32, 36, 40), h264),
}


def _resize(frame: Tensor, size: list[int]) -> Tensor:
    return interpolate(frame[None], size, mode="bilinear", align_corners=False, antialias=True)[0]


def _to_tensor(frame: Frame) -> Tensor:
    # a copy, because prepared pixels are mapped read-only and torch warns about such arrays
    return torch.from_numpy(frame.transpose(2, 0, 1).copy())


def _from_tensor(frame: Tensor) -> Frame:
    return np.ascontiguousarray(frame.permute(1, 2, 0).numpy())
