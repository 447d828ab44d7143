"""Predicts the logits of frames with a trained model."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from deepfake_detection.allocator import keep_freed_memory
from deepfake_detection.frames import FrameDataset, frame_loader, normalise

Predictor: TypeAlias = Callable[[Tensor], Tensor]
"""From frames, uint8 of shape (batch, size, size, 3) on the CPU, to their logits, float32 of shape (batch,)."""


def predict_logits(
    model: nn.Module | Predictor,
    frames: FrameDataset,
    batch_size: int,
    num_workers: int = 0,
    bar: "tqdm[Any] | None" = None,
) -> NDArray[np.float64]:
    """One logit a frame, shape (frames,), in the data set's order.

    A module is moved to the accelerator, if there is one, put in evaluation mode and run as it is;
    a Predictor, as backends.choose_backend gives it, does as it likes. ``bar`` moves by the frames that are done;
    without it one is made.
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


def on_device(model: nn.Module, precision: torch.dtype | None = None) -> Predictor:
    """Runs ``model`` on the accelerator, if there is one, in evaluation mode; rounded to ``precision`` where named."""
    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    if device.type == "cpu":
        keep_freed_memory()
    model.to(device).eval()

    def predict(batch: Tensor) -> Tensor:
        with torch.inference_mode(), torch.autocast(device.type, precision, enabled=precision is not None):
            logits: Tensor = model(normalise(batch.to(device))).squeeze(1).float().cpu()
        return logits

    return predict
