"""EfficientNet-Lite0: B0 for small devices, without squeeze-and-excitation and with ReLU6 in place of SiLU.

Its description and weights are TensorFlow's, https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite.
The layers have torchvision's names, so that everything that works on a torchvision EfficientNet works on this one.
"""

from functools import partial

from torch import Tensor, nn
from torch.nn.functional import pad

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
_LAYERS = {"_expand_conv": "0.0", "_bn0": "0.1", "_depthwise_conv": "1.0", "_bn1": "1.1"}
_LAST_LAYERS = {"_project_conv": "0", "_bn2": "1"}
_OUTSIDE_BLOCKS = {
    "_conv_stem": "features.0.0",
    "_bn0": "features.0.1",
    "_conv_head": f"features.{len(_STAGES) + 1}.0",
    "_bn1": f"features.{len(_STAGES) + 1}.1",
    "_fc": "classifier.1",
}


class SamePadding(nn.Conv2d):
    """A convolution padded as in TensorFlow: ``ceil(size / stride)`` outputs, the odd pixel of padding at the end."""

    def forward(self, input: Tensor) -> Tensor:
        padding: list[int] = []
        for size, kernel, stride in zip(input.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            needed = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            padding += [needed // 2, needed - needed // 2]
        padded: Tensor = self._conv_forward(pad(input, padding), self.weight, self.bias)
        return padded


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
            elif isinstance(layer, nn.Conv2d) and layer.stride != (1, 1):
                setattr(parent, name, _padded_at_end(layer))
    return network


def _without_excitation(*_: object, **__: object) -> nn.Module:
    return nn.Identity()


def _padded_at_end(layer: nn.Conv2d) -> SamePadding:
    """``layer`` with the other padding. With a stride of 1 the two are the same, because the kernels are odd."""
    size, stride = layer.kernel_size, layer.stride
    padded = SamePadding(layer.in_channels, layer.out_channels, size, stride, groups=layer.groups, bias=False)  # type: ignore[arg-type]
    padded.weight = layer.weight
    return padded


def torchvision_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a state_dict of the package efficientnet-lite-pytorch, under the names that they have here.

    Another state_dict is returned as it is.
    """
    if "_conv_stem.weight" not in state or any("._se_" in name for name in state):
        return state
    blocks = [(stage, block) for stage, (*_, count) in enumerate(_STAGES, 1) for block in range(count)]
    named: dict[str, Tensor] = {}
    for name, value in state.items():
        layer, _, rest = name.partition(".")
        if layer == "_blocks":
            number, layer, rest = rest.split(".", 2)
            stage, block = blocks[int(number)]
            expands = _STAGES[stage - 1][0] != 1
            inner = _LAYERS.get(layer) or f"3.{_LAST_LAYERS[layer]}"
            if not expands:  # the first stage has no expanding convolution, so its layers are counted from 0
                place, _, part = inner.partition(".")
                inner = f"{int(place) - 1}.{part}"
            named[f"features.{stage}.{block}.block.{inner}.{rest}"] = value
        else:
            named[f"{_OUTSIDE_BLOCKS[layer]}.{rest}"] = value
    return named
