"""Ross Wightman's package timm: its networks with weights of TensorFlow, tf_efficientnet_b0 to b7.

Its efficientnet_b0 to b7 without tf_ have the same names, but are padded as torchvision's are. Nothing in a file tells
which of the two it is of.
"""

from deepfake_detection.network.dialects.dialect import Dialect
from deepfake_detection.network.variant import Variant

DIALECT = Dialect(
    program="timm",
    outside={
        "conv_stem": "features.0.0",
        "bn1": "features.0.1",
        "conv_head": "features.8.0",
        "bn2": "features.8.1",
        "classifier": "classifier.1",
    },
    block="blocks.{stage}.{index}",
    roles={
        "expand": "conv_pw",
        "expand_norm": "bn1",
        "depthwise": "conv_dw",
        "depthwise_norm": "bn2",
        "reduce": "se.conv_reduce",
        "excite": "se.conv_expand",
        "project": "conv_pwl",
        "project_norm": "bn3",
    },
    alone={"depthwise_norm": "bn1", "project": "conv_pw", "project_norm": "bn2"},
    variant=lambda _: Variant(padding="same", eps=1e-3),
)
