"""Each step learns from the gradients of all its frames, at the scheduled rate, and ends a run whose loss is lost."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from deepfake_detection.common.errors import UserError
from deepfake_detection.network.model import Network
from deepfake_detection.training.classifier import read_later
from deepfake_detection.training.fit import fit
from deepfake_detection.training.resume import BEST
from tests.unit.training.small import each_step, layers, make_batches, tiny, train

STEPS = 6  # of an epoch of 22 frames in batches of 4; the last has 2 frames


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


def rates(**changes: object) -> list[float]:
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


@pytest.mark.parametrize(("max_steps", "epochs"), [(3, 1), (5, 2), (7, 3), (99, 4)])
def test_a_run_ends_after_its_steps_and_the_schedule_with_it(max_steps: int, epochs: int) -> None:
    seen: list[float] = []
    with each_step(seen, lambda optimizer: optimizer.param_groups[0]["lr"]):
        _, summary = train(tiny(), epochs=4, max_steps=max_steps, schedule="cosine", patience=9)
    steps = min(max_steps, 12)
    assert seen == pytest.approx([1e-3 * (1 + math.cos(math.pi * step / steps)) / 2 for step in range(steps)])
    assert summary["epochs_run"] == epochs
    assert not summary["early_stopped"]


def first_step(**changes: object) -> tuple[Tensor, Tensor]:
    """All weights of ``tiny`` before and after its first step."""
    model = tiny()
    before = torch.cat([parameter.detach().flatten().clone() for parameter in model.parameters()])
    seen: list[Tensor] = []
    look = "params"
    with each_step(seen, lambda optimizer: torch.cat([w.detach().flatten() for w in optimizer.param_groups[0][look]])):
        train(model, **changes)
    return before, seen[0].clone()


def test_adamw_shrinks_the_weights_and_adam_adds_the_decay_to_the_gradient() -> None:
    before, plain = first_step()
    assert torch.equal(first_step(optimizer="adamw")[1], plain)
    _, decayed = first_step(optimizer="adamw", weight_decay=0.5)
    assert torch.allclose(decayed, plain - 1e-3 * 0.5 * before, atol=1e-7)
    assert not torch.allclose(decayed, plain, atol=1e-5)
    # Adam's first step has the length of the rate along each weight, in the direction of gradient plus decay
    _, added = first_step(weight_decay=1e6)
    large = before.abs() > 1e-3
    assert torch.allclose((added - before)[large], -1e-3 * before.sign()[large], atol=1e-6)


class Constant(nn.Module):
    """Gives the same logit for every frame."""

    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(logit))

    def forward(self, frames: Tensor) -> Tensor:
        return self.logit.expand(len(frames), 1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_labels_are_smoothed_in_training_alone(smoothing: float) -> None:
    steps: list[Tensor] = []
    with each_step(steps, gradients):
        _, summary = train(Network(Constant(2.0)), epochs=1, lr=1e-9, label_smoothing=smoothing)
    fake, real = math.log1p(math.exp(-2)), math.log1p(math.exp(2))  # the losses at logit 2
    share = 1 - smoothing / 2
    smoothed = [share * real + (1 - share) * fake, share * fake + (1 - share) * real]
    assert summary["train_loss"] == pytest.approx(sum(smoothed) / 2, abs=1e-6)  # 11 frames of each label
    assert summary["val_loss"] == pytest.approx((3 * real + 2 * fake) / 5, abs=1e-6)
    # the mean of sigmoid(logit) minus target, weighted by the 8, 8 and 6 frames of the steps
    mean = sum(count * float(step) for count, step in zip((8, 8, 6), steps, strict=True)) / 22
    assert mean == pytest.approx(1 / (1 + math.exp(-2)) - 0.5, abs=1e-6)


@pytest.mark.parametrize("changes", [{}, {"accumulate": 2}, {"precision": "bf16-mixed"}])
def test_a_gradient_is_not_longer_than_the_norm_it_is_clipped_to(changes: dict[str, object]) -> None:
    free: list[Tensor] = []
    clipped: list[Tensor] = []
    with each_step(free, gradients):
        train(tiny(), **changes)
    limit = float(min(one.norm() for one in free)) / 2
    with each_step(clipped, gradients):
        train(tiny(), clip_norm=limit, **changes)
    assert len(clipped) == len(free) == 6
    for one in clipped:
        assert float(one.norm()) == pytest.approx(limit, rel=1e-3)
    assert torch.allclose(clipped[0] / limit, free[0] / free[0].norm(), atol=1e-3)
    unclipped: list[Tensor] = []
    with each_step(unclipped, gradients):
        train(tiny(), clip_norm=1e6, **changes)
    for one, other in zip(unclipped, free, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-5)


def test_a_value_read_later_is_that_of_its_own_step() -> None:
    value = torch.tensor(3.0)
    read = read_later(value)
    value.fill_(torch.nan)
    assert read() == 3.0


class Reads(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts how often the value of a tensor is asked for. On a GPU, the host waits for the device each time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_a_step_reads_the_loss_before_it_and_no_other_value() -> None:
    counts: list[int] = []
    with Reads() as reads, each_step(counts, lambda _: reads.count):
        train(tiny(), train=88, epochs=1)
    # of each step: the loss, and what torchmetrics reads on a CPU, once for each of two metrics, to see a probability
    assert [after - before for before, after in pairwise(counts)] == [1 + 2] * 10


class Diverges(nn.Module):
    """Gives what is not a number from its ``last`` call on."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self.layers, self.calls, self.last = layers(), 0, last

    def forward(self, frames: Tensor) -> Tensor:
        self.calls += 1
        logits: Tensor = self.layers(frames)
        return logits * (torch.nan if self.calls >= self.last else 1)


@pytest.mark.parametrize(
    ("call", "when"),
    [
        (2, "in step 1 of epoch 0"),
        (STEPS + 1, "in validation after 6 steps of epoch 0"),
        (STEPS + 2, "in validation after 6 steps of epoch 0"),  # the epoch's last batch
        (STEPS + 5, "in step 8 of epoch 1"),
    ],
)
def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path, call: int, when: str) -> None:
    batches = make_batches(epochs=3, batch_size=4, lr=1e-2)
    with pytest.raises(UserError) as caught:
        fit(Network(Diverges(call)), batches, batches.params, state=tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert f"the loss is nan {when}, at learning rate 0.01, on frame" in message
    assert message.count(".jpg") in (2, 4, 1)
    assert (str(tmp_path / BEST) in message) == (tmp_path / BEST).exists() == ("epoch 1" in when)
