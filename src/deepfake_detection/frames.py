"""Prepared frames as a PyTorch data set, with the training split's augmentations."""

import functools
import math
import mmap
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import grid_sample
from torch.utils.data import DataLoader, Dataset

from deepfake_detection.model import IMAGENET_MEAN, IMAGENET_STD
from deepfake_detection.params import Augment

Frame = NDArray[np.uint8]

_GREY = np.array([0.2989, 0.587, 0.114])  # of red, green and blue: ITU-R BT.601, as torchvision rounds it
_LEVELS = np.arange(256, dtype=np.uint8)


class FrameDataset(Dataset[tuple[Tensor, Tensor]]):
    """Frames as they are stored, uint8 of shape (size, size, 3), with labels as float32 scalars.

    ``pixels`` is uint8 of shape (all frames, size, size, 3), best memory-mapped: workers then share
    one copy, however they are started. ``rows`` is the part of the index to serve, its pandas index
    naming rows of ``pixels``. A frame's augmentation depends on seed, epoch and its number among
    the frames served (in the index's order) alone: not on the worker that draws it, nor on frames
    of other splits and categories.
    """

    def __init__(
        self,
        pixels: Frame,
        rows: pd.DataFrame,
        augment: Augment | None = None,
        seed: int = 0,
        epoch: int = 0,
    ) -> None:
        self.pixels, self.rows = pixels, rows.index.to_numpy()
        self.numbers = self.rows.argsort().argsort()
        self.labels = rows["label"].to_numpy(np.float32)
        self.augment, self.seed, self.epoch = augment, seed, epoch

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        frame = self.pixels[self.rows[item]].copy()
        if self.augment:
            seed = derive_seed(self.seed, self.epoch, int(self.numbers[item]))
            frame = apply_augmentation(frame, draw_augmentation(self.augment, np.random.default_rng(seed)))
        return torch.from_numpy(frame), torch.tensor(self.labels[item])

    def __getstate__(self) -> dict[str, Any]:
        # numpy pickles a memory map as a copy of all it holds; a spawned worker can map the file itself
        pixels = self.pixels
        if isinstance(pixels, np.memmap) and isinstance(pixels.base, mmap.mmap) and pixels.flags.c_contiguous:
            return self.__dict__ | {"pixels": _Mapped(str(pixels.filename), pixels.dtype, pixels.offset, pixels.shape)}
        return self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        if isinstance(self.pixels, _Mapped):
            name, dtype, offset, shape = self.pixels
            self.pixels = np.memmap(name, dtype, "r", offset, shape)


class _Mapped(NamedTuple):
    """Where a memory-mapped array lies in its file."""

    filename: str
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]


class Augmentation(NamedTuple):
    """What is done to one frame: flipped left to right, turned counter-clockwise by degrees, then colours jittered."""

    flip: bool
    angle: float
    brightness: float
    contrast: float
    brightness_first: bool


def draw_augmentation(augment: Augment, rng: np.random.Generator) -> Augmentation:
    """Draws as torchvision's v2 RandomHorizontalFlip, RandomRotation and ColorJitter do, which come one after another.

    ColorJitter takes brightness and contrast in random order.
    """
    return Augmentation(
        flip=bool(rng.random() < augment.flip),
        angle=rng.uniform(-augment.rotation, augment.rotation),
        brightness=rng.uniform(1 - augment.brightness, 1 + augment.brightness),
        contrast=rng.uniform(1 - augment.contrast, 1 + augment.contrast),
        brightness_first=bool(rng.random() < 0.5),
    )


def apply_augmentation(frame: Frame, drawn: Augmentation) -> Frame:
    """The augmented frame; both are uint8 of shape (height, width, 3), and ``frame`` is writable.

    One bilinear resampling flips and rotates (black beyond the edge), one table of 256 levels sets
    brightness and contrast. Within a level of torchvision's v2 functions of the same values, but
    for the outline of a rotated frame, which v2 fades to black once more.
    """
    if drawn.flip or drawn.angle:
        frame = _flip_and_rotate(frame, drawn.flip, drawn.angle)
    if drawn.brightness != 1 or drawn.contrast != 1:
        frame = np.take(_colour_table(frame, drawn), frame)
    return frame


def _flip_and_rotate(frame: Frame, flip: bool, angle: float) -> Frame:
    height, width = frame.shape[:2]
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    x = torch.arange(width) + (0.5 - width / 2)  # pixels from the centre
    y = (torch.arange(height) + (0.5 - height / 2))[:, None]
    # where each output pixel comes from, -1 to 1 from edge to edge; the flip comes first, so is undone last
    across, down = (-2 if flip else 2) / width, 2 / height
    source = torch.stack((x * (cos * across) - y * (sin * across), x * (sin * down) + y * (cos * down)))
    planes = torch.from_numpy(frame).permute(2, 0, 1).float()
    found = grid_sample(planes[None], source.permute(1, 2, 0)[None], align_corners=False)[0].round_()
    return found.permute(1, 2, 0).contiguous().byte().numpy()


def _colour_table(frame: Frame, drawn: Augmentation) -> Frame:
    """The level that each level becomes; contrast pulls towards the frame's mean grey, as it is by then."""
    table = _brighten(_LEVELS, drawn.brightness) if drawn.brightness_first else _LEVELS
    if drawn.contrast != 1:
        counts = np.reshape(Image.fromarray(frame).histogram(), (3, 256))
        # half a level less: v2 rounds each pixel's grey down before it takes their mean
        grey = _GREY @ (counts @ table.astype(float)) * 3 / frame.size - 0.5
        table = _truncate(table * np.float32(drawn.contrast) + np.float32(grey * (1 - drawn.contrast)))
    return table if drawn.brightness_first else _brighten(table, drawn.brightness)


def _brighten(table: Frame, factor: float) -> Frame:
    return _truncate(table * np.float32(factor))


def _truncate(levels: NDArray[np.float32]) -> Frame:
    return levels.clip(0, 255).astype(np.uint8)


def normalise(frames: Tensor) -> Tensor:
    """What the network takes: float32 of shape (batch, 3, height, width), by ImageNet's mean and deviation.

    ``frames`` is uint8 of shape (batch, height, width, 3), on the device that shall do it: bytes
    travel there four times as fast. The result is in channels_last, the order of its input.
    """
    scale, shift = _normalisation(frames.device)
    width = frames.shape[2]
    # whole lines of width * 3 values: a processor's vector instructions need more than three in a row
    lines = torch.addcmul(shift.repeat(width), frames.flatten(2).float(), scale.repeat(width))
    return lines.view(frames.shape).permute(0, 3, 1, 2)


@functools.cache  # a copy to a GPU in every step would wait for all that is queued there
def _normalisation(device: torch.device) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(False):
        mean, std = (torch.tensor(value, dtype=torch.float64) for value in (IMAGENET_MEAN, IMAGENET_STD))
        return (1 / (255 * std)).float().to(device), (-mean / std).float().to(device)


def derive_seed(*numbers: int) -> int:
    """A seed of 32 bits that is unlike that of any other sequence of numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def frame_loader(frames: FrameDataset, batch_size: int, num_workers: int = 0) -> DataLoader[tuple[Tensor, Tensor]]:
    """Batches of frames in the data set's order."""
    return DataLoader(frames, batch_size, num_workers=num_workers, pin_memory=torch.cuda.is_available())
