"""Predicts the logits of frames with a trained model."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from deepfake_detection.common.errors import UserError
from deepfake_detection.frames.dataset import FrameDataset, frame_loader

Predictor: TypeAlias = Callable[[Tensor], Tensor]
"""Maps frames, uint8 of shape (batch, size, size, 3) on the CPU, to their logits, float32 of shape (batch,)."""


def predict_logits(
    model: nn.Module | Predictor,
    frames: FrameDataset,
    batch_size: int,
    num_workers: int = 0,
    bar: "tqdm[Any] | None" = None,
) -> NDArray[np.float64]:
    """Returns one logit per frame, shape (frames,), in the data set's order.

    A module is moved to the accelerator, if there is one, and run in evaluation mode. A Predictor, such as
    backends.choose_backend returns, is called as it is. ``bar`` advances by the number of frames done; without it
    a new bar is created.
    """
    if bar is None:
        with tqdm(total=len(frames), desc="predicting", unit="frame") as own:
            return predict_logits(model, frames, batch_size, num_workers, own)
    predict = on_device(model) if isinstance(model, nn.Module) else model
    found = []
    for batch, _ in frame_loader(frames, batch_size, num_workers):
        found.append(predict(batch))
        bar.update(len(batch))
    return torch.cat(found).double().numpy()


def find_device(name: str | None = None) -> torch.device:
    """The device that torch calls ``name``: cpu, cuda, cuda:1, mps. Without a name the accelerator, or else the CPU.

    Raises UserError if this machine has no such device.
    """
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if name is None:
        return accelerator or torch.device("cpu")
    there = ["cpu"]
    if accelerator:
        there += [accelerator.type, *(f"{accelerator.type}:{each}" for each in range(torch.accelerator.device_count()))]
    if name not in there:
        raise UserError(f"device {name!r}: not on this machine, which has {', '.join(there)}")
    return torch.device(name)


def on_device(model: nn.Module, precision: torch.dtype | None = None, device: torch.device | None = None) -> Predictor:
    """Moves ``model`` to ``device``, or to find_device's, and runs it in evaluation mode there.

    Rounds to ``precision`` if given.
    """
    device = device or find_device()
    model.to(device).eval()

    def predict(batch: Tensor) -> Tensor:
        with torch.inference_mode(), torch.autocast(device.type, precision, enabled=precision is not None):
            logits: Tensor = model(batch.to(device)).cpu()
        return logits

    return predict
