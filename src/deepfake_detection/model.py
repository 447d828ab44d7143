"""EfficientNet with one logit: the probability that a frame is a deepfake, before the sigmoid.

Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks".
"""

from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.models.efficientnet import MBConv

from deepfake_detection.errors import UserError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def build_model(arch: str, dropout: float, weights: Path | None = None) -> nn.Module:
    """A torchvision EfficientNet whose head is ``nn.Linear(features, 1)``.

    Input: normalised RGB of shape (batch, 3, height, width); output: logits of shape (batch, 1).
    ``weights`` is a state_dict of the same architecture, with 1000 classes (only its backbone is
    taken) or with one logit; without it the model is initialised for a short run from scratch.
    Raises UserError when the file does not fit.
    """
    scratch = {} if weights else {"stochastic_depth_prob": 0.0}
    model: nn.Module = get_model(arch, weights=None, dropout=dropout, **scratch)
    # a fresh layer: num_classes=1 would make torchvision draw the head from U(-1, 1)
    head = cast(nn.Sequential, model.classifier)
    head[-1] = nn.Linear(cast(nn.Linear, head[-1]).in_features, 1)
    if weights:
        load_weights(model, weights)
    else:
        _initialise_from_scratch(model)
    return model.to(memory_format=torch.channels_last)


def load_weights(model: nn.Module, path: Path) -> None:
    """Loads a state_dict into a model built here; an ImageNet head is left out."""
    state = read_state_dict(path)
    own = model.state_dict()
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
    model.load_state_dict(state)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Reads a plain state_dict, or a ``.safetensors`` file, never running what a pickle might hold."""
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint; run the stage that writes it (dvc repro)") from None
    except (OSError, MemoryError):
        raise  # say something of the machine, not of the file
    except Exception:  # on malformed files torch's reader raises nearly anything
        raise UserError(f"{path}: not a checkpoint of tensors alone; nothing of it was run") from None
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise UserError(f"{path}: not a plain state_dict of tensors")
    return state


def _initialise_from_scratch(model: nn.Module) -> None:
    """Makes B5 to B7 learn within minutes when no pretrained weights are given.

    Every residual block starts as the identity (Goyal et al. 2017, "Accurate, Large Minibatch
    SGD", section 5.1), and batch norm's running statistics follow at 0.1 a step: torchvision's
    0.01 suits fine-tuning, but in a short run evaluation would stay at chance.
    """
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
        if isinstance(module, MBConv) and module.use_res_connect:
            last_norm = module.block[-1][1]
            nn.init.zeros_(last_norm.weight)
