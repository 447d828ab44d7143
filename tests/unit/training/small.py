"""A small network, a few frames and a training of both, which several test modules of this folder use."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import seed_everything
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from deepfake_detection.network.model import Network
from deepfake_detection.training.fit import fit
from deepfake_detection.training.loader import FrameBatches, Unlabelled
from tests.support.params import train as train_params

SMALL = {"epochs": 2, "batch_size": 8, "lr": 1e-3}


def layers(norm: bool = True) -> nn.Sequential:
    """A convolutional network of normalised 32 px frames that gives one logit each."""
    torch.manual_seed(3)
    first = [nn.Conv2d(3, 8, 4, 4), nn.BatchNorm2d(8) if norm else nn.Identity(), nn.SiLU()]
    return nn.Sequential(*first, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1))


def tiny(norm: bool = True) -> Network:
    """``layers`` behind normalisation, in channels_last as the real networks are."""
    return Network(layers(norm)).to(memory_format=torch.channels_last)


def make_batches(train: int = 22, others: Unlabelled | None = None, **changes: Any) -> FrameBatches:
    """``train`` training frames and 5 validation frames of 32 px; the fakes are darker."""
    pixels = np.random.default_rng(0).integers(0, 255, (train + 5, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(train + 5) % 2
    pixels[labels == 1] //= 2
    rows = pd.DataFrame({"label": labels, "split": ["train"] * train + ["val"] * 5})
    rows["path"] = [f"frame{number}.jpg" for number in range(train + 5)]
    return FrameBatches(pixels, rows, train_params(**(SMALL | changes)), 7, None, others)


def train(model: Network, **changes: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    seed_everything(7, workers=True, verbose=False)
    batches = make_batches(**changes)
    trained = fit(model, batches, batches.params)
    assert trained
    return trained


@contextmanager
def each_step(seen: list[Any], look: Any) -> Iterator[None]:
    """Keeps what ``look`` finds in the optimiser after each of its steps."""
    hook = register_optimizer_step_post_hook(lambda optimizer, *_: seen.append(look(optimizer)))
    try:
        yield
    finally:
        hook.remove()
