"""Files of weights: plain state_dicts of an EfficientNet, read without running what a pickle might hold."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing


def save_weights(path: Path, efficientnet: nn.Module) -> None:
    """Writes the state_dict of a network's ``efficientnet``, which can be read with ``weights_only=True``."""
    with replacing(path) as (part,):
        state = efficientnet.state_dict()
        save_tensors({name: value.cpu().contiguous() for name, value in state.items()}, part)


def save_tensors(state: dict[str, Any], path: Path) -> None:
    """Like torch.save, but a failed write raises the OSError that says what went wrong."""
    try:
        with path.open("wb") as file:  # given a path, torch stores its name in the file and hides the cause of errors
            torch.save(state, file)
    except RuntimeError as error:  # torch's clean-up raises it, which hides the OSError of a full disk
        raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None


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
