"""Predicts the logits of frames with a trained model."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from deepfake_detection.frames import FrameDataset, frame_loader, normalise


def predict_logits(
    model: nn.Module, frames: FrameDataset, batch_size: int, num_workers: int = 0, bar: "tqdm[Any] | None" = None
) -> NDArray[np.float64]:
    """One logit a frame, shape (frames,), in the data set's order.

    The model is moved to the accelerator, if there is one, and put in evaluation mode. ``bar``
    moves by the frames that are done; without it one is made.
    """
    if bar is None:
        with tqdm(total=len(frames), desc="predicting", unit="frame") as own:
            return predict_logits(model, frames, batch_size, num_workers, own)
    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    model.to(device).eval()
    found = []
    with torch.inference_mode():
        for batch, _ in frame_loader(frames, batch_size, num_workers):
            found.append(model(normalise(batch.to(device))).squeeze(1).float().cpu())
            bar.update(len(batch))
    return torch.cat(found).double().numpy()
