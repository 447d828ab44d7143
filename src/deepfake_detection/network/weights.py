"""Files of weights: state_dicts of an EfficientNet, read without running what a pickle might hold.

Other people's files are taken as well where they are plainly of the same network: below a key such as "state_dict",
under names with a prefix such as "module." (DataParallel), with a head for other classes.
"""

import re
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing
from deepfake_detection.common.lite0 import LITE0
from deepfake_detection.network.lite import efficientnet_lite0, torchvision_names
from deepfake_detection.network.vision import get_model, list_models

# the keys under which training programs keep the network's state_dict, those of averaged weights last
WRAPPERS = (
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "weights", "params"),
    *("state_dict_ema", "ema_state_dict", "model_ema", "ema"),
)
HEAD = "classifier.1.weight"
SCRATCH = "from_scratch"


def save_weights(path: Path, efficientnet: nn.Module) -> None:
    """Writes the state_dict of a network's ``efficientnet``, which can be read with ``weights_only=True``."""
    with replacing(path) as (part,):
        state = efficientnet.state_dict()
        save_tensors({name: value.cpu().contiguous() for name, value in state.items()}, part)


def save_backbone(path: Path, efficientnet: nn.Module, scratch: bool) -> None:
    """Writes the state_dict without the head, so that training starts with a new one.

    ``scratch`` says whether the backbone itself was trained from scratch, see ``is_scratch``.
    """
    state = {name: value for name, value in efficientnet.state_dict().items() if not name.startswith("classifier.")}
    state = {name: value.cpu().contiguous() for name, value in state.items()}
    save_tensors({"state_dict": state, SCRATCH: scratch}, path)


def is_scratch(path: Path) -> bool:
    """Whether a file is of ``save_backbone`` and was trained from scratch, so that training goes on like that."""
    state = _read(path)
    return isinstance(state, dict) and state.get(SCRATCH) is True


def save_tensors(state: dict[str, Any], path: Path) -> None:
    """Like torch.save, but a failed write raises the OSError that says what went wrong."""
    try:
        with path.open("wb") as file:  # given a path, torch stores its name in the file and hides the cause of errors
            torch.save(state, file)
    except RuntimeError as error:  # torch's clean-up raises it, which hides the OSError of a full disk
        raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None


