"""Every parameter of the training engine does what it says; what it leaves alone stays the same to the bit."""

import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from pytorch_lightning import seed_everything
from sklearn.metrics import log_loss
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from deepfake_detection.frames import FrameDataset
from deepfake_detection.inference import predict_logits
from deepfake_detection.logits import sigmoid
from deepfake_detection.memory import find_batch_size, recompute_activations
from deepfake_detection.model import build_model
from deepfake_detection.params import Train, load_params
from deepfake_detection.precision import fast_precision
from deepfake_detection.training import FrameClassifier, FrameSplits, fit

DEFAULTS = load_params(Path(__file__).parents[2] / "params.yaml").train.model_dump()
SMALL = {"epochs": 2, "batch_size": 8, "lr": 1e-3}


def tiny(norm: bool = True) -> nn.Sequential:
    """A convolutional network of 32 px frames, in channels_last as the real ones are."""
    torch.manual_seed(3)
    layers = [nn.Conv2d(3, 8, 4, 4), nn.BatchNorm2d(8) if norm else nn.Identity(), nn.SiLU()]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1))
    return network.to(memory_format=torch.channels_last)


def make_splits(train: int = 22, **changes: Any) -> FrameSplits:
    pixels = np.random.default_rng(0).integers(0, 255, (train + 5, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(train + 5) % 2
    pixels[labels == 1] //= 2
    rows = pd.DataFrame({"label": labels, "split": ["train"] * train + ["val"] * 5})
    return FrameSplits(pixels, rows, Train.model_validate(DEFAULTS | SMALL | changes), seed=7)


def train(model: nn.Module, **changes: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    seed_everything(7, workers=True, verbose=False)
    splits = make_splits(**changes)
    trained = fit(model, splits, splits.params)
    assert trained
    return trained


@contextmanager
def each_step(seen: list[Any], look: Any) -> Iterator[None]:
    """Keeps what ``look`` finds in the optimiser after each of its steps."""
    hook = register_optimizer_step_post_hook(lambda optimizer, *_: seen.append(look(optimizer)))
    try:
        yield
    finally:
        hook.remove()


def gradients(optimizer: torch.optim.Optimizer) -> Tensor:
    return torch.cat([parameter.grad.flatten().clone() for parameter in optimizer.param_groups[0]["params"]])


@pytest.mark.parametrize("accumulate", [2, 4])
def test_accumulated_parts_give_the_gradients_of_the_whole_step(accumulate: int) -> None:
    whole: list[Tensor] = []
    parts: list[Tensor] = []
    with each_step(whole, gradients):
        train(tiny(norm=False))
    with each_step(parts, gradients):
        train(tiny(norm=False), accumulate=accumulate)
    assert len(whole) == len(parts) == 6  # of 8, 8 and 6 frames, twice
    for one, other in zip(whole, parts, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def rates(**changes: Any) -> list[float]:
    seen: list[float] = []
    with each_step(seen, lambda optimizer: optimizer.param_groups[0]["lr"]):
        train(tiny(), **changes)
    return seen


def test_schedule_sets_the_rate_of_each_step() -> None:
    assert rates() == [1e-3] * 6
    assert rates(warmup_epochs=1.0) == pytest.approx([0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3, 1e-3])
    half_a_cosine = [1e-3 * (1 + math.cos(math.pi * step / 6)) / 2 for step in range(6)]
    assert rates(schedule="cosine") == pytest.approx(half_a_cosine)
    falling = [1e-3 * (1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)]
    assert rates(schedule="cosine", warmup_epochs=0.7) == pytest.approx([1e-3 / 3, 2e-3 / 3, *falling])
    in_parts = rates(schedule="cosine", warmup_epochs=0.7, accumulate=2)
    assert in_parts == pytest.approx([1e-3 / 3, 2e-3 / 3, *falling])


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
    splits = make_splits()
    logits = predict_logits(fresh, FrameDataset(splits.pixels, splits.val_rows), batch_size=8)
    assert summary["val_loss"] == pytest.approx(log_loss(splits.val_rows["label"], sigmoid(logits)), abs=1e-5)


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
    model[0].register_forward_hook(lambda _, __, output: seen.add(output.dtype))
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


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile wants a C++ compiler")
def test_a_compiled_network_trains_to_the_same_names_and_loss() -> None:
    changes = {"epochs": 1, "train": 16}
    state, summary = train(tiny(), **changes)
    model = tiny()
    compiled, own = train(model, compile="default", **changes)
    assert model._compiled_call_impl
    assert list(compiled) == list(state)
    assert own["val_loss"] == pytest.approx(summary["val_loss"], abs=1e-3)


class Hungry(nn.Module):
    """Wants more memory than there is for more than 8 frames."""

    def __init__(self) -> None:
        super().__init__()
        self.network = tiny()

    def forward(self, frames: Tensor) -> Tensor:
        torch.empty(2**60 if len(frames) > 8 else 1, dtype=torch.uint8)
        return cast(Tensor, self.network(frames))


def test_batch_size_is_the_largest_power_that_fits_and_the_search_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model, splits = Hungry(), make_splits()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.random.get_rng_state()
    classifier = FrameClassifier(model, splits.params, seed=7)
    assert find_batch_size(classifier, splits, "part", logger=False, num_sanity_val_steps=0) == 8
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(random, torch.random.get_rng_state())
    assert splits.part == 8
    assert classifier.history == []
    assert list(tmp_path.iterdir()) == []


def test_batch_size_is_bounded_by_the_frames() -> None:
    splits = make_splits(6)
    classifier = FrameClassifier(tiny(), splits.params, seed=7)
    assert find_batch_size(classifier, splits, "part", logger=False, num_sanity_val_steps=0) == 8


@pytest.mark.skipif(torch.accelerator.is_available(), reason="a CPU's own way")
def test_automatic_batch_size_on_a_cpu_is_16_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    state, summary = train(tiny(), batch_size="auto")
    assert "batch_size auto: a CPU's memory gives no measure, 16 frames are taken" in capsys.readouterr().out
    given, plain = train(tiny(), batch_size=16)
    assert summary == plain | {"batch_size": 16}
    assert all(torch.equal(given[name], value) for name, value in state.items())


def pretrained_b0(folder: Path, recompute: bool) -> nn.Module:
    """B0 with dropout and, as when fine-tuning, stochastic depth."""
    torch.manual_seed(1)
    torch.save(build_model("efficientnet_b0", 0.2).state_dict(), folder / "b0.pth")
    model = build_model("efficientnet_b0", 0.2, folder / "b0.pth").train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)  # or the residual branches would count for nothing
    if recompute:
        recompute_activations(model)
    return model


def test_recomputed_activations_change_nothing_but_memory(tmp_path: Path) -> None:
    frames = torch.randn(4, 3, 32, 32).to(memory_format=torch.channels_last)
    found = []
    for recompute in (False, True):
        model = pretrained_b0(tmp_path, recompute)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
        kept: list[int] = []

        def pack(value: Tensor, kept: list[int] = kept) -> Tensor:
            kept.append(value.untyped_storage().nbytes())
            return value

        torch.manual_seed(5)
        losses, steps = [], []
        for _ in range(2):
            optimizer.zero_grad()
            with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
                loss = model(frames).square().mean()
            loss.backward()
            losses.append(loss.detach())
            steps.append([parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None])
            optimizer.step()
        found.append((losses, steps, model.state_dict(), sum(kept)))
    (losses, steps, state, memory), (losses2, steps2, state2, memory2) = found
    assert losses == losses2
    assert all(torch.equal(a, b) for one, two in zip(steps, steps2, strict=True) for a, b in zip(one, two, strict=True))
    assert list(state) == list(state2)
    assert all(torch.equal(value, state2[name]) for name, value in state.items())
    assert state["features.1.0.block.0.1.num_batches_tracked"] == 2
    assert memory2 < memory / 4


def test_training_with_recomputed_activations_keeps_the_same_checkpoint(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"epochs": 1, "train": 9}
    plain, summary = train(pretrained_b0(tmp_path, recompute=False), **changes)
    state, own = train(pretrained_b0(tmp_path, recompute=False), checkpoint_activations=True, **changes)
    assert summary == own
    assert list(plain) == list(state)
    assert all(torch.equal(value, state[name]) for name, value in plain.items())


def test_peak_memory_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    train(tiny())
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("peak memory: ")]
    assert 0.05 < float(line.split()[2]) < 500
