"""The sidecar of a checkpoint, for tests that write one or build a detector."""

from typing import Any

from deepfake_detection.frames.normalise import MEAN, STD
from deepfake_detection.network.sidecar import Sidecar

SIZE = 32  # pixels: the least that an EfficientNet takes


def sidecar(**changes: Any) -> Sidecar:
    """That of an EfficientNet-B0 for whole frames of SIZE pixels, not calibrated, some of its values changed."""
    values: dict[str, Any] = {
        "arch": "efficientnet_b0",
        "input_size": [SIZE, SIZE],
        "mean": list(MEAN),
        "std": list(STD),
        "categories": {"real": ["Original"], "fake": ["Deepfakes"]},
        "parameters": 4_008_829,
    }
    return Sidecar.model_validate(values | changes)
