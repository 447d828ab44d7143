"""Luke Melas-Kyriazi's package efficientnet_pytorch, and efficientnet-lite-pytorch, which was made from it."""

from deepfake_detection.common.lite0 import LITE0
from deepfake_detection.network.dialects.dialect import Dialect
from deepfake_detection.network.variant import OURS, Variant

SIZES = {f"efficientnet_b{n}": size for n, size in enumerate((224, 240, 260, 300, 380, 456, 528, 600))}


def variant(arch: str) -> Variant:
    """Networks of this package pad for the size of their architecture, whatever size they are given."""
    return OURS if arch == LITE0 else Variant(padding="static", padding_size=SIZES[arch], eps=1e-3)


DIALECT = Dialect(
    program="efficientnet_pytorch",
    outside={
        "_conv_stem": "features.0.0",
        "_bn0": "features.0.1",
        "_conv_head": "features.8.0",
        "_bn1": "features.8.1",
        "_fc": "classifier.1",
    },
    block="_blocks.{number}",
    roles={
        "expand": "_expand_conv",
        "expand_norm": "_bn0",
        "depthwise": "_depthwise_conv",
        "depthwise_norm": "_bn1",
        "reduce": "_se_reduce",
        "excite": "_se_expand",
        "project": "_project_conv",
        "project_norm": "_bn2",
    },
    alone={},
    variant=variant,
    attention="attconv",  # the name that icpr2020dfdc gives it, which builds on this package
)
