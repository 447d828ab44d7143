"""Predicts the logits of frames with a trained model."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deepfake_detection.common.progress import progress
from deepfake_detection.frames.dataset import FrameDataset, frame_loader
from deepfake_detection.network.allocator import keep_freed_memory

if TYPE_CHECKING:
    from tqdm import tqdm

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
        with progress(title="predicting", total=len(frames), unit="frame") as own:
            return predict_logits(model, frames, batch_size, num_workers, own)
    predict = on_device(model) if isinstance(model, nn.Module) else model
    found = []
    for batch, _ in frame_loader(frames, batch_size, num_workers):
        found.append(predict(batch))
        bar.update(len(batch))
    return torch.cat(found).double().numpy()


def on_device(model: nn.Module, precision: torch.dtype | None = None) -> Predictor:
    """Runs ``model`` in evaluation mode on the accelerator, if there is one, rounding to ``precision`` if given."""
    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    if device.type == "cpu":
        keep_freed_memory()
    model.to(device).eval()

    def predict(batch: Tensor) -> Tensor:
        with torch.inference_mode(), torch.autocast(device.type, precision, enabled=precision is not None):
            logits: Tensor = model(batch.to(device)).cpu()
        return logits

    return predict
