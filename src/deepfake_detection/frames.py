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
    """Normalised frames, float32 of shape (3, size, size), with labels as float32 scalars.

    ``pixels`` is uint8 of shape (all frames, size, size, 3), best memory-mapped; ``rows`` is the
    part of the index to serve, its pandas index naming rows of ``pixels``. A frame's augmentation
    depends on seed, epoch and row alone, not on the worker that draws it, so that runs can be
    repeated with any ``num_workers``.
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
        self.labels = rows["label"].to_numpy(np.float32)
        self.augment = augmentations(augment) if augment else None
        self.seed, self.epoch = seed, epoch
        self.normalise = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        row = int(self.rows[item])
        frame = torch.from_numpy(self.pixels[row].copy()).permute(2, 0, 1)
        if self.augment:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(derive_seed(self.seed, self.epoch, row))
                frame = self.augment(frame)
        return self.normalise(frame), torch.tensor(self.labels[item])


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
