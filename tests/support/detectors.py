"""Detectors as their authors build and save them, with the packages that they use and weights that are drawn."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import timm
import torch
from efficientnet_pytorch import EfficientNet
from torch import Tensor, nn
from torchvision.models import efficientnet_b1

from deepfake_detection.importing.checkpoints import import_weights
from deepfake_detection.importing.recipes import Input
from deepfake_detection.network.model import build_model, efficientnet_of
from deepfake_detection.network.variant import Variant
from tests.support.references import difference, drawn, pictures

B4: Any = EfficientNet.from_name


class Timm(nn.Module):
    """Its last layer is a new one, and the encoder keeps its own, which is not used."""

    def __init__(self, name: str) -> None:
        super().__init__()
        encoder: Any = timm.create_model(name)
        self.encoder, self.fc = encoder, nn.Linear(encoder.num_features, 1)

    def forward(self, frames: Tensor) -> Tensor:
        logits: Tensor = self.fc(cast(Any, self.encoder).forward_features(frames).mean((2, 3)))
        return logits


class SelfBlended(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = B4("efficientnet-b4", num_classes=2)

    def forward(self, frames: Tensor) -> Tensor:
        logits: Tensor = self.net(frames)
        return logits


class Attentive(EfficientNet):  # type: ignore[misc]
    """With a map of attention behind the tenth block."""

    def extract_features(self, inputs: Tensor) -> Tensor:
        features = self._swish(self._bn0(self._conv_stem(inputs)))
        for number, block in enumerate(self._blocks):
            features = block(features)
            if number == 9:
                features = features * torch.sigmoid(self.attconv(features))
        found: Tensor = self._swish(self._bn1(self._conv_head(features)))
        return found


class Polimi(nn.Module):
    def __init__(self, attention: bool) -> None:
        super().__init__()
        self.efficientnet = (Attentive if attention else EfficientNet).from_name("efficientnet-b4")
        if attention:
            self.efficientnet.attconv = nn.Conv2d(56, 1, 1)
        del self.efficientnet._fc
        self.classifier = nn.Linear(1792, 1)

    def features(self, frames: Tensor) -> Tensor:
        features: Tensor = self.efficientnet.extract_features(frames).mean((2, 3))
        return features

    def forward(self, frames: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(frames))
        return logits


class Siamese(nn.Module):
    def __init__(self, attention: bool) -> None:
        super().__init__()
        self.feat_ext = Polimi(attention)
        self.classifier = nn.Sequential(nn.BatchNorm1d(1792), nn.Linear(1792, 1))

    def forward(self, frames: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.feat_ext.features(frames))
        return logits


class Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.efficientnet = B4("efficientnet-b4")
        self.efficientnet._conv_stem = nn.Conv2d(3, 48, kernel_size=3, stride=2, bias=False)
        self.efficientnet._fc = nn.Identity()
        self.last_layer = nn.Linear(1792, 2)


class Benchmark(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()

    def forward(self, frames: Tensor) -> Tensor:
        features = self.backbone.efficientnet.extract_features(frames).mean((2, 3))
        logits: Tensor = self.backbone.last_layer(features)
        return logits


def as_state(network: nn.Module) -> dict[str, Any]:
    return dict(network.state_dict())


def as_winner(network: nn.Module) -> dict[str, Any]:
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    return {"epoch": 37, "state_dict": state, "bce_best": np.float64(0.17)}


def as_self_blended(network: nn.Module) -> dict[str, Any]:
    return {"model": network.state_dict(), "optimizer": {"state": {}, "param_groups": [{"lr": 1e-3}]}, "epoch": 95}


# by recipe: the network, what its authors save, and the options that the recipe leaves open
DETECTORS: dict[str, tuple[Callable[[], nn.Module], Callable[[nn.Module], dict[str, Any]], dict[str, Any]]] = {
    "selimsef-b7": (lambda: Timm("tf_efficientnet_b7"), as_winner, {}),
    "sbi-b4-c23": (SelfBlended, as_self_blended, {}),
    "sbi-b4-raw": (SelfBlended, as_self_blended, {}),
    **{
        f"polimi-{'auto' * (name == 'att')}{name}b4{'st' * siamese}-{data}": (
            lambda name=name, siamese=siamese: (Siamese if siamese else Polimi)(name == "att"),  # type: ignore[misc]
            as_state,
            {},
        )
        for name in ("", "att")
        for siamese in (False, True)
        for data in ("ffpp", "dfdc")
    },
    "deepfakebench-b4": (Benchmark, as_state, {}),
    "torchvision-2": (
        lambda: efficientnet_b1(num_classes=2),
        as_state,
        {"given": Input(size=224, crop="face", margin=0.3), "fake": 0},
    ),
}


def logits_of(outputs: Tensor, fake: int) -> Tensor:
    """The log odds of a fake, of shape (frames,): softmax of two outputs, or one logit."""
    return outputs[:, fake] - outputs[:, 1 - fake] if outputs.shape[1] == 2 else outputs[:, 0]


def compared(name: str, folder: Path, sizes: list[int]) -> dict[str, float]:
    """How far an imported detector is from its reference: the largest relative difference of logits in float64.

    ``right`` is that at any of ``sizes``. The others are controls, at the last size: what a wrong padding, eps and row
    of the head make of it. It should be even, because paddings are the same for 2^n + 1 pixels.
    """
    build, saved, options = DETECTORS[name]
    reference = drawn(build(), 64)
    path, to = folder / "theirs", folder / f"{name}.pth"
    torch.save(saved(reference), path)
    sidecar = import_weights([path], name, to, **options)
    assert sidecar
    content = torch.load(to, weights_only=True)
    state = content.get("state_dict", content)
    right = build_model(sidecar.arch, 0.0, to, trained=True).eval().double().efficientnet
    right.load_state_dict(state)  # it was rounded to float32 on its way

    def network(variant: Variant) -> nn.Module:
        with torch.device("meta"):
            found = efficientnet_of(sidecar.arch, variant).eval()
        found.load_state_dict(state, assign=True)
        return found

    fake = options.get("fake", 1)
    padding = "symmetric" if sidecar.network.padding != "symmetric" else "same"
    wrong: dict[str, dict[str, Any]] = {
        "padding": {"padding": padding},
        "eps": {"eps": 1e-5 if sidecar.network.eps else 1e-3},
    }
    with torch.inference_mode():
        expected = {size: logits_of(reference(pictures(size)), fake) for size in sizes}
        found = {"right": max(difference(right(pictures(size))[:, 0], expected[size]) for size in sizes)}
        last = pictures(sizes[-1])
        for control, change in wrong.items():
            logits = network(sidecar.network.model_copy(update=change))(last)[:, 0]
            found[control] = difference(logits, expected[sizes[-1]])
        outputs = reference(last)
        row = outputs[:, fake] if outputs.shape[1] == 2 else -outputs[:, 0]
        found["row"] = difference(row, expected[sizes[-1]])
    return found
