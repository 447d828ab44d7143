"""The losses on features, and the batches that they need."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from deepfake_detection.common.errors import UserError
from deepfake_detection.network.model import build_model
from deepfake_detection.training.feature_losses import (
    Discriminator,
    alignment,
    coral,
    covariance,
    uniformity,
)
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


def test_alignment_and_uniformity_are_those_of_the_paper_on_the_unit_sphere() -> None:
    features, labels = torch.randn(7, 5) * torch.arange(1, 8)[:, None], torch.tensor([0, 1, 0, 2, 1, 0, 3])
    points = features.numpy() / np.linalg.norm(features.numpy(), axis=1, keepdims=True)
    apart = {(i, j): float(np.square(points[i] - points[j]).sum()) for i in range(7) for j in range(i)}
    alike = [value for (i, j), value in apart.items() if labels[i] == labels[j]]
    assert len(alike) == 4
    assert alignment(features, labels).item() == pytest.approx(np.mean(alike), rel=1e-5)
    expected = np.log(np.mean(np.exp(-2 * np.array(list(apart.values())))))
    assert uniformity(features).item() == pytest.approx(expected, rel=1e-5)
    assert alignment(features[:2], labels[:2]).item() == 0, "no two of one class"
    assert uniformity(features[:1]).item() == 0, "not NaN: a process may get a single frame"
    same = torch.ones(3, 5)
    assert alignment(same, torch.zeros(3)).item() == pytest.approx(0, abs=1e-6)
    assert uniformity(same).item() == pytest.approx(0, abs=1e-6)


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


@pytest.mark.parametrize(("loss", "measured"), [("align", "within"), ("uniform", "all")])
def test_training_draws_the_features_of_a_class_together_or_spreads_all(loss: str, measured: str) -> None:
    """Against the same run without the loss, on the frames that were trained on."""

    def spread(**changes: Any) -> float:
        torch.manual_seed(0)
        network = build_model("efficientnet_lite0", 0.0)
        batches = make_batches(22, lr=1e-3, epochs=1, **changes)
        trained = fit(network, batches, batches.params)
        assert trained
        network.load_state_dict(trained[0])
        labels = torch.arange(22) % 2
        with torch.no_grad():
            features = network.train().features(torch.from_numpy(np.stack([batches.pixels[row] for row in range(22)])))
        return alignment(features, labels).item() if measured == "within" else -uniformity(features).item()

    plain, moved = spread(), spread(**{loss: 20.0})
    assert moved < plain if loss == "align" else moved > plain


def test_without_frames_to_learn_from_a_line_says_so() -> None:
    with pytest.raises(UserError, match=r"^train\.unlabelled: there are no frames without labels: name a data set"):
        batches_of(0)
