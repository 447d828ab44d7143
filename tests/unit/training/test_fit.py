"""The best epoch is kept, runs repeat exactly, and every parameter of the training does what it says."""

import logging
import shutil
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from pytorch_lightning import seed_everything
from scipy.special import expit
from sklearn.metrics import log_loss, roc_auc_score
from torch import Tensor, nn

from deepfake_detection.common.errors import UserError
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.inference.logits import predict_logits
from deepfake_detection.network.model import Network, build_model
from deepfake_detection.params.train_sections import Train
from deepfake_detection.training.fit import fast_precision, fit
from deepfake_detection.training.loader import FrameBatches
from tests.support.checkpoints import save_checkpoint, sidecar
from tests.support.params import train as train_params
from tests.unit.training.small import each_step, make_batches, tiny, train

PARAMS = train_params(epochs=3, batch_size=4)


Frames = tuple[NDArray[np.uint8], pd.DataFrame]
Trained = tuple[Any, dict[str, Any], list[Any]]  # the state, the summary and the epochs


def run(pixels: NDArray[np.uint8], rows: pd.DataFrame, params: Train = PARAMS) -> Trained:
    seed_everything(7, workers=True, verbose=False)
    epochs: list[dict[str, float]] = []
    model = build_model("efficientnet_b0", dropout=0.2)
    trained = fit(model, FrameBatches(pixels, rows, params, seed=7), params, epochs.append)
    assert trained
    return *trained, epochs


@pytest.fixture(scope="module")
def trained(frames: Frames) -> Trained:
    return run(*frames)


def test_the_best_epoch_is_kept_with_means_over_frames(frames: Frames, trained: Trained) -> None:
    pixels, rows = frames
    state, summary, epochs = trained
    assert len(epochs) == summary["epochs_run"] == 3
    best = min(range(3), key=lambda epoch: epochs[epoch]["val_loss"])
    assert summary["best_epoch"] == best
    names = {f"{split}_{name}" for split in ("train", "val") for name in ("loss", "accuracy", "auroc")}
    assert {name: summary[name] for name in names} == epochs[best]

    model = build_model("efficientnet_b0", dropout=0.2)
    model.load_state_dict(state)
    val = rows[rows["split"] == "val"]  # 5 frames in batches of 4: a mean over batches would differ
    logits = predict_logits(model, FrameDataset(pixels, val), batch_size=4)
    probabilities = torch.from_numpy(logits).float().sigmoid().numpy()
    assert summary["val_loss"] == pytest.approx(log_loss(val["label"], expit(logits)), abs=1e-5)
    assert summary["val_accuracy"] == pytest.approx(((logits > 0) == val["label"]).mean(), abs=1e-6)
    assert summary["val_auroc"] == pytest.approx(roc_auc_score(val["label"], probabilities), abs=1e-6)


def test_two_runs_give_the_same_checkpoint_byte_for_byte(tmp_path: Path, frames: Frames, trained: Trained) -> None:
    network = build_model("efficientnet_b0", dropout=0.2)
    for name, state in (("a", trained[0]), ("b", run(*frames, PARAMS.model_copy(update={"num_workers": 2}))[0])):
        (tmp_path / name).mkdir()
        network.load_state_dict(state)
        save_checkpoint(tmp_path / name / "best.pth", network, sidecar())
    assert (tmp_path / "a" / "best.pth").read_bytes() == (tmp_path / "b" / "best.pth").read_bytes()


def test_training_moves_backbone_and_head(trained: Trained) -> None:
    seed_everything(7, workers=True, verbose=False)
    before = build_model("efficientnet_b0", dropout=0.2).state_dict()
    for name in ("features.0.0.weight", "features.7.0.block.0.0.weight", "classifier.1.weight"):
        assert not torch.equal(before[f"efficientnet.{name}"], trained[0][f"efficientnet.{name}"]), name


def test_training_restores_what_shows_lightnings_tips() -> None:
    logger = logging.getLogger("pytorch_lightning")
    before = warnings.filters[:], logger.level
    train(tiny(), epochs=1)
    assert (warnings.filters[:], logger.level) == before


class Scripted(nn.Module):
    """Learns nothing. Its logits of the five validation frames, three originals and two fakes, are given by epoch."""

    validated: Tensor

    def __init__(self, epochs: list[tuple[float, float]]) -> None:
        super().__init__()
        self.epochs, self.weight = epochs, nn.Parameter(torch.zeros(()))
        self.register_buffer("validated", torch.tensor(0))

    def forward(self, frames: Tensor) -> Tensor:
        if self.training:
            return self.weight.expand(len(frames), 1)
        original, fake = self.epochs[int(self.validated)]
        self.validated += 1
        return torch.tensor([original, fake, original, fake, original])[:, None] + 0 * self.weight


CURVES = [(0.0, 0.0), (8.0, 9.0), (2.0, 1.0), (3.0, 4.0)]  # AUROC 0.5, 1, 0, 1; the first has the lowest loss


@pytest.mark.parametrize(
    ("monitor", "patience", "kept", "run"),
    [("val_loss", 4, 0, 4), ("val_auroc", 4, 1, 4), ("val_loss", 1, 0, 2), ("val_auroc", 1, 1, 3)],
)
def test_what_is_monitored_decides_which_epoch_is_kept_and_when_training_stops(
    monitor: str, patience: int, kept: int, run: int
) -> None:
    state, summary = train(Network(Scripted(CURVES)), epochs=4, monitor=monitor, patience=patience)
    assert (summary["best_epoch"], summary["epochs_run"]) == (kept, run)
    assert summary["early_stopped"] == (run < 4)
    assert summary["val_auroc"] == (0.5, 1.0)[kept]
    assert int(state["efficientnet.validated"]) == kept + 1


