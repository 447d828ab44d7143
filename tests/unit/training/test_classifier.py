"""Each step learns from the gradients of all its frames, at the scheduled rate, and ends a run whose loss is lost."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from deepfake_detection.common.errors import UserError
from deepfake_detection.network.model import Network
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
