"""Logits are computed in float32, and the process's own settings stay as they were."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.inference.backends import choose_backend
from deepfake_detection.inference.logits import predict_logits, without_tf32
from deepfake_detection.network.model import Network, build_model

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


CUDNN, MATMUL = cast(Any, torch.backends.cudnn), cast(Any, torch.backends.cuda.matmul)


def settings() -> dict[str, str]:
    newer = {"convolution": CUDNN.conv, "recurrent": CUDNN.rnn, "product": MATMUL}
    return {name: each.fp32_precision for name, each in newer.items()}


def taken(settings: dict[str, str]) -> set[str]:
    return {name for name, value in settings.items() if value == "tf32"}


@contextmanager
def process_with(precision: str) -> Iterator[None]:
    """A process whose products are in TF32, or not, by torch's older or newer names of the setting."""
    kept, newer = torch.get_float32_matmul_precision(), MATMUL.fp32_precision
    try:
        if precision == "newer":
            MATMUL.fp32_precision = "tf32"
        else:
            torch.set_float32_matmul_precision(precision)
        yield
    finally:
        torch.set_float32_matmul_precision(kept)
        MATMUL.fp32_precision = newer


@pytest.mark.parametrize("precision", ["highest", "high", "medium", "newer"])
def test_tf32_is_off_inside_and_as_it_was_afterwards(precision: str) -> None:
    with process_with(precision):
        before = taken(settings())
        assert "convolution" in before, "torch's own default, for which all this is"
        assert ("product" in before) == (precision != "highest")
        with without_tf32():
            assert not taken(settings())
        assert taken(settings()) == before
        with pytest.raises(ZeroDivisionError), without_tf32():
            1 / 0  # noqa: B018
        assert taken(settings()) == before
        if precision != "newer":
            assert torch.get_float32_matmul_precision() == precision


@pytest.fixture
def frames() -> FrameDataset:
    """Sixteen frames of 64 px, from dark to bright."""
    noise = np.random.default_rng(0).integers(0, 128, (16, 64, 64, 3), dtype=np.uint8)
    pixels = noise + np.linspace(0, 127, 16).astype(np.uint8)[:, None, None, None]
    return FrameDataset(pixels, pd.DataFrame({"label": [0, 1] * 8}))


@pytest.mark.gpu
@needs_gpu
def test_torch_on_a_gpu_is_float32(frames: FrameDataset) -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 64, 7), nn.SiLU(), nn.Conv2d(64, 256, 5), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    model = Network(nn.Sequential(*layers, nn.Linear(256, 1))).eval()
    exact = copy.deepcopy(model).double()
    with torch.inference_mode():
        normalised = model.normalise(torch.from_numpy(frames.pixels)).double()
        expected = exact.efficientnet(normalised).squeeze(1).numpy()
    before = settings()
    assert predict_logits(model, frames, 8) == pytest.approx(expected, abs=1e-6)  # TF32 is off by more than 1e-5
    assert taken(settings()) == taken(before)


@pytest.mark.gpu
@needs_gpu
def test_auto_on_a_gpu_leaves_openvino_out(frames: FrameDataset, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    predict = choose_backend("auto", build_model("efficientnet_b0", dropout=0.2), frames, 8)
    assert predict_logits(predict, frames, 8).shape == (16,)
    printed = capsys.readouterr().out
    assert "torch-folded: " in printed
    assert "openvino" not in printed
