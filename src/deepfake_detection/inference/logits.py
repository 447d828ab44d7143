"""Predicts the logits of frames with a trained model."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.progress import progress

if TYPE_CHECKING:  # a detector has neither data sets nor tables
    import pandas as pd
    from tqdm import tqdm

    from deepfake_detection.frames.dataset import FrameDataset

_tf32 = Lock()

Predictor: TypeAlias = Callable[[Tensor], Tensor]
"""Maps frames, uint8 of shape (batch, size, size, 3) on the CPU, to their logits, float32 of shape (batch,)."""


def predict_logits(
    model: nn.Module | Predictor,
    frames: "FrameDataset",
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
    (logits,) = predict_each(model, [frames], batch_size, num_workers, bar)
    return logits


def predict_each(
    model: nn.Module | Predictor, parts: "Sequence[FrameDataset]", batch_size: int, num_workers: int, bar: "tqdm[Any]"
) -> Iterator[NDArray[np.float64]]:
    """Yields the logits of each data set, as predict_logits returns them. The same workers read all data sets."""
    from deepfake_detection.frames.dataset import chained_loader

    predict = on_device(model) if isinstance(model, nn.Module) else model
    batches = iter(chained_loader(parts, batch_size, num_workers))
    for frames in parts:
        found = []
        for batch, _ in islice(batches, math.ceil(len(frames) / batch_size)):
            found.append(predict(batch))
            bar.update(len(batch))
        yield torch.cat(found).double().numpy() if found else np.zeros(0)


def score_table(rows: "pd.DataFrame", scores: NDArray[np.float64]) -> "pd.DataFrame":
    """The path, logit and unfamiliarity of each of ``rows``, SCORE_COLUMNS, from what the network gave for them.

    ``scores`` has shape (frames, 2), or (frames,) without unfamiliarity, which is then 0.
    """
    import pandas as pd

    logits, unfamiliarity = (scores, np.zeros(len(rows))) if scores.ndim == 1 else scores.T
    return pd.DataFrame({"path": rows["path"].to_numpy(), "logit": logits, "unfamiliarity": unfamiliarity})


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

    Rounds to ``precision`` if given. Without it, it computes in float32, also on a GPU that would take TF32 by default.
    """
    device = device or find_device()
    model.to(device).eval()

    def predict(batch: Tensor) -> Tensor:
        exact = without_tf32() if device.type == "cuda" and precision is None else nullcontext()
        with torch.inference_mode(), torch.autocast(device.type, precision, enabled=precision is not None):
            with exact:
                logits: Tensor = model(batch.to(device))
            return logits.cpu()

    return predict


@contextmanager
def without_tf32() -> Iterator[None]:
    """Makes CUDA compute float32 products in float32, and restores the process's settings at the end.

    cuDNN's convolutions otherwise take TF32, which rounds the factors to 10 bits of mantissa:
    https://docs.pytorch.org/docs/stable/notes/cuda.html#tensorfloat-32-tf32-on-ampere-and-later-devices. The settings
    are the process's, so only one thread at a time may change them.
    """
    cudnn, matmul = cast(Any, torch.backends.cudnn), cast(Any, torch.backends.cuda.matmul)
    with _tf32:
        try:
            allowed, precision = cudnn.allow_tf32, torch.get_float32_matmul_precision()
        except RuntimeError:  # the process has used the newer names of these settings, and torch refuses a mixture
            newer = (cudnn.conv, cudnn.rnn, matmul)
            before = [each.fp32_precision for each in newer]
            try:
                for each in newer:
                    each.fp32_precision = "ieee"
                yield
            finally:
                for each, value in zip(newer, before, strict=True):
                    each.fp32_precision = value
            return
        try:
            cudnn.allow_tf32 = False
            torch.set_float32_matmul_precision("highest")
            yield
        finally:
            cudnn.allow_tf32 = allowed
            torch.set_float32_matmul_precision(precision)
