"""A sidecar for tests that write a checkpoint or build a detector."""

from typing import Any

from deepfake_detection.frames.normalise import MEAN, STD
from deepfake_detection.network.sidecar import Sidecar

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
