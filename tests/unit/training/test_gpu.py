"""On a GPU, a training step does not wait for the device, and one that is captured computes the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import seed_everything
from torch import Tensor, nn

from deepfake_detection.common.errors import UserError
from deepfake_detection.network.model import Network, build_model
from deepfake_detection.training.classifier import read_later
from deepfake_detection.training.distillation import as_teacher
from deepfake_detection.training.fit import fit
from tests.unit.training.small import each_step, layers, make_batches, tiny, train
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
        {"compile": "graph", "precision": "bf16-mixed"},
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


CAPTURED = "train.compile: graph: steps of {} frames are captured"


def without_dropout(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return build_model("efficientnet_b0", dropout=0.0)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"precision": "bf16-mixed"},
        {"precision": "16-mixed"},
        {"optimizer": "adamw", "clip_norm": 0.1, "ema": 0.9, "precision": "bf16-mixed"},
        {"accumulate": 2},
        {"num_workers": 2, "deterministic": False},
    ],
)
def test_captured_steps_learn_what_others_do(changes: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Two epochs of three steps, of which the last is short and not captured."""
    plain, captured = (train(without_dropout(), compile=how, **changes) for how in ("none", "graph"))
    size = 4 if "accumulate" in changes else 8
    assert capsys.readouterr().out.count(CAPTURED.format(size)) == 1
    for name in ("train_loss", "val_loss"):
        assert captured[1][name] == pytest.approx(plain[1][name], rel=0.01)
    for name, value in plain[0].items():
        # Adam takes six steps of up to 1e-3, in either direction where a gradient is hardly more than its rounding
        assert torch.allclose(value.float(), captured[0][name].float(), rtol=0.05, atol=0.012), name


def test_a_student_of_a_captured_teacher_learns_what_others_do(capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for how in ("none", "graph"):
        teacher = as_teacher(without_dropout(seed=1), 48)  # the frames have 32
        batches = make_batches(compile=how, teacher_weight=1.0)
        trained = fit(without_dropout(), batches, batches.params, teacher=teacher)
        assert trained
        found.append(trained[1])
    assert CAPTURED.format(8) in capsys.readouterr().out
    assert found[1]["train_loss"] == pytest.approx(found[0]["train_loss"], rel=0.01)


@pytest.mark.parametrize(("how", "size"), [("none", 40), ("graph", 32)])
def test_an_automatic_size_leaves_memory_for_a_short_batch_beside_the_graphs(how: str, size: int) -> None:
    _, summary = train(tiny(), train=40, batch_size="auto", compile=how)  # all fit; the search tries powers of two
    assert summary["batch_size"] == size


class Dropping(nn.Module):
    """Drops half of the features. With ``looks`` it also reads a value from the device, which cannot be captured."""

    def __init__(self, looks: bool = False) -> None:
        super().__init__()
        self.layers, self.dropout, self.looks = layers(), nn.Dropout(), looks

    def forward(self, frames: Tensor) -> Tensor:
        found: Tensor = self.layers(self.dropout(frames))
        return found if not self.looks or found.sum().item() > -1e9 else -found


@pytest.mark.parametrize(
    ("looks", "said"), [(False, CAPTURED.format(8)), (True, "train.compile: graph: not captured: ")]
)
def test_dropout_draws_what_it_draws_in_other_steps_also_after_a_capture_that_failed(
    looks: bool, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, first, again = (train(Network(Dropping(looks)), compile=how) for how in ("none", "graph", "graph"))
    assert capsys.readouterr().out.count(said) == 2
    assert first[1] == again[1]
    assert all(torch.equal(value, again[0][name]) for name, value in first[0].items())
    assert first[1]["train_loss"] == pytest.approx(plain[1]["train_loss"], rel=1e-3)


def test_a_captured_run_that_was_stopped_ends_as_if_nothing_had_been(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"compile": "graph", "epochs": 4}
    whole, summary = train(Network(Dropping()), **changes)
    epochs: list[dict[str, float]] = []

    def stop(epoch: dict[str, float]) -> None:
        epochs.append(epoch)
        if len(epochs) == 3:
            raise KeyError("stopped")

    seed_everything(7, workers=True, verbose=False)
    batches = make_batches(**changes)
    with pytest.raises(KeyError, match="stopped"):
        fit(Network(Dropping()), batches, batches.params, stop, tmp_path)
    epochs.clear()
    batches = make_batches(**changes)
    resumed = fit(Network(Dropping()), batches, batches.params, epochs.append, tmp_path)
    assert resumed
    assert len(epochs) == 4
    assert resumed[1] == summary
    assert all(torch.equal(value, resumed[0][name]) for name, value in whole.items())
