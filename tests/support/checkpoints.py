"""A network and a sidecar for tests that write a checkpoint or build a detector."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from deepfake_detection.common.files import write_json
from deepfake_detection.network.model import Network, build_model
from deepfake_detection.network.normalise import MEAN, STD
from deepfake_detection.network.sidecar import Sidecar
from deepfake_detection.network.weights import save_weights

SIZE = 32  # pixels, the smallest input of an EfficientNet


def sidecar(**changes: Any) -> Sidecar:
    """The sidecar of an uncalibrated EfficientNet-B0 for whole frames of SIZE pixels. ``changes`` replaces values."""
    values: dict[str, Any] = {
        "arch": "efficientnet_b0",
        "input_size": [SIZE, SIZE],
        "mean": list(MEAN),
        "std": list(STD),
        "categories": {"real": ["Original"], "fake": ["Deepfakes"]},
        "parameters": 4_008_829,
    }
    return Sidecar.model_validate(values | changes)


def network_with_statistics(dropout: float) -> Network:
    """A B0 whose batch norms do something, as after training, and whose logits differ from frame to frame."""
    torch.manual_seed(0)
    network = build_model("efficientnet_b0", dropout=dropout)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            module.momentum = 1.0  # one batch sets the running statistics
    with torch.no_grad():
        network.efficientnet(torch.randn(32, 3, SIZE, SIZE) + torch.randn(32, 3, 1, 1))
    return network


def save_checkpoint(path: Path, network: Network, described: Sidecar) -> None:
    """Writes a checkpoint and its sidecar, as the stages train and calibrate do."""
    save_weights(path, network.efficientnet, network.variant)
    write_json(path.with_suffix(".json"), described.model_dump())
