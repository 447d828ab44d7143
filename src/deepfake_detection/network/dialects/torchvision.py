"""torchvision's own names, which are ours."""

from deepfake_detection.network.dialects.dialect import Dialect
from deepfake_detection.network.variant import OURS

DIALECT = Dialect("torchvision", {"features.0.0": "features.0.0"}, "", {}, {}, lambda _: OURS)
