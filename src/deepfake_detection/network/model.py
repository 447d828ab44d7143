"""EfficientNet with one logit: the score of a frame before the sigmoid, positive for a deepfake.

Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks".
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.lite0 import LITE0
from deepfake_detection.network.cpu_convolutions import hasten
from deepfake_detection.network.layers import Members, WhereHead, vary
from deepfake_detection.network.lite import efficientnet_lite0
from deepfake_detection.network.normalise import LITE_MEAN, LITE_STD, MEAN, STD, Normalise
from deepfake_detection.network.onnx_door import ONNX, OnnxNetwork, read_onnx
from deepfake_detection.network.variant import OURS, Variant
from deepfake_detection.network.vision import EfficientNet, MBConv, get_model
from deepfake_detection.network.weights import load_weights, read_weights, without_where


class _Unset(TorchFunctionMode):
    """Layers that are built inside keep the memory of their weights as it comes, because a file overwrites all of it.

    To draw 64 million random weights takes B7 a second. The device meta, on which torch has no weights to draw, takes
    longer than that, because it loads torch's compiler. The weights lie in channels_last from the start.
    """

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__name__", "") in ("normal_", "uniform_", "kaiming_uniform_"):
            return args[0] if args else kwargs["tensor"]
        if function is torch.empty and isinstance(args[0], tuple) and len(args[0]) == 4:
            kwargs = kwargs | {"memory_format": torch.channels_last}
        return function(*args, **kwargs)


class Network(nn.Module):
    """A torchvision EfficientNet whose head is ``nn.Linear(features, 1)``, preceded by normalisation.

    Its input is frames as stored, uint8 RGB of shape (batch, height, width, 3). Its output is logits, float32 of
    shape (batch,), or (batch, 2) after ``add_level``. A checkpoint holds the state_dict of ``efficientnet``, and what
    ``variant`` it is.
    In place of an EfficientNet there may be an OnnxNetwork, which gives logits, and has no features and no gradients.
    """

    def __init__(self, efficientnet: nn.Module, normalise: Normalise | None = None, variant: Variant = OURS) -> None:
        super().__init__()
        self.normalise, self.efficientnet, self.variant = normalise or Normalise(), efficientnet, variant

    def forward(self, frames: Tensor) -> Tensor:
        logits: Tensor = self.efficientnet(self.normalise(frames)).squeeze(1).float()
        return logits

    def features(self, frames: Tensor) -> Tensor:
        """What the head computes the logits from, of shape (batch, features): the last layer, averaged over places."""
        network = cast(EfficientNet, self.efficientnet)
        features: Tensor = network.avgpool(network.features(self.normalise(frames))).flatten(1)
        return features

    def logits(self, features: Tensor) -> Tensor:
        """The logits of ``features``, as ``forward`` gives them."""
        logits: Tensor = cast(EfficientNet, self.efficientnet).classifier(features).squeeze(1).float()
        return logits

    def located(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """The logits, as ``forward`` gives them, and where the frames look changed, for a network with ``add_where``.

        That is one logit a place, float32 of shape (batch, rows, columns), where a place is 8 pixels wide.
        """
        features, places = self.features_and_places(frames)
        return self.logits(features), cast(Tensor, places)

    def features_and_places(self, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        """What ``features`` and ``located`` give, in one pass; no places for a network without ``add_where``."""
        network = cast(EfficientNet, self.efficientnet)
        features, levels = self.normalise(frames), []
        for number, stage in enumerate(network.features):
            features = stage(features)
            if number in WhereHead.STAGES:
                levels.append(features)
        places = cast(WhereHead, network.where)(*levels) if self.variant.localise else None
        return network.avgpool(features).flatten(1), places

    @property
    def is_onnx(self) -> bool:
        """Whether onnxruntime computes it from an ONNX file, without layers of torch."""
        return isinstance(self.efficientnet, OnnxNetwork)

    def require_layers(self, what: str) -> None:
        """Raises UserError if ``what`` cannot be done because the network is an ONNX file."""
        if self.is_onnx:
            raise UserError(f"{what}: needs the layers of a network in torch, and an ONNX file has none")

    @property
    def width(self) -> int:
        """The number of features."""
        return cast(nn.Linear, cast(nn.Sequential, self.efficientnet.classifier)[-1]).in_features


def build_model(arch: str, dropout: float, weights: Path | None = None, trained: bool = False) -> Network:
    """Builds a network of ``arch``, efficientnet_b0 to b7 or efficientnet_lite0, that starts from ``weights``.

    Or of ``onnx``, if the ``weights`` are an ONNX file with its card, and ``trained``.

    ``weights`` is a state_dict of the same architecture, and the network is of their variant. If it has not one logit
    but 1000 classes, say, only its backbone is loaded, unless it must be ``trained``. Without ``weights``, and with
    those of a backbone that was itself pretrained from scratch, the network is set up for a short run from scratch.
    Raises UserError when the file does not fit the architecture.
    """
    if arch == ONNX:
        if weights is None or not trained:
            raise UserError("model.arch: onnx: an ONNX file is judged with as it is, and cannot be trained")
        inner = read_onnx(weights)
        return Network(inner, Normalise(*inner.card.levels))
    file = read_weights(weights) if weights else None
    if file and not trained:
        file = without_where(file)
    variant = file.variant_of(arch) if file else OURS
    scratch = file is None or (not trained and file.scratch)
    if file and variant.members > 1 and not trained:
        raise UserError(f"{weights}: {variant.members} networks that judge together; training starts from a single one")
    with _Unset() if trained else nullcontext():
        efficientnet = efficientnet_of(arch, variant, dropout, **({"stochastic_depth_prob": 0.0} if scratch else {}))
    if scratch:
        _initialise_from_scratch(efficientnet)
    if file:
        load_weights(efficientnet, file, trained)
    normalise = Normalise(*mean_and_std(arch, variant))
    return Network(efficientnet, normalise, variant).to(memory_format=torch.channels_last)


def efficientnet_of(arch: str, variant: Variant, dropout: float = 0.0, **options: float) -> nn.Module:
    """The layers of a network with new weights and one logit, for normalised frames of shape (batch, 3, height, width).

    ``options`` are torchvision's. Raises UserError when the variant does not fit the architecture.
    """
    members = [_member(arch, variant, dropout, **options) for _ in range(variant.members)]
    return Members(members) if len(members) > 1 else members[0]


def _member(arch: str, variant: Variant, dropout: float, **options: float) -> EfficientNet:
    if arch == LITE0:
        efficientnet = efficientnet_lite0(dropout, **options)
    else:
        efficientnet = cast(EfficientNet, get_model(arch, weights=None, dropout=dropout, **options))
    # a new layer, because with num_classes=1 torchvision would draw the head from U(-1, 1)
    head = efficientnet.classifier
    head[-1] = nn.Linear(cast(nn.Linear, head[-1]).in_features, 1)
    vary(efficientnet, variant)
    hasten(efficientnet)
    return efficientnet


def add_level(network: Network) -> None:
    """Gives the network a second logit, which ``drop_level`` takes away again."""
    head = cast(nn.Sequential, cast(EfficientNet, network.efficientnet).classifier)
    head[-1] = nn.Linear(cast(nn.Linear, head[-1]).in_features, 2)


def drop_level(network: Network) -> None:
    """Leaves the first of two logits."""
    head = cast(nn.Sequential, cast(EfficientNet, network.efficientnet).classifier)
    two = cast(nn.Linear, head[-1])
    head[-1] = nn.Linear(two.in_features, 1)
    head[-1].load_state_dict({name: value[:1].clone() for name, value in two.state_dict().items()})


def add_where(network: Network) -> None:
    """Gives the network a new WhereHead, for ``located``."""
    network.variant = network.variant.model_copy(update={"localise": True})
    network.efficientnet.where = WhereHead(cast(EfficientNet, network.efficientnet))


def mean_and_std(arch: str, variant: Variant = OURS) -> tuple[Sequence[float], Sequence[float]]:
    """What the network's input is normalised with: of red, green and blue, as shares of the full range."""
    mean, std = (LITE_MEAN, LITE_STD) if arch == LITE0 else (MEAN, STD)
    return variant.mean or mean, variant.std or std


def described(network: Network, arch: str) -> dict[str, Any]:
    """What the sidecar of a checkpoint says of its network: ``arch`` to ``parameters``, and its variant."""
    inner = network.efficientnet
    if isinstance(inner, OnnxNetwork):
        mean, std = map(list, inner.card.levels)
        return {"arch": ONNX, "mean": mean, "std": std, "parameters": inner.numbers}
    mean, std = map(list, mean_and_std(arch, network.variant))
    count = sum(parameter.numel() for parameter in network.parameters())
    return {"arch": arch, "mean": mean, "std": std, "parameters": count, "network": network.variant}


def _initialise_from_scratch(efficientnet: nn.Module) -> None:
    """Makes B5 to B7 learn within minutes when no pretrained weights are given.

    Every residual block starts as the identity (Goyal et al. 2017, "Accurate, Large Minibatch SGD", section 5.1).
    Batch norm updates its running statistics with a momentum of 0.1. Torchvision's 0.01 suits fine-tuning, but in a
    short run from scratch evaluation would stay at chance level.
    """
    for module in efficientnet.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
        if isinstance(module, MBConv) and module.use_res_connect:
            last_norm = module.block[-1][1]
            nn.init.zeros_(last_norm.weight)
