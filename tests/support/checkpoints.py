"""A sidecar for tests that write a checkpoint or build a detector."""

from pathlib import Path
from typing import Any

from deepfake_detection.common.files import write_json
from deepfake_detection.frames.normalise import MEAN, STD
from deepfake_detection.network.model import Network
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


def save_checkpoint(path: Path, network: Network, described: Sidecar) -> None:
    """Writes a checkpoint and its sidecar, as the stages train and calibrate do."""
    save_weights(path, network.efficientnet)
    write_json(path.with_suffix(".json"), described.model_dump())
