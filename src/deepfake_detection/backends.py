"""The backends that predict logits, and the choice of the fastest on a machine."""

import time
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.fx.experimental.optimization import fuse

from deepfake_detection.errors import UserError
from deepfake_detection.frames import FrameDataset
from deepfake_detection.inference import Predictor, on_device, predict_logits
from deepfake_detection.openvino_backend import openvino_bf16, openvino_float32, openvino_int8

MAX_AUROC_LOSS = 0.002  # on validation frames, of a backend that rounds


def choose_backend(name: str, model: nn.Module, validation: FrameDataset, batch_size: int) -> nn.Module | Predictor:
    """What predicts ``model``'s logits on the backend ``name``: ``torch``, ``auto`` or a key of BACKENDS.

    ``torch`` is the model as it is: the same machine gives the same bytes. ``auto`` times those
    that run on this machine and takes the fastest. A backend that rounds (bf16, int8) is refused
    if the AUROC of the validation frames falls by MAX_AUROC_LOSS or more; the frames, with both
    labels among them, also calibrate int8. Raises UserError when ``name`` does not run here.
    """
    if name == "torch":
        return model
    if name != "auto":
        return _unless_worse(name, BACKENDS[name](model, validation), model, validation, batch_size)
    for each, fast in by_speed(BACKENDS, model, validation, batch_size):
        predict = _unless_worse(each, fast, model, validation, batch_size)
        if predict is not model:
            print(f"evaluate.backend: auto takes {each}")
            return predict
    return model


def backend_for(name: str, model: nn.Module, size: int, batch_size: int) -> Predictor:
    """What predicts ``model``'s logits of frames of ``size`` pixels where no validation frames are at hand.

    ``name`` is a key of BACKENDS but int8's, which needs frames for its calibration, and is taken at its word if it
    rounds; ``auto`` takes the fastest that does not. Raises UserError when ``name`` does not run here.
    """
    noise = np.random.default_rng(0).integers(0, 256, (batch_size, size, size, 3), np.uint8)
    frames = FrameDataset(noise, pd.DataFrame({"label": [0] * batch_size}))
    if name != "auto":
        return BACKENDS[name](model, frames)
    name, predict = by_speed([each for each in BACKENDS if each not in ROUNDING], model, frames, batch_size)[0]
    print(f"auto takes {name}")
    return predict


def by_speed(
    names: Iterable[str], model: nn.Module, frames: FrameDataset, batch_size: int
) -> list[tuple[str, Predictor]]:
    """Those of BACKENDS that run on this machine, the fastest first, as timed on ``frames``."""
    speeds = {}
    for name in names:
        try:
            predict = BACKENDS[name](model, frames)
        except UserError as error:
            print(f"{name}: left out: {error}")
            continue
        speeds[name, predict] = frames_a_second(predict, frames, batch_size)
        print(f"{name}: {speeds[name, predict]:.1f} frames/s")
    return sorted(speeds, key=lambda each: speeds[each], reverse=True)


def frames_a_second(predict: Predictor, frames: FrameDataset, batch_size: int, rounds: int = 3) -> float:
    """The best of a few batches: what else the machine does can only slow it down."""
    batch = torch.stack([frames[item % len(frames)][0] for item in range(batch_size)])
    predict(batch)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        predict(batch)
        times.append(time.perf_counter() - start)
    return batch_size / min(times)


def folded(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose batch norms are part of the convolutions before them, in channels_last."""
    copy: nn.Module = fuse(model.eval())
    return copy.to(memory_format=torch.channels_last)


def _torch_folded(model: nn.Module, _: FrameDataset) -> Predictor:
    return on_device(folded(model))


def _torch_bf16(model: nn.Module, _: FrameDataset) -> Predictor:
    """Raises UserError where bf16 would only be emulated."""
    native = (
        torch.cuda.is_bf16_supported(including_emulation=False)
        if torch.cuda.is_available()
        else any(torch.cpu.get_capabilities().get(name) for name in ("amx_bf16", "avx512_bf16"))
    )
    if not native:
        raise UserError("evaluate.backend: torch-bf16: this machine has no bf16 arithmetic; choose torch or auto")
    return on_device(folded(model), torch.bfloat16)


BACKENDS: dict[str, Callable[[nn.Module, FrameDataset], Predictor]] = {
    "torch-folded": _torch_folded,
    "torch-bf16": _torch_bf16,
    "openvino": openvino_float32,
    "openvino-bf16": openvino_bf16,
    "openvino-int8": openvino_int8,
}
ROUNDING = ("torch-bf16", "openvino-bf16", "openvino-int8")


def _unless_worse(
    name: str, predict: Predictor, model: nn.Module, validation: FrameDataset, batch_size: int
) -> nn.Module | Predictor:
    """``predict``, or the model itself where rounding costs too much AUROC."""
    if name not in ROUNDING:
        return predict
    exact, rounded = (predict_logits(each, validation, batch_size) for each in (model, predict))
    before, after = (float(roc_auc_score(validation.labels, logits)) for logits in (exact, rounded))
    loss = before - after
    print(
        f"{name}: AUROC of {len(validation)} validation frames {after:.4f}, float32 {before:.4f}, lost {loss:.4f}; "
        f"decisions at 0.5 that differ: {int(((exact >= 0) != (rounded >= 0)).sum())}"
    )
    if loss < MAX_AUROC_LOSS:
        return predict
    print(f"{name}: refused, since {MAX_AUROC_LOSS} or more is lost; predicting in float32")
    return model
