"""Batch-norm statistics of other frames: those of a pass over them, and nothing else of the network changes."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from deepfake_detection.common.errors import UserError
from deepfake_detection.inference.adabn import with_statistics_of
from tests.support.checkpoints import SIZE, network_with_statistics


def batches(count: int = 3, low: int = 0) -> list[Tensor]:
    rng = np.random.default_rng(0)
    return [torch.from_numpy(rng.integers(low, 255, (8, SIZE, SIZE, 3), dtype=np.uint8)) for _ in range(count)]


def test_statistics_are_the_means_over_batches_and_weights_stay() -> None:
    network = network_with_statistics(dropout=0.5).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    adapted = with_statistics_of(network, batches(low=120))
    after = adapted.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items()), (
        "the first is as it was"
    )
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.endswith(("running_mean", "running_var", "num_batches_tracked"))}
    stem = network.efficientnet.features[0][0]  # type: ignore[index]
    with torch.no_grad():
        seen = [stem(network.normalise(batch)) for batch in batches(low=120)]  # type: ignore[operator]
    norm = adapted.efficientnet.features[0][1]  # type: ignore[index]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert torch.allclose(norm.running_mean, torch.stack([each.mean((0, 2, 3)) for each in seen]).mean(0), atol=1e-5)
    assert not any(module.training for module in adapted.modules())
    assert {module.momentum for module in adapted.modules() if isinstance(module, nn.BatchNorm2d)} == {1.0}


def test_without_frames_a_line_says_so() -> None:
    with pytest.raises(UserError, match="there is no frame"):
        with_statistics_of(network_with_statistics(dropout=0.0), [])
