"""Prepared frames as a PyTorch data set, with the training split's augmentations."""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from deepfake_detection.model import IMAGENET_MEAN, IMAGENET_STD
from deepfake_detection.params import Augment


class FrameDataset(Dataset[tuple[Tensor, Tensor]]):
    """Frames as they are stored, uint8 of shape (size, size, 3), with labels as float32 scalars.

    ``pixels`` is uint8 of shape (all frames, size, size, 3), best memory-mapped; ``rows`` is the
    part of the index to serve, its pandas index naming rows of ``pixels``. A frame's augmentation
    depends on seed, epoch and its number among the frames served (in the index's order) alone: not
    on the worker that draws it, nor on frames of other splits and categories.
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        rows: pd.DataFrame,
        augment: Augment | None = None,
        seed: int = 0,
        epoch: int = 0,
    ) -> None:
        self.pixels, self.rows = pixels, rows.index.to_numpy()
        self.numbers = self.rows.argsort().argsort()
        self.labels = rows["label"].to_numpy(np.float32)
        self.augment = augmentations(augment) if augment else None
        self.seed, self.epoch = seed, epoch

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        frame = torch.from_numpy(self.pixels[self.rows[item]].copy())
        if self.augment:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(derive_seed(self.seed, self.epoch, int(self.numbers[item])))
                frame = self.augment(frame.permute(2, 0, 1)).permute(1, 2, 0).contiguous()
        return frame, torch.tensor(self.labels[item])


def normalise(frames: Tensor) -> Tensor:
    """What the network takes: float32 of shape (batch, 3, height, width), by ImageNet's mean and deviation.

    ``frames`` is uint8 of shape (batch, height, width, 3), on the device that shall do it: bytes
    travel there four times as fast. The result is in channels_last, the order of its input.
    """
    mean, std = (torch.tensor(value, device=frames.device).view(1, 3, 1, 1) for value in (IMAGENET_MEAN, IMAGENET_STD))
    return (frames.permute(0, 3, 1, 2).float() / 255 - mean) / std


def augmentations(augment: Augment) -> v2.Transform:
    """The original recipe's augmentations of a uint8 frame of shape (3, height, width)."""
    return v2.Compose(
        [
            v2.RandomHorizontalFlip(augment.flip),
            v2.RandomRotation(augment.rotation, interpolation=v2.InterpolationMode.BILINEAR),
            v2.ColorJitter(brightness=augment.brightness, contrast=augment.contrast),
        ]
    )


def derive_seed(*numbers: int) -> int:
    """A seed of 32 bits that is unlike that of any other sequence of numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def frame_loader(frames: FrameDataset, batch_size: int, num_workers: int = 0) -> DataLoader[tuple[Tensor, Tensor]]:
    """Batches of frames in the data set's order."""
    return DataLoader(
        frames,
        batch_size,
        num_workers=num_workers,
        pin_memory=torch.cuda.is_available(),
        # batch norm cannot train on a single frame
        drop_last=frames.augment is not None and len(frames) % batch_size == 1,
    )
