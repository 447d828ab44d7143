"""The backends that predict logits, and the choice of the fastest on a machine."""

import time
from collections.abc import Callable

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
    speeds = {}
    for each, build in BACKENDS.items():
        try:
            predict = build(model, validation)
        except UserError as error:
            print(f"{each}: left out: {error}")
            continue
        speeds[each] = (frames_a_second(predict, validation, batch_size), predict)
        print(f"{each}: {speeds[each][0]:.1f} frames/s")
    for each in sorted(speeds, key=lambda key: speeds[key][0], reverse=True):
        predict = _unless_worse(each, speeds[each][1], model, validation, batch_size)
        if predict is not model:
            print(f"evaluate.backend: auto takes {each}")
            return predict
    return model


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
