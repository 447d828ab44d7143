"""Layers that networks of others have in place of torchvision's, and where they go."""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, logsigmoid, pad, relu

from deepfake_detection.common.errors import UserError
from deepfake_detection.network.variant import Variant
from deepfake_detection.network.vision import EfficientNet


class SamePadding(nn.Conv2d):
    """A convolution padded as in TensorFlow: ``ceil(size / stride)`` outputs, the odd pixel of padding at the end.

    With ``padded_for`` it pads for inputs of that many pixels a side, whatever size comes.
    """

    padded_for: int | None = None

    def forward(self, input: Tensor) -> Tensor:
        padding: list[int] = []
        for comes, kernel, stride in zip(input.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            size = self.padded_for or comes
            needed = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            padding += [needed // 2, needed - needed // 2]
        padded: Tensor = self._conv_forward(pad(input, padding), self.weight, self.bias)
        return padded


class Attention(nn.Module):
    """Multiplies features by a map of attention, which it computes from them: one value from 0 to 1 a place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = nn.Conv2d(channels, 1, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        attended: Tensor = features * torch.sigmoid(self.attention(features))
        return attended


class Members(nn.Module):
    """Networks of one logit each that judge together: the logit of the mean of their probabilities."""

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, frames: Tensor) -> Tensor:
        logits = torch.stack([member(frames) for member in self.members])
        together: Tensor = logsigmoid(logits).logsumexp(0) - logsigmoid(-logits).logsumexp(0)
        return together


class WhereHead(nn.Module):
    """Says where a frame looks changed, from the features of two stages whose places are 8 and 16 pixels wide.

    Both are reduced to WIDTH channels and added at the places of the finer one. A convolution of 3 x 3 makes one logit
    a place of that. It begins with the share of changed places as its bias, as Lin et al. 2017, "Focal Loss for Dense
    Object Detection", do, because a new bias learns slowly at the rate of a network that is trained already.
    """

    STAGES = (3, 5)  # of every EfficientNet, counted with the stem
    WIDTH = 32
    START = -3.0  # the logit of 5%

    def __init__(self, network: EfficientNet) -> None:
        super().__init__()
        fine, coarse = (_channels(network.features[stage]) for stage in self.STAGES)
        self.fine, self.coarse = (nn.Conv2d(channels, self.WIDTH, kernel_size=1) for channels in (fine, coarse))
        self.place = nn.Conv2d(self.WIDTH, 1, kernel_size=3, padding=1)
        nn.init.constant_(cast(Tensor, self.place.bias), self.START)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Logits of shape (batch, rows, columns), for the features of both stages."""
        near: Tensor = self.fine(fine)
        wide = interpolate(self.coarse(coarse), near.shape[2:], mode="bilinear", align_corners=False)
        places: Tensor = self.place(relu(near + wide))
        return places.squeeze(1).float()


def _channels(stage: nn.Module) -> int:
    """How many channels come out of a stage."""
    return [layer for layer in stage.modules() if isinstance(layer, nn.BatchNorm2d)][-1].num_features


def pad_same(network: nn.Module, size: int | None = None) -> None:
    """Pads the convolutions of stride 2 as TensorFlow does: for ``size``, or else for what comes.

    With a stride of 1 the padding of TensorFlow is torchvision's, because the kernels are odd.
    """
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Conv2d) and layer.stride != (1, 1):
                padded = SamePadding(
                    layer.in_channels,
                    layer.out_channels,
                    layer.kernel_size,  # type: ignore[arg-type]
                    layer.stride,  # type: ignore[arg-type]
                    groups=layer.groups,
                    bias=False,
                )
                padded.weight = layer.weight
                padded.padded_for = size
                size = size and -(-size // layer.stride[0])
                setattr(parent, name, padded)


def vary(network: EfficientNet, variant: Variant) -> None:
    """Makes a network of torchvision's the ``variant``. Raises UserError where it has no such place for attention."""
    stem = cast(nn.Sequential, network.features[0])
    unpadded = stem[0]
    if variant.padding != "symmetric":
        pad_same(network, variant.padding_size if variant.padding == "static" else None)
    if variant.stem == "unpadded":
        cast(nn.Conv2d, unpadded).padding = (0, 0)
        stem[0] = unpadded
    if variant.eps:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = variant.eps
    if variant.localise:
        network.where = WhereHead(network)
    if variant.attention is not None:
        stages = [cast(nn.Sequential, stage) for stage in network.features[1:-1]]
        behind = 0
        for stage in stages:
            behind += len(stage)
            if behind == variant.attention + 1:
                stage.append(Attention(_channels(stage)))
                return
        raise UserError(f"no stage of this architecture ends with block {variant.attention}, where attention should be")
