"""Every epoch serves each training frame once, in an order of its own that repeats."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.training.loader import Batch, FrameBatches
from tests.support.params import train as train_params


def served(loader: DataLoader[Batch]) -> list[int]:
    """Rows of pixels in the order in which a loader serves them."""
    rows = cast(FrameDataset, loader.dataset).rows
    return [int(rows[item]) for batch in cast(list[list[int]], loader.batch_sampler) for item in batch]


def test_each_epoch_serves_every_training_frame_once_in_a_new_order(
    frames: tuple[NDArray[np.uint8], pd.DataFrame],
) -> None:
    batches = FrameBatches(*frames, train_params(batch_size=4), seed=7)
    orders = []
    for epoch in (0, 1):
        alone = SimpleNamespace(current_epoch=epoch, accumulate_grad_batches=1, world_size=1, global_rank=0)
        batches.trainer = alone  # type: ignore[assignment]
        first, again = (served(batches.train_dataloader()) for _ in range(2))
        assert first == again
        assert sorted(first) == list(range(14))
        orders.append(first)
    assert orders[0] != orders[1] != sorted(orders[1])
    assert served(batches.val_dataloader()) == list(range(14, 19))
