"""Every backend gives the logits of eager float32, and int8 is refused where it costs AUROC."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deepfake_detection.common.errors import UserError
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.inference.backends import BACKENDS, ROUNDING, candidates, choose_backend, folded
from deepfake_detection.inference.logits import predict_logits
from deepfake_detection.inference.openvino import openvino_float32
from deepfake_detection.network.cuda_graphs import Replayed
from deepfake_detection.network.model import Network, build_model
from deepfake_detection.network.normalise import Normalise
from tests.support.checkpoints import SIZE, network_with_statistics

OPENVINO = pytest.mark.openvino
Logits = NDArray[np.float64]


@pytest.fixture(scope="module")
def frames() -> FrameDataset:
    """Twelve frames, from dark to bright."""
    noise = np.random.default_rng(0).integers(0, 128, (12, SIZE, SIZE, 3), dtype=np.uint8)
    pixels = noise + np.linspace(0, 127, 12).astype(np.uint8)[:, None, None, None]
    return FrameDataset(pixels, pd.DataFrame({"label": [0, 1] * 6}))


@pytest.fixture(scope="module")
def model() -> Network:
    return network_with_statistics(dropout=0.2).eval()


@pytest.fixture(scope="module")
def small() -> Network:
    """What an EfficientNet's block is made of, in a size that is quantised in a second."""
    torch.manual_seed(0)
    layers = [
        *(nn.Conv2d(3, 16, 3, stride=2), nn.BatchNorm2d(16, momentum=1.0), nn.SiLU()),
        *(nn.Conv2d(16, 16, 3, groups=16), nn.BatchNorm2d(16, momentum=1.0), nn.SiLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 1)),
    ]
    model = Network(nn.Sequential(*layers))
    with torch.no_grad():
        model.efficientnet(torch.randn(32, 3, SIZE, SIZE) + torch.randn(32, 3, 1, 1))
    return model.eval()


def eager(model: Network, frames: FrameDataset) -> Logits:
    """In float32, contiguous, batch norm apart."""
    plain = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
    with torch.inference_mode():
        pixels = plain.normalise(torch.from_numpy(frames.pixels)).contiguous()
        logits: Logits = plain.efficientnet(pixels).squeeze(1).numpy()
    assert logits.std() > 0.05
    return logits


def test_folding_keeps_the_logits_and_the_given_model(model: Network, frames: FrameDataset) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fast = folded(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
    assert predict_logits(fast, frames, 5) == pytest.approx(eager(model, frames), abs=1e-5)
    assert before.keys() == model.state_dict().keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    lite = build_model("efficientnet_lite0", 0.0).eval()
    assert predict_logits(folded(lite), frames, 5) == pytest.approx(predict_logits(lite, frames, 5), abs=1e-5)
    other = Network(model.efficientnet, Normalise((0.485, 0.456, 0.406), (0.2, 0.2, 0.2))).eval()
    assert predict_logits(folded(other), frames, 5) == pytest.approx(eager(other, frames), abs=1e-5)
    assert np.abs(eager(other, frames) - eager(model, frames)).max() > 1e-3


@OPENVINO
def test_openvino_gives_an_efficientnet_s_logits(model: Network, frames: FrameDataset) -> None:
    assert predict_logits(openvino_float32(model, frames), frames, 5) == pytest.approx(eager(model, frames), abs=1e-4)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=OPENVINO) if name.startswith("openvino") else name for name in BACKENDS]
)
def test_a_backend_gives_the_logits_of_eager_float32(name: str, small: Network, frames: FrameDataset) -> None:
    try:
        predict = BACKENDS[name](small, frames)
    except UserError as error:
        if not name.endswith(("bf16", "graph")):  # any processor has the others
            raise
        pytest.skip(str(error))
    exact = eager(small, frames)
    for batch_size in (12, 5):  # the last batch is smaller
        logits = predict_logits(predict, frames, batch_size)
        if name in ROUNDING:  # int8 errs by a part of the logits' own spread
            assert np.corrcoef(logits, exact)[0, 1] > 0.9
            assert logits == pytest.approx(exact, abs=float(exact.std()))
        else:
            assert logits == pytest.approx(exact, abs=1e-5)


def test_auto_looks_where_the_accelerator_is_used_and_torch_is_the_model(small: Network, frames: FrameDataset) -> None:
    assert choose_backend("torch", small, frames, 4) is small
    assert candidates(accelerator=False) == list(BACKENDS)
    assert candidates(accelerator=True) == ["torch-folded", "torch-graph", "torch-bf16"]


