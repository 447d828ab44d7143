"""Recomputed activations change nothing but memory; the search for a batch size leaves no trace."""

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from deepfake_detection.network.model import Network, build_model
from deepfake_detection.training.classifier import FrameClassifier
from deepfake_detection.training.memory import find_batch_size, recompute_activations
from tests.unit.training.small import layers, make_batches, tiny, train


class Hungry(nn.Module):
    """Wants more memory than there is for more than 8 frames."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = layers()

    def forward(self, frames: Tensor) -> Tensor:
        torch.empty(2**60 if len(frames) > 8 else 1, dtype=torch.uint8)
        return cast(Tensor, self.layers(frames))


def test_batch_size_is_the_largest_power_that_fits_and_the_search_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model, batches = Network(Hungry()), make_batches()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.random.get_rng_state()
    classifier = FrameClassifier(model, batches.params, seed=7)
    assert find_batch_size(classifier, batches, "micro_batch_size", logger=False, num_sanity_val_steps=0) == 8
    assert before
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(random, torch.random.get_rng_state())
    assert batches.micro_batch_size == 8
    assert classifier.history == []
    assert list(tmp_path.iterdir()) == []


def test_batch_size_is_bounded_by_the_frames() -> None:
    batches = make_batches(6)
    classifier = FrameClassifier(tiny(), batches.params, seed=7)
    assert find_batch_size(classifier, batches, "micro_batch_size", logger=False, num_sanity_val_steps=0) == 8


def pretrained_b0(folder: Path, recompute: bool) -> Network:
    """B0 with dropout and, as when fine-tuning, stochastic depth."""
    torch.manual_seed(1)
    torch.save(build_model("efficientnet_b0", 0.2).efficientnet.state_dict(), folder / "b0.pth")
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
        model = pretrained_b0(tmp_path, recompute).efficientnet
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


@pytest.mark.slow
def test_training_with_recomputed_activations_keeps_the_same_checkpoint(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"epochs": 1, "train": 9}
    plain, summary = train(pretrained_b0(tmp_path, recompute=False), **changes)
    state, own = train(pretrained_b0(tmp_path, recompute=False), checkpoint_activations=True, **changes)
    assert summary == own
    assert list(plain) == list(state)
    assert all(torch.equal(value, state[name]) for name, value in plain.items())
