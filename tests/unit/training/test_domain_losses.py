"""The losses that make features alike, and the batches that they need."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from deepfake_detection.common.errors import UserError
from deepfake_detection.network.model import build_model
from deepfake_detection.training.domain_losses import Discriminator, coral, covariance
from deepfake_detection.training.fit import fit
from deepfake_detection.training.loader import FrameBatches, Unlabelled
from tests.unit.training.small import make_batches


def unlabelled(frames: int = 9) -> Unlabelled:
    pixels = np.random.default_rng(1).integers(100, 255, (frames, 32, 32, 3), dtype=np.uint8)
    return Unlabelled(pixels, pd.RangeIndex(frames))


def batches_of(frames: int = 9, **changes: Any) -> FrameBatches:
    wanted: dict[str, Any] = {"epochs": 1, "unlabelled": "adapt", "adapt": "coral"}
    return make_batches(22, unlabelled(frames), **(wanted | changes))


def test_the_covariance_is_numpys_and_coral_is_its_distance() -> None:
    source, target = torch.randn(20, 5), torch.randn(30, 5) * 3 + 1
    assert torch.allclose(covariance(source), torch.from_numpy(np.cov(source.numpy().T)).float(), atol=1e-5)
    expected = np.square(np.cov(source.numpy().T) - np.cov(target.numpy().T)).sum() / 100
    assert coral(source, target).item() == pytest.approx(expected, rel=1e-4)
    assert coral(source, source + 7).item() == pytest.approx(0, abs=1e-6)  # a shift is no other covariance


def test_the_discriminator_learns_what_the_backbone_is_pushed_away_from() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(4)
    source, target = torch.zeros(6, 4), torch.ones(6, 4).requires_grad_()
    loss = discriminator(source, target, 1.0)
    loss.backward()
    assert target.grad is not None
    gradient = target.grad.clone()
    first = discriminator.layers[0]
    assert isinstance(first, torch.nn.Linear)
    assert first.weight.grad is not None
    with torch.no_grad():  # along the discriminator's own gradient the loss falls, along the backbone's it rises
        target += 0.1 * -gradient
        assert discriminator(source, target, 1.0) > loss
        target -= 0.1 * -gradient
        first.weight -= 0.1 * first.weight.grad
        assert discriminator(source, target, 1.0) < loss
    target.grad = None
    discriminator(source, target, 0.0).backward()
    assert not target.grad.any()  # type: ignore[attr-defined]  # at the start nothing is passed on


def test_each_batch_ends_in_as_many_frames_without_labels() -> None:
    class Alone:
        current_epoch, accumulate_grad_batches, world_size, global_rank = 3, 1, 1, 0

    batches = batches_of()
    batches.trainer = Alone()  # type: ignore[assignment]
    found = list(batches.train_dataloader())
    assert [len(labels) for _, labels in found] == [16, 16, 12]
    taken = 0
    for _, labels in found:
        half = len(labels) // 2
        assert (labels[:half] >= 0).all()
        assert (labels[half:] == -1).all()
        taken += half
    assert taken == 22
    order = [place - 22 for batch in batches._with_unlabelled(22, 9, 3) for place in batch[len(batch) // 2 :]]
    assert sorted(order[:9]) == sorted(order[9:18]) == list(range(9)), "each is taken once before one is taken again"
    assert order != [place - 22 for batch in batches._with_unlabelled(22, 9, 4) for place in batch[len(batch) // 2 :]]
    shares = []
    for rank in (0, 1):
        batches.trainer.world_size, batches.trainer.global_rank = 2, rank  # type: ignore[misc, union-attr]
        shares.append([place for batch in batches._with_unlabelled(22, 100, 3) for place in batch if place >= 22])
    assert not set(shares[0]) & set(shares[1])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["coral", "dann"])
def test_training_with_adaptation_repeats_and_differs_by_its_weight(method: str) -> None:
    def trained(**changes: Any) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        network = build_model("efficientnet_b0", 0.0)
        batches = batches_of(**changes)
        found = fit(network, batches, batches.params)
        assert found
        return found[0]

    first, again = (trained(adapt=method) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    alone = build_model("efficientnet_b0", 0.0).state_dict()
    assert first.keys() == alone.keys(), "the discriminator is no part of the network"
    heavier = trained(adapt=method, adapt_weight=50.0)
    assert not all(torch.equal(first[name], heavier[name]) for name in first)


def test_without_frames_to_learn_from_a_line_says_so() -> None:
    with pytest.raises(UserError, match=r"^train\.unlabelled: there are no frames without labels: name a data set"):
        batches_of(0)
