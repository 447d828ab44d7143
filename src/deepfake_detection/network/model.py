"""EfficientNet with one logit: the score of a frame before the sigmoid, positive for a deepfake.

Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks".
"""

from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import EfficientNet, get_model
from torchvision.models.efficientnet import MBConv

from deepfake_detection.common.errors import UserError
from deepfake_detection.frames.normalise import Normalise


class Network(nn.Module):
    """A torchvision EfficientNet whose head is ``nn.Linear(features, 1)``, preceded by normalisation.

    Its input is frames as stored, uint8 RGB of shape (batch, height, width, 3). Its output is logits, float32 of
    shape (batch,). A checkpoint holds the state_dict of ``efficientnet``.
    """

    def __init__(self, efficientnet: nn.Module) -> None:
        super().__init__()
        self.normalise, self.efficientnet = Normalise(), efficientnet

    def forward(self, frames: Tensor) -> Tensor:
        logits: Tensor = self.efficientnet(self.normalise(frames)).squeeze(1).float()
        return logits


def build_model(arch: str, dropout: float, weights: Path | None = None) -> Network:
    """Builds a network of ``arch``, efficientnet_b0 to b7, that starts from ``weights``.

    ``weights`` is a state_dict of the same architecture, with one logit or with 1000 classes; of the latter only the
    backbone is loaded. Without ``weights`` the network is initialised for a short run from scratch.
    Raises UserError when the file does not fit the architecture.
    """
    scratch = {} if weights else {"stochastic_depth_prob": 0.0}
    efficientnet = cast(EfficientNet, get_model(arch, weights=None, dropout=dropout, **scratch))
    # a new layer, because with num_classes=1 torchvision would draw the head from U(-1, 1)
    head = efficientnet.classifier
    head[-1] = nn.Linear(cast(nn.Linear, head[-1]).in_features, 1)
    if weights:
        load_weights(efficientnet, weights)
    else:
        _initialise_from_scratch(efficientnet)
    return Network(efficientnet).to(memory_format=torch.channels_last)


def load_weights(efficientnet: nn.Module, path: Path) -> None:
    """Loads a state_dict into the EfficientNet of a network, without the head if it is one for ImageNet."""
    state = read_state_dict(path)
    own = efficientnet.state_dict()
    if "classifier.1.weight" in state and state["classifier.1.weight"].shape[:1] != (1,):
        state |= {name: own[name] for name in ("classifier.1.weight", "classifier.1.bias")}
    wrong = [name for name in own if name not in state or state[name].shape != own[name].shape]
    if wrong or len(state) != len(own):
        where = wrong[0] if wrong else next(name for name in state if name not in own)
        raise UserError(f"{path}: not a checkpoint of this architecture (first difference: {where!r}); see model.arch")
    for name, value in state.items():
        if value.layout != torch.strided or value.is_meta or value.is_quantized or value.is_complex():
            raise UserError(f"{path}: {name} is not a plain tensor of numbers")
        if not value.isfinite().all():
            raise UserError(f"{path}: {name} holds NaN or infinite numbers; take another checkpoint or train again")
    efficientnet.load_state_dict(state)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Reads a plain state_dict, or a ``.safetensors`` file, and never runs code that a pickle may contain."""
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint; run the stage that writes it (dvc repro)") from None
    except (OSError, MemoryError):
        raise  # these are faults of the machine, not of the file
    except Exception:  # torch's reader raises almost any exception on malformed files
        raise UserError(f"{path}: not a checkpoint of tensors alone; nothing of it was run") from None
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise UserError(f"{path}: not a plain state_dict of tensors")
    return state


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
