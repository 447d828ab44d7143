"""What an augmented frame looks like depends on seed, epoch and frame alone."""

import numpy as np
import pandas as pd
import torch

from deepfake_detection.frames.dataset import FrameDataset, frame_loader
from deepfake_detection.training.training_frames import TrainingFrames
from tests.support.params import train

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 64, 64, 3), dtype=np.uint8)
ROWS = pd.DataFrame({"label": [0, 1] * 12}).iloc[8:]


def frames(seed: int = 1, epoch: int = 0) -> TrainingFrames:
    return TrainingFrames(PIXELS, ROWS, train().augment, seed=seed, epoch=epoch)


def test_augmentation_depends_on_seed_epoch_and_frame_not_on_the_worker() -> None:
    first, again = ([batch for batch, _ in frame_loader(frames(), 4, workers)] for workers in (0, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    plain = FrameDataset(PIXELS, ROWS)[3][0]
    drawn = [frames(seed, epoch)[3][0] for seed, epoch in ((1, 0), (1, 1), (2, 0))]
    for index, frame in enumerate(drawn):
        assert not torch.equal(frame, plain)
        assert not any(torch.equal(frame, other) for other in drawn[:index])


def test_augmentation_is_independent_of_torchs_global_generator() -> None:
    torch.manual_seed(0)
    first, state = frames()[3][0], torch.get_rng_state()
    torch.manual_seed(1)
    assert torch.equal(first, frames()[3][0])
    torch.manual_seed(0)
    assert torch.equal(state, torch.get_rng_state())
