"""The backends that predict logits, and the choice of the fastest one on a machine."""

import time
from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from deepfake_detection.common.errors import UserError
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.inference.logits import Predictor, on_device, predict_logits
from deepfake_detection.inference.openvino import openvino_bf16, openvino_float32, openvino_int8
from deepfake_detection.network.cuda_graphs import Replayed
from deepfake_detection.network.model import Network

MAX_AUROC_LOSS = 0.002  # a backend that rounds must lose less than this on validation frames


def choose_backend(name: str, model: Network, validation: FrameDataset, batch_size: int) -> Network | Predictor:
    """Returns what predicts the logits of ``model`` on backend ``name``: ``torch``, ``auto`` or a key of BACKENDS.

    ``torch`` is the model itself. It and ``torch-folded`` give the same bytes on the same machine. ``auto`` times the
    backends that run on this machine and takes the fastest; with an accelerator only torch's, which use it. A backend
    that rounds (bf16, int8) is refused if it lowers the AUROC of the validation frames by MAX_AUROC_LOSS or more. The
    validation frames also calibrate int8, and must contain both labels. With ``auto`` and ``torch-folded`` an ONNX
    file stays what it is. Raises UserError when ``name`` does not run here.
    """
    if name == "torch" or (name in ("auto", "torch-folded") and model.is_onnx):
        return model
    model.require_layers(f"evaluate.backend: {name}")
    if name != "auto":
        return _guarded(name, BACKENDS[name](model, validation), model, validation, batch_size)
    for each, fast in by_speed(candidates(torch.accelerator.is_available()), model, validation, batch_size):
        predict = _guarded(each, fast, model, validation, batch_size)
        if predict is not model:
            print(f"evaluate.backend: auto takes {each}")
            return predict
    return model


def backend_for(name: str, model: Network, size: int, batch_size: int) -> Predictor:
    """Returns what predicts the logits of ``model`` for frames of ``size`` pixels, without any validation frames.

    ``name`` is a key of BACKENDS, except that of int8, which needs frames for its calibration. A named backend that
    rounds is used without a check. ``auto`` takes the fastest backend that does not round. Raises UserError when
    ``name`` does not run here.
    """
    if name == "auto" and model.is_onnx:
        return on_device(model)
    model.require_layers(f"backend {name}")
    noise = np.random.default_rng(0).integers(0, 256, (batch_size, size, size, 3), np.uint8)
    frames = FrameDataset(noise, pd.DataFrame({"label": [0] * batch_size}))
    if name != "auto":
        return BACKENDS[name](model, frames)
    names = [each for each in candidates(torch.accelerator.is_available()) if each not in ROUNDING]
    name, predict = by_speed(names, model, frames, batch_size)[0]
    print(f"auto takes {name}")
    return predict


def candidates(accelerator: bool) -> list[str]:
    """The BACKENDS among which ``auto`` chooses. OpenVINO runs on the CPU, so with an accelerator it is left out."""
    return [name for name in BACKENDS if not accelerator or name.startswith("torch")]


def by_speed(
    names: Iterable[str], model: Network, frames: FrameDataset, batch_size: int
) -> list[tuple[str, Predictor]]:
    """Those of the named BACKENDS that run on this machine, fastest first, as timed on ``frames``."""
    speeds = {}
    for name in names:
        try:
            predict = BACKENDS[name](model, frames)
        except UserError as error:
            print(f"{name}: left out: {error}")
            continue
        speeds[name, predict] = frames_per_second(predict, frames, batch_size)
        print(f"{name}: {speeds[name, predict]:.1f} frames/s")
    return sorted(speeds, key=lambda each: speeds[each], reverse=True)


def frames_per_second(predict: Predictor, frames: FrameDataset, batch_size: int, rounds: int = 3) -> float:
    """Frames per second of the fastest of a few batches. Other load on the machine can only make a batch slower."""
    batch = torch.stack([frames[item % len(frames)][0] for item in range(batch_size)])
    predict(batch)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        predict(batch)
        times.append(time.perf_counter() - start)
    return batch_size / min(times)


def folded(model: Network) -> Network:
    """A copy in evaluation mode and channels_last, with each batch norm folded into the convolution before it."""
    copy = deepcopy(model).eval()
    for layers in (layer for layer in copy.modules() if isinstance(layer, nn.Sequential)):
        for place, (before, after) in enumerate(pairwise(layers)):
            if isinstance(before, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
                layers[place], layers[place + 1] = fuse_conv_bn_eval(before, after), nn.Identity()
    return copy.to(memory_format=torch.channels_last)


def _torch_folded(model: Network, _: FrameDataset) -> Predictor:
    return on_device(folded(model))


def _torch_graph(model: Network, _: FrameDataset) -> Predictor:
    """Raises UserError without a GPU of CUDA."""
    if not torch.cuda.is_available():
        raise UserError("evaluate.backend: torch-graph: no CUDA device here; choose torch-folded or auto")
    return on_device(Replayed(folded(model)))


def _torch_bf16(model: Network, _: FrameDataset) -> Predictor:
    """Raises UserError where bf16 would only be emulated."""
    native = (
        torch.cuda.is_bf16_supported(including_emulation=False)
        if torch.cuda.is_available()
        else any(torch.cpu.get_capabilities().get(name) for name in ("amx_bf16", "avx512_bf16"))
    )
    if not native:
        raise UserError("evaluate.backend: torch-bf16: this machine has no bf16 arithmetic; choose torch or auto")
    return on_device(folded(model), torch.bfloat16)


BACKENDS: dict[str, Callable[[Network, FrameDataset], Predictor]] = {
    "torch-folded": _torch_folded,
    "torch-graph": _torch_graph,
    "torch-bf16": _torch_bf16,
    "openvino": openvino_float32,
    "openvino-bf16": openvino_bf16,
    "openvino-int8": openvino_int8,
}
ROUNDING = ("torch-bf16", "openvino-bf16", "openvino-int8")


def _guarded(
    name: str, predict: Predictor, model: Network, validation: FrameDataset, batch_size: int
) -> Network | Predictor:
    """Returns ``predict``, or the model itself if rounding costs too much AUROC."""
    if name not in ROUNDING:
        return predict
    from sklearn.metrics import roc_auc_score  # only the pipeline installs it, and only the pipeline gets here

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