def test_an_auroc_of_one_class_cannot_be_monitored() -> None:
    batches = make_batches(monitor="val_auroc")
    batches.val_rows = batches.val_rows[batches.val_rows["label"] == 1]
    with pytest.raises(UserError, match=r"train\.monitor: val_auroc is undefined") as caught:
        fit(tiny(), batches, batches.params)
    assert "\n" not in str(caught.value)


def test_averaged_weights_are_validated_and_kept() -> None:
    model = tiny()
    states: list[dict[str, Tensor]] = []

    def look(_: Any) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in model.state_dict().items() if value.is_floating_point()}

    with each_step(states, look):
        state, summary = train(model, ema=0.8, lr=1e-2)
    averages = [states[0]]
    for step in states[1:]:
        averages.append({name: 0.8 * averages[-1][name] + 0.2 * value for name, value in step.items()})
    expected = averages[3 * (summary["best_epoch"] + 1) - 1]
    for name, value in expected.items():
        assert torch.allclose(state[name], value, atol=1e-6), name
        if "running" in name or "weight" in name:
            assert not torch.allclose(state[name], states[-1][name], atol=1e-6), name

    fresh = tiny()
    fresh.load_state_dict(state)
    batches = make_batches()
    logits = predict_logits(fresh, FrameDataset(batches.pixels, batches.val_rows), batch_size=8)
    assert summary["val_loss"] == pytest.approx(log_loss(batches.val_rows["label"], expit(logits)), abs=1e-5)


@pytest.mark.parametrize("deterministic", [False, True])
def test_deterministic_is_a_switch(deterministic: bool) -> None:
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]  # as torch starts
    try:
        train(tiny(), deterministic=deterministic)
        assert not torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
        assert torch.are_deterministic_algorithms_enabled() == deterministic
        assert torch.backends.cudnn.benchmark != deterministic
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


@pytest.mark.parametrize(
    ("precision", "inside"), [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16), ("auto", None)]
)
def test_precision_is_that_of_the_convolutions(precision: str, inside: torch.dtype | None) -> None:
    model = tiny()
    seen = set()
    first = cast(nn.Sequential, model.efficientnet)[0]
    first.register_forward_hook(lambda _, __, output: seen.add(output.dtype))
    state, _ = train(model, precision=precision)
    by_name = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
    assert seen == {inside or by_name[fast_precision()]}
    assert {value.dtype for value in state.values()} == {torch.float32, torch.int64}


@pytest.mark.skipif(torch.accelerator.is_available(), reason="what the processor has counts where there is no GPU")
@pytest.mark.parametrize(("has", "expected"), [("amx_bf16", "bf16-mixed"), ("avx512_bf16", "32-true")])
def test_bf16_on_a_processor_is_for_those_that_multiply_matrices_in_it(
    has: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {has: True})
    assert fast_precision() == expected


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile wants a C++ compiler")
def test_a_compiled_network_trains_to_the_same_names_and_loss() -> None:
    changes = {"epochs": 1, "train": 16}
    state, summary = train(tiny(), **changes)
    model = tiny()
    compiled, own = train(model, compile="default", **changes)
    assert model._compiled_call_impl
    assert list(compiled) == list(state)
    assert own["val_loss"] == pytest.approx(summary["val_loss"], abs=1e-3)


@pytest.mark.skipif(torch.accelerator.is_available(), reason="a CPU's own way")
def test_automatic_batch_size_on_a_cpu_is_16_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    state, summary = train(tiny(), batch_size="auto")
    assert "batch_size auto: a CPU's memory gives no measure, 16 frames are taken" in capsys.readouterr().out
    given, plain = train(tiny(), batch_size=16)
    assert summary == plain | {"batch_size": 16}
    assert all(torch.equal(given[name], value) for name, value in state.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 5, "devices": 2}, "5 frames cannot be shared by 2 devices in 1 parts"),
        ({"batch_size": 8, "accumulate": 3}, "8 frames cannot be shared by 1 devices in 3 parts"),
        ({"batch_size": 4, "accumulate": 4}, "2 frames or more"),
        ({"batch_size": "auto", "devices": 2}, "auto finds what one device holds"),
        ({"batch_size": 8, "devices": 4}, "fewer frames to train on or to validate than the 4 devices"),
    ],
)
def test_what_cannot_be_shared_is_one_line(changes: dict[str, Any], message: str) -> None:
    params = train_params(**changes)
    rows = pd.DataFrame({"label": [0, 1] * 6, "split": ["train"] * 9 + ["val"] * 3})
    batches = FrameBatches(np.zeros((12, 32, 32, 3), np.uint8), rows, params, seed=1)
    with pytest.raises(UserError, match=message) as caught:
        fit(Network(nn.Identity()), batches, params)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (
            {"SLURM_NTASKS": "4", "SLURM_PROCID": "0"},
            "--ntasks=4: ask for --ntasks=1 --cpus-per-task=4 to train in one",
        ),
        ({"SLURM_NTASKS": "1"}, "SLURM_PROCID is not: start it with srun, or unset SLURM_NTASKS"),
    ],
)
def test_a_job_of_slurm_that_cannot_train_is_one_line(
    tasks: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE", raising=False)
    for name, value in ({"SLURM_JOB_NAME": "train"} | tasks).items():
        monkeypatch.setenv(name, value)
    batches = make_batches()
    with pytest.raises(UserError, match=message):
        fit(tiny(), batches, batches.params)
