"""EfficientNet-Lite0: B0 for small devices, without squeeze-and-excitation and with ReLU6 in place of SiLU.

Its description and weights are TensorFlow's, https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite.
The layers have torchvision's names, so that everything that works on a torchvision EfficientNet works on this one.
"""

from functools import partial

from torch import nn

from deepfake_detection.network.layers import pad_same
from deepfake_detection.network.vision import EfficientNet, MBConv, MBConvConfig

# expansion, kernel size, stride, channels in and out, and number of blocks of each stage, as in B0
_STAGES = (
    (1, 3, 1, 32, 16, 1),
    (6, 3, 2, 16, 24, 2),
    (6, 5, 2, 24, 40, 2),
    (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3),
    (6, 5, 2, 112, 192, 4),
    (6, 3, 1, 192, 320, 1),
)


def efficientnet_lite0(dropout: float, stochastic_depth_prob: float = 0.2) -> EfficientNet:
    """Returns the network with 1,000 classes and random weights."""
    block = partial(MBConv, se_layer=_without_excitation)
    stages = [MBConvConfig(*stage, width_mult=1.0, depth_mult=1.0, block=block) for stage in _STAGES]
    norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
    network = EfficientNet(stages, dropout, stochastic_depth_prob, norm_layer=norm, last_channel=1280)
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.SiLU):
                setattr(parent, name, nn.ReLU6(inplace=True))
    pad_same(network)
    return network


def _without_excitation(*_: object, **__: object) -> nn.Module:
    return nn.Identity()
