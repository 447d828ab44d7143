"""OpenVINO on the CPU, in float32, bf16 and int8. It is an optional extra."""

import copy
import importlib.util
import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.parallel import cpu_count
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.inference.logits import Predictor

if TYPE_CHECKING:
    from openvino import Model

CALIBRATION_FRAMES = 300  # NNCF's own default


def openvino_float32(model: nn.Module, frames: FrameDataset) -> Predictor:
    """The model in float32, for frames of the size of ``frames``. Raises UserError when the extra is missing."""
    return compiled(converted(model, frames), "f32")


def openvino_bf16(model: nn.Module, frames: FrameDataset) -> Predictor:
    """Like openvino_float32, but values in between are rounded to bf16.

    Raises UserError when the extra is missing, or when the processor has no bf16.
    """
    ov = import_openvino()
    if "BF16" not in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise UserError("evaluate.backend: openvino-bf16: this machine has no bf16 arithmetic; choose torch or auto")
    return compiled(converted(model, frames), "bf16")


def openvino_int8(model: nn.Module, frames: FrameDataset) -> Predictor:
    """Weights and activations in 8 bits, calibrated on up to CALIBRATION_FRAMES of ``frames``, evenly spaced.

    Raises UserError when the extra is missing.
    """
    taken = np.linspace(0, len(frames) - 1, min(len(frames), CALIBRATION_FRAMES)).round().astype(int)
    calibration = [frames[item][0].numpy() for item in taken]
    return compiled(quantised(converted(model, frames), calibration), "f32")


def quantised(network: "Model", calibration: Sequence[NDArray[np.uint8]], **options: Any) -> "Model":
    """Quantises a converted network to 8 bits; ``calibration`` holds frames of shape (size, size, 3) like its input.

    ``options`` are further ones of ``nncf.quantize``.

    Uses NNCF's post-training quantisation (Kozlov et al. 2020, "Neural Network Compression Framework
    for fast model inference"), without retraining.
    """
    import_openvino()
    import nncf

    nncf.set_log_level(logging.ERROR)
    advanced = nncf.AdvancedQuantizationParameters(
        # without VNNI (on AVX2), full 8-bit products overflow the 16-bit sums
        overflow_fix=nncf.OverflowFix.ENABLE
    )
    batches = nncf.Dataset([frame[None] for frame in calibration])
    size = len(calibration)
    found: Model = nncf.quantize(network, batches, subset_size=size, advanced_parameters=advanced, **options)
    return found


def import_openvino() -> Any:
    """Imports OpenVINO, with the telemetry of OpenVINO and NNCF switched off.

    Both use their own stubs when the telemetry package cannot be imported. Raises UserError when the extra is missing.
    """
    if not all(importlib.util.find_spec(name) for name in ("openvino", "nncf")):
        raise UserError("OpenVINO is not installed; run make env, or pip install openvino nncf")
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def converted(model: nn.Module, frames: FrameDataset) -> "Model":
    """The network as OpenVINO has it, for frames of the size of ``frames``."""
    ov, size = import_openvino(), frames[0][0].shape
    example = torch.zeros(1, *size, dtype=torch.uint8)
    exported = torch.export.export(copy.deepcopy(model).cpu().eval(), (example,))
    network: Model = ov.convert_model(exported)
    return network


def compiled(network: "Model", precision: str) -> Predictor:
    """Compiles the network to take one frame per request, with as many parallel requests as suit the cores.

    What the requests share then stays in the cache.
    """
    ov = import_openvino()
    settings = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_NUM_THREADS": cpu_count(),
        "INFERENCE_PRECISION_HINT": precision,
    }
    queue = ov.AsyncInferQueue(ov.Core().compile_model(network, "CPU", settings))
    logits: dict[int, float] = {}

    def keep(request: Any, item: int) -> None:
        logits[item] = request.get_output_tensor().data.item()

    queue.set_callback(keep)

    def predict(batch: Tensor) -> Tensor:
        for item, frame in enumerate(batch.numpy()):
            queue.start_async(frame[None], item)
        queue.wait_all()
        return torch.tensor([logits[item] for item in range(len(batch))])

    return predict
