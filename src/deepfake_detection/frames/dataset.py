"""Prepared frames as a PyTorch data set."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader, Dataset

from deepfake_detection.frames.prepared import Pixels

Frame: TypeAlias = NDArray[np.uint8]


class FrameDataset(Dataset[tuple[Tensor, ...]]):
    """Frames as stored, uint8 of shape (size, size, 3), with labels as float32 scalars.

    If ``rows`` has a column ``weight``, that is a third float32 scalar.

    ``pixels`` is uint8 of shape (all frames, size, size, 3), as ``open_prepared`` returns it, so that workers share one
    copy however they are started. ``rows`` holds the rows of the index to serve; its pandas index gives their row
    numbers in ``pixels``.
    """

    def __init__(self, pixels: Pixels, rows: pd.DataFrame) -> None:
        self.pixels, self.rows = pixels, rows.index.to_numpy()
        self.labels = rows["label"].to_numpy(np.float32)
        self.weights = rows["weight"].to_numpy(np.float32) if "weight" in rows else None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: int) -> tuple[Tensor, ...]:
        return self.labelled(self.frame(item), item)

    def labelled(self, frame: Frame, item: int) -> tuple[Tensor, ...]:
        """A frame as it is served, with the label and the weight of ``item``."""
        served = torch.from_numpy(frame), torch.tensor(self.labels[item])
        return served if self.weights is None else (*served, torch.tensor(self.weights[item]))

    def frame(self, item: int) -> Frame:
        """The pixels of frame ``item``, which the caller may change."""
        frame: Frame = self.pixels[self.rows[item]].copy()
        return frame


def derive_seed(*numbers: int) -> int:
    """A 32-bit seed derived from ``numbers``; another sequence of numbers gives an unrelated seed."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def frame_loader(frames: FrameDataset, batch_size: int, num_workers: int = 0) -> DataLoader[tuple[Tensor, ...]]:
    """A loader that serves batches of frames in the data set's order."""
    return chained_loader([frames], batch_size, num_workers)


def chained_loader(
    parts: Sequence[FrameDataset], batch_size: int, num_workers: int = 0
) -> DataLoader[tuple[Tensor, Tensor]]:
    """A loader that serves one data set after the other, with the same workers. No batch has frames of two of them."""
    bounds = pairwise([0, *np.cumsum([len(frames) for frames in parts]).tolist()])
    batches = [
        list(range(start, min(start + batch_size, end)))
        for begin, end in bounds
        for start in range(begin, end, batch_size)
    ]
    together: ConcatDataset[tuple[Tensor, Tensor]] = ConcatDataset(parts)
    return DataLoader(together, batch_sampler=batches, num_workers=num_workers, pin_memory=torch.cuda.is_available())