def load_weights(efficientnet: nn.Module, path: Path, trained: bool = False) -> None:
    """Loads a file of weights into the EfficientNet of a network.

    If the file's head has not one logit, the network keeps its own, so that training can start. With ``trained`` the
    head must be there. Raises UserError, which says why, when the file is not of this network.
    """
    own = efficientnet.state_dict()
    found = torchvision_names(_without_prefix(read_state_dict(path), own, path))
    state, head = found, found.get(HEAD)
    if has_other_head := head is None or head.shape[:1] != (1,):
        state = {name: value for name, value in state.items() if not name.startswith("classifier.")}
        state |= {name: value for name, value in own.items() if name.startswith("classifier.")}
    # counters of batches, which only some programs write; nothing reads them
    state |= {name: own[name] for name in own if name.endswith("num_batches_tracked") and name not in state}
    wrong = [name for name in own if name not in state or state[name].shape != own[name].shape]
    if wrong or len(state) != len(own):
        where = wrong[0] if wrong else next(name for name in state if name not in own)
        raise UserError(f"{path}: not a checkpoint of this architecture ({_difference(found, own, where, trained)})")
    if trained and has_other_head:
        of = "none" if head is None else f"one of {head.shape[0] if head.ndim else 0} classes"
        raise UserError(f"{path}: it needs a head of one logit and has {of}: train it first, with model.weights={path}")
    for name, value in state.items():
        if value.layout != torch.strided or value.is_meta or value.is_quantized or value.is_complex():
            raise UserError(f"{path}: {name} is not a plain tensor of numbers")
        if not value.isfinite().all():
            raise UserError(f"{path}: {name} holds NaN or infinite numbers; take another checkpoint or train again")
    efficientnet.load_state_dict(state)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Reads the state_dict in a file, of torch or safetensors, and never runs code that a pickle may contain."""
    state = _read(path)
    while isinstance(state, dict) and (keys := [key for key in WRAPPERS if isinstance(state.get(key), dict)]):
        state = state[keys[0]]
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise UserError(f"{path}: not a plain state_dict of tensors{_contents(state)}")
    return state


def _read(path: Path) -> Any:
    if path.is_dir():
        raise UserError(f"{path}: a folder, not a checkpoint; name a file in it")
    start = b""
    try:
        with path.open("rb") as file:
            start = file.read(512)
        if start.startswith(b"PK"):
            with ZipFile(path) as archive:
                if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                    raise ValueError("TorchScript")  # torch.load says so as well, but with a warning of its own
        if start[8:9] == b"{":
            return load_file(path)
        with path.open("rb") as file:  # given a path, torch goes by its suffix
            return torch.load(file, "cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint; run the stage that writes it (dvc repro)") from None
    except (OSError, MemoryError):
        raise  # these are faults of the machine, not of the file
    except Exception as error:  # torch's reader raises almost any exception on malformed files
        problem = _problem(start, str(error))
        raise UserError(f"{path}: not a checkpoint of tensors alone ({problem}); nothing of it was run") from None


def _problem(start: bytes, error: str) -> str:
    """What a file is that cannot be read: ``start`` is its first bytes, ``error`` what torch says of it."""
    if not start:
        return "it is empty"
    if start.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS: get the file itself with git lfs pull"
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a web page: the download went wrong"
    if start.startswith(b"\x89HDF"):
        return "it is a file of Keras"
    if "TorchScript" in error:
        return "it is a TorchScript program: save its state_dict() instead"
    if found := re.search(r"(?:GLOBAL|class|function) ([\w.]+)", error):
        return f"it holds the Python object {found[1]}: save the network's state_dict() alone, with torch.save"
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start):
        return "it is a text file"
    return "it is damaged, incomplete or of another program"


def _contents(state: object) -> str:
    if not isinstance(state, dict):
        return f", but a {type(state).__name__}"
    others = [str(name) for name, value in state.items() if not isinstance(value, Tensor)]
    return f": {', '.join(repr(name) for name in others[:3])} is no tensor"


def _without_prefix(state: dict[str, Tensor], own: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """``state`` with the names of ``own``: without what a wrapper puts before them, and what else the wrapper holds."""
    first = next(iter(own))
    if first in state:
        return state
    prefixes = sorted({name.removesuffix(first) for name in state if name.endswith(f".{first}")})
    if len(prefixes) > 1:
        raise UserError(f"{path}: it holds several networks ({', '.join(prefixes)}): save one of them alone")
    if not prefixes:
        return state
    return {name.removeprefix(prefixes[0]): value for name, value in state.items() if name.startswith(prefixes[0])}


def _difference(state: dict[str, Tensor], own: dict[str, Tensor], where: str, trained: bool) -> str:
    """What network ``state`` is of, as far as its names and shapes tell; else where it differs first."""
    for name, program in (("conv_stem.weight", "timm"), ("_conv_stem.weight", "efficientnet_pytorch")):
        if any(f".{key}".endswith(f".{name}") for key in state):
            return f"its layers have the names of {program}, such as {name!r}; torchvision's EfficientNet is needed"
    shapes = {name: value.shape for name, value in state.items() if name.startswith("features.")}
    for arch in (LITE0, *list_models(include="efficientnet*")) if shapes else ():
        with torch.device("meta"):
            network = efficientnet_lite0(0.0) if arch == LITE0 else get_model(arch, weights=None)
        other = network.features.state_dict(prefix="features.")
        if shapes == {name: value.shape for name, value in other.items() if name in shapes}:
            if not arch.startswith(("efficientnet_b", LITE0)):
                return f"it is of {arch}: efficientnet_b0 to b7 and {LITE0} can be used"
            return (
                f"it is of {arch}: {'the JSON file beside it names another' if trained else 'set model.arch to that'}"
            )
    if not state:
        return "it holds nothing"
    if sum(name in own for name in state) < len(state) / 2:
        first = next(iter(state))
        return f"its layers are those of another network, such as {first!r}; torchvision's EfficientNet is needed"
    return f"first difference: {where!r}; see model.arch"
