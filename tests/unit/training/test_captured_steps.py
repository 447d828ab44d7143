"""What of captured steps can be shown without a GPU: there the switch changes nothing, and a line says why."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from deepfake_detection.network.cuda_graphs import by_size, capture
from deepfake_detection.training import captured_steps
from deepfake_detection.training.captured_steps import keep_gradients, refusal
from deepfake_detection.training.loader import FrameBatches, Unlabelled
from tests.support.params import train as train_params
from tests.unit.training.small import tiny, train

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="what there is without a CUDA device")
FRAMES = torch.zeros(4, 32, 32, 3, dtype=torch.uint8)


@without_gpu
@pytest.mark.parametrize("changes", [{}, {"accumulate": 2, "clip_norm": 1.0, "ema": 0.9, "batch_size": 4}])
def test_without_a_gpu_the_result_is_the_same_to_the_byte_and_a_line_says_why(
    changes: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    plain, summary = train(tiny(), **changes)
    assert "graph" not in capsys.readouterr().out
    asked, same = train(tiny(), compile="graph", **changes)
    assert capsys.readouterr().out.count("train.compile: graph: not captured: no GPU\n") == 1
    assert same == summary
    assert all(torch.equal(value, asked[name]) for name, value in plain.items())


@without_gpu
def test_a_capture_that_fails_is_said_and_training_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, summary = train(tiny())
    monkeypatch.setattr(captured_steps, "refusal", lambda *_: "")  # torch itself finds no GPU, and says so
    tried, same = train(tiny(), compile="graph")
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("train.compile: graph: ")]
    with pytest.raises(RuntimeError) as failed:
        capture([tiny()], FRAMES)
    assert said == [f"train.compile: graph: not captured: {str(failed.value).splitlines()[0]}"]
    assert same == summary
    assert all(torch.equal(value, tried[name]) for name, value in plain.items())


@pytest.mark.parametrize(
    ("device", "processes", "why"),
    [("cpu", 1, "no GPU"), ("mps", 1, "no GPU"), ("cuda", 2, "several processes train together"), ("cuda:1", 1, "")],
)
def test_one_process_with_a_gpu_captures(device: str, processes: int, why: str) -> None:
    assert refusal(torch.device(device), processes) == why


def test_only_batches_of_the_usual_size_are_replayed() -> None:
    called = by_size(4, lambda _: torch.tensor(1.0), lambda _: torch.tensor(0.0))
    assert [called(FRAMES.new_zeros(size, 32, 32, 3)).item() for size in (4, 3, 4, 8, 1)] == [1, 0, 1, 0, 0]


class Replay(torch.autograd.Function):
    """Has its gradient always in the same place, as a CUDA graph has."""

    place = torch.zeros(4)

    @staticmethod
    def forward(_: Any, weight: Tensor) -> Tensor:
        return weight.detach().sum()

    @staticmethod
    def backward(_: Any, *gradient: Tensor) -> Tensor:
        return Replay.place.copy_(gradient[0].expand(4)).detach()


@pytest.mark.parametrize(("kept", "total"), [(True, 1 + 3), (False, 3 + 3)])
def test_gradients_that_come_in_one_place_add_up_once_they_are_kept(kept: bool, total: float) -> None:
    layer = torch.nn.Linear(4, 1, bias=False)
    layer.weight = torch.nn.Parameter(torch.ones(4))
    if kept:
        keep_gradients(layer)
    for loss in (Replay.apply(layer.weight), 3 * Replay.apply(layer.weight)):
        loss.backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.tolist() == [total] * 4


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({}, 8),  # the last of three has 5
        ({"accumulate": 2}, 4),
        ({"batch_size": 32}, 21),
        ({"pairs": True}, 6),  # in threes, so a step of 8 takes two of them
        ({"unlabelled": "adapt", "adapt": "coral"}, 16),
    ],
    ids=["short", "accumulated", "fewer frames", "pairs", "unlabelled"],
)
def test_the_usual_batch_is_the_commonest_one(changes: dict[str, Any], size: int) -> None:
    pixels = np.zeros((25, 32, 32, 3), np.uint8)
    rows = pd.DataFrame({"label": np.arange(25) % 3 > 0, "split": ["train"] * 21 + ["val"] * 4})
    rows = rows.assign(dataset="one", video_id="a", frame=rows.index // 3)
    params = train_params(**({"batch_size": 8} | changes))
    batches = FrameBatches(pixels, rows, params, 7, None, Unlabelled(pixels, rows.index))
    alone = SimpleNamespace(current_epoch=0, accumulate_grad_batches=params.accumulate, world_size=1, global_rank=0)
    batches.trainer = alone  # type: ignore[assignment]
    assert batches.usual_batch() == size
    sampler = cast(list[list[int]], batches.train_dataloader().batch_sampler)
    assert len(next(iter(sampler))) == size