def test_what_cannot_be_captured_is_computed_as_ever(
    small: Network, frames: FrameDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on this processor, on which torch finds nothing to capture with."""
    if torch.cuda.is_available():
        pytest.skip("what there is without a CUDA device")
    with pytest.raises(UserError, match=r"^evaluate.backend: torch-graph: no CUDA device here"):
        choose_backend("torch-graph", small, frames, 4)
    logits = predict_logits(Replayed(folded(small)), frames, 4)
    assert capsys.readouterr().out.count("not captured: ") == 1
    assert np.array_equal(logits, predict_logits(folded(small), frames, 4))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batches_are_replayed_to_the_byte_on_a_gpu(
    model: Network, frames: FrameDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two whole batches of other frames, one that is shorter, and one frame alone."""
    replayed = Replayed(folded(model))
    for batch_size in (5, 1):
        logits = predict_logits(replayed, frames, batch_size)
        assert np.array_equal(logits, predict_logits(folded(model), frames, batch_size))
    assert "not captured" not in capsys.readouterr().out
    assert replayed.computed is not replayed.network


@OPENVINO
def test_auto_takes_one_that_keeps_the_ranking(
    small: Network, frames: FrameDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    exact = eager(small, frames)
    validation = FrameDataset(frames.pixels, pd.DataFrame({"label": (exact > np.median(exact)).astype(int)}))
    logits = predict_logits(choose_backend("auto", small, validation, 4), frames, 4)
    printed = capsys.readouterr().out
    assert any(f"auto takes {name}\n" in printed for name in BACKENDS)
    assert all(f"{name}: " in printed for name in BACKENDS)
    assert np.corrcoef(logits, exact)[0, 1] > 0.95


@OPENVINO
def test_int8_is_refused_where_it_costs_auroc(capsys: pytest.CaptureFixture[str]) -> None:
    class Faint(nn.Module):
        """Tells classes by a difference that 8 bits of a wider range cannot hold."""

        def __init__(self) -> None:
            super().__init__()
            self.widen, self.head = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 1, 1)
            with torch.no_grad():
                self.widen.weight.fill_(1.0)
                self.widen.bias.copy_(torch.linspace(-40, 40, 8))  # type: ignore[union-attr]
                self.head.weight.copy_(torch.tensor([-1.0, 1.0] * 4).view(1, 8, 1, 1) + 1e-4)

        def forward(self, pixels: Tensor) -> Tensor:
            logits: torch.Tensor = self.head(self.widen(pixels.mean((2, 3), keepdim=True))).flatten(1)
            return logits

    model = Network(Faint()).eval()
    steps = torch.randperm(64, generator=torch.Generator().manual_seed(0)).numpy()
    pixels = np.full((64, 8, 8, 3), 100, np.uint8)
    pixels.reshape(64, -1)[np.arange(192) < steps[:, None] * 3] += 1
    validation = FrameDataset(pixels, pd.DataFrame({"label": (steps > 31).astype(int)}))
    assert choose_backend("openvino-int8", model, validation, 16) is model
    assert "openvino-int8: refused" in capsys.readouterr().out


def test_a_missing_package_is_one_line(
    small: Network, frames: FrameDataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name in ("openvino", "openvino-bf16", "openvino-int8"):
        with pytest.raises(UserError, match=r"not installed; run make env") as caught:
            choose_backend(name, small, frames, 4)
        assert "\n" not in str(caught.value)
    assert isinstance(predict_logits(choose_backend("auto", small, frames, 4), frames, 4), np.ndarray)
    printed = capsys.readouterr().out
    assert all(f"\n{name}: left out: " in printed for name in BACKENDS if name.startswith("openvino"))
    assert "auto takes torch-" in printed  # folded, or bf16 on a processor that is faster in it


# an audit hook cannot be taken off, nor fooled by what a package imported before: a process of its own
QUIET = """
import sys
met = []
sys.addaudithook(lambda event, args: met.append(args) if event in ("socket.connect", "socket.getaddrinfo") else None)
import numpy as np, pandas as pd, torch
from torch import nn
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.inference.backends import choose_backend
from deepfake_detection.network.model import Network
frames = FrameDataset(np.arange(4 * 192, dtype=np.uint32).astype(np.uint8).reshape(4, 8, 8, 3),
                      pd.DataFrame({"label": [0, 1, 0, 1]}))
small = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1))
choose_backend("openvino-int8", Network(small), frames, 2)
assert not met, met
assert "openvino" in sys.modules and "nncf" in sys.modules
assert sys.modules["openvino_telemetry"] is None
"""


@OPENVINO
def test_openvino_reports_to_nobody(tmp_path: Path) -> None:
    (tmp_path / "openvino_telemetry").mkdir()  # as where somebody installed it with pip
    (tmp_path / "openvino_telemetry" / "__init__.py").write_text(
        "import socket\nsocket.create_connection(('127.0.0.1', 9))\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": path, "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", QUIET], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "intel").exists()  # where the telemetry keeps a client's number
