"""On a GPU, a training step does not wait for the device, and a lost loss still ends the run."""

from collections.abc import Iterator

import pytest
import torch

from deepfake_detection.common.errors import UserError
from deepfake_detection.network.model import Network, build_model
from deepfake_detection.training.classifier import read_later
from deepfake_detection.training.fit import fit
from tests.unit.training.small import each_step, make_batches, tiny, train
from tests.unit.training.test_classifier import Diverges

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
WARM_UP, STEPS = 3, 10


@pytest.fixture(autouse=True)
def sync_debug_mode() -> Iterator[None]:
    yield
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"precision": "bf16-mixed"},
        {"precision": "16-mixed"},
        {"optimizer": "adamw", "weight_decay": 0.01, "label_smoothing": 0.1, "clip_norm": 1.0, "schedule": "cosine"},
        {"accumulate": 2},
        {"num_workers": 2},
    ],
)
def test_ten_steps_do_not_wait_for_the_device(changes: dict[str, object]) -> None:
    counted: list[int] = []

    def watch(_: object) -> int:
        if len(counted) == WARM_UP:  # what is allocated and compiled on first use may wait
            torch.cuda.set_sync_debug_mode("error")
        elif len(counted) == WARM_UP + STEPS:
            torch.cuda.set_sync_debug_mode("default")
        return len(counted)

    with each_step(counted, watch):
        train(build_model("efficientnet_b0", dropout=0.2), train=8 * (WARM_UP + STEPS + 2), epochs=1, **changes)
    assert len(counted) == WARM_UP + STEPS + 2


def test_a_value_is_read_when_it_has_arrived() -> None:
    matrix = torch.randn(4096, 4096, device="cuda")
    torch.cuda.set_sync_debug_mode("error")
    value = matrix
    for _ in range(20):
        value = (value @ matrix).tanh()
    read = read_later(value.abs().sum())
    after = value * torch.nan  # what comes later does not count
    found = read()
    torch.cuda.set_sync_debug_mode("default")
    assert found == pytest.approx(float(value.abs().sum()))
    assert after.isnan().all()


@pytest.mark.parametrize(("call", "when"), [(2, "in step 1 of epoch 0"), (7, "in validation after 6 steps of epoch 0")])
def test_a_loss_that_is_not_finite_ends_the_run(call: int, when: str) -> None:
    batches = make_batches(batch_size=4, lr=1e-2)
    with pytest.raises(UserError, match=f"the loss is nan {when}, at learning rate 0.01, on frame"):
        fit(Network(Diverges(call)), batches, batches.params)


def test_training_on_a_gpu_repeats() -> None:
    (first, summary), (again, other) = train(tiny()), train(tiny())
    assert summary == other
    assert all(torch.equal(value, again[name]) for name, value in first.items())
