"""Files of weights: state_dicts of an EfficientNet, read without running what a pickle might hold.

Other people's files are taken as well where they are plainly of the same network: below a key such as "state_dict",
under names with a prefix such as "module." (DataParallel) or with the names of another program, with a head for other
classes. What a network has besides torchvision's, its Variant, is in the file.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZIP_STORED, ZipFile

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import safe_open
from torch import Tensor, nn

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing
from deepfake_detection.common.lite0 import LITE0
from deepfake_detection.common.text import printable
from deepfake_detection.network.dialects import efficientnet_pytorch, timm, torchvision
from deepfake_detection.network.dialects.dialect import Dialect, torchvision_names
from deepfake_detection.network.lite import efficientnet_lite0
from deepfake_detection.network.variant import OURS, Variant
from deepfake_detection.network.vision import get_model, list_models

# the keys under which training programs keep the network's state_dict, those of averaged weights last
WRAPPERS = (
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "weights", "params"),
    *("state_dict_ema", "ema_state_dict", "model_ema", "ema"),
)
HEAD = "classifier.1.weight"
WHERE = "where."  # how the names of a WhereHead begin
SCRATCH, VARIANT = "from_scratch", "variant"
DIALECTS = (torchvision.DIALECT, timm.DIALECT, efficientnet_pytorch.DIALECT)
# Training programs keep the best score beside the weights, and it may be a number of numpy's. Torch is told by name
# what such a number is made of. It reads no other pickled object.
_SCALAR: Any = np.float64(0).__reduce__()[0]
NUMPY_SCALAR: list[Any] = [
    *((_SCALAR, f"{module}.multiarray.scalar") for module in ("numpy.core", "numpy._core")),
    *(np.dtype, type(np.dtype("float32")), type(np.dtype("float64"))),
]


class Weights(NamedTuple):
    """What a file of weights holds: tensors under the names of ``dialect``, without a prefix, and what it says of them.

    ``variant`` is what the file says that the network is, None if it says nothing. ``scratch`` is True in a file of
    ``save_backbone`` that was trained from scratch, so that training goes on like that.
    """

    path: Path
    state: dict[str, Tensor]
    dialect: Dialect
    variant: Variant | None
    scratch: bool

    def variant_of(self, arch: str) -> Variant:
        """The variant of a network of ``arch`` with these weights: as the file says, or as its program builds it."""
        return self.variant or self.dialect.variant(arch)


def save_weights(path: Path, efficientnet: nn.Module, variant: Variant) -> None:
    """Writes the state_dict of a network's ``efficientnet``, which can be read with ``weights_only=True``."""
    with replacing(path) as (part,):
        state = {name: value.cpu().contiguous() for name, value in efficientnet.state_dict().items()}
        save_tensors(with_variant(state, variant), part)


def without_where(weights: Weights) -> Weights:
    """The same without a WhereHead, which belongs to the features that it was trained with."""
    if not (weights.variant and weights.variant.localise):
        return weights
    state = {name: value for name, value in weights.state.items() if not name.startswith(WHERE)}
    return weights._replace(state=state, variant=weights.variant.model_copy(update={"localise": False}))


def save_backbone(path: Path, efficientnet: nn.Module, variant: Variant, scratch: bool) -> None:
    """Writes the state_dict without the head, so that training starts with a new one.

    ``scratch`` says whether the backbone itself was trained from scratch, see ``Weights``.
    """
    heads = ("classifier.", WHERE)
    state = {name: value for name, value in efficientnet.state_dict().items() if not name.startswith(heads)}
    state = {name: value.cpu().contiguous() for name, value in state.items()}
    save_tensors({"state_dict": state, SCRATCH: scratch} | _variant_entry(variant), path)


def with_variant(state: dict[str, Tensor], variant: Variant) -> dict[str, Any]:
    """What a file holds of a network: its tensors alone if it is torchvision's, which every program can read."""
    return {"state_dict": state} | _variant_entry(variant) if variant != OURS else state


def _variant_entry(variant: Variant) -> dict[str, Any]:
    return {VARIANT: variant.model_dump(exclude_defaults=True)} if variant != OURS else {}


def save_tensors(state: dict[str, Any], path: Path) -> None:
    """Like torch.save, but a failed write raises the OSError that says what went wrong."""
    try:
        with path.open("wb") as file:  # given a path, torch stores its name in the file and hides the cause of errors
            torch.save(state, file)
    except RuntimeError as error:  # torch's clean-up raises it, which hides the OSError of a full disk
        raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None


def read_weights(path: Path) -> Weights:
    """Reads a file of weights, of torch or safetensors, and never runs code that a pickle may contain.

    Raises UserError, which says why, when it holds no state_dict.
    """
    content = read_saved(path)
    about: dict[Any, Any] = content if isinstance(content, dict) else {}
    variant = about.get(VARIANT)
    try:
        variant = Variant.model_validate(variant) if isinstance(variant, dict) else None
    except ValidationError as error:
        key = ".".join(map(str, error.errors(include_url=False)[0]["loc"]))
        raise UserError(f"{path}: what it says of its network cannot be ({printable(key)})") from None
    state, dialect = _state_dict(content, path), torchvision.DIALECT
    if not (variant and variant.members > 1):  # these have a prefix each
        state, dialect = without_prefix(state, path)
    return Weights(path, state, dialect, variant, about.get(SCRATCH) is True)


def load_weights(efficientnet: nn.Module, weights: Weights, trained: bool = False) -> None:
    """Loads weights into the EfficientNet of a network, which is of their variant.

    If their head has not one logit, the network keeps its own, so that training can start. With ``trained`` the head
    must be there. Raises UserError, which says why, when they are not of this network.
    """
    own, path = efficientnet.state_dict(), weights.path
    found = torchvision_names(weights.state, weights.dialect, own)
    state, head = found, found.get(HEAD)
    if has_other_head := HEAD in own and (head is None or head.shape[:1] != (1,)):
        state = {name: value for name, value in state.items() if not name.startswith("classifier.")}
        state |= {name: value for name, value in own.items() if name.startswith("classifier.")}
    # counters of batches, which only some programs write; nothing reads them
    state |= {name: own[name] for name in own if name.endswith("num_batches_tracked") and name not in state}
    wrong = [name for name in own if name not in state or state[name].shape != own[name].shape]
    if wrong or len(state) != len(own):
        where = wrong[0] if wrong else next(name for name in state if name not in own)
        raise UserError(f"{path}: not a checkpoint of this architecture ({_difference(weights, own, where, trained)})")
    if trained and has_other_head:
        of = "none" if head is None else f"one of {head.shape[0] if head.ndim else 0} classes"
        raise UserError(f"{path}: it needs a head of one logit and has {of}: train it first, with model.weights={path}")
    check_numbers(state, path)
    efficientnet.load_state_dict(state)


def check_numbers(state: Mapping[str, Tensor], path: Path) -> None:
    """Raises UserError if one of the tensors of ``path`` holds anything but finite numbers."""
    for name, value in state.items():
        if value.layout != torch.strided or value.is_meta or value.is_quantized or value.is_complex():
            raise UserError(f"{path}: {name} is not a plain tensor of numbers")
        if value.numel() and not all(end.isfinite() for end in value.aminmax()):
            raise UserError(f"{path}: {name} holds NaN or infinite numbers; take another checkpoint or train again")


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The state_dict in a file under its own names. Raises UserError as ``read_weights`` does."""
    return _state_dict(read_saved(path), path)


def architecture_of(weights: Weights) -> str | None:
    """The name that torchvision gives the architecture of ``weights``, as far as shapes tell; None if none has them."""
    if weights.dialect.first not in weights.state:
        return None
    for arch in (LITE0, *map(str, list_models(include="efficientnet*"))):
        own = _shapes(arch)
        named = torchvision_names(weights.state, weights.dialect, own)
        shapes = {name: value.shape for name, value in named.items() if name.startswith("features.")}
        if shapes == {name: shape for name, shape in own.items() if name in shapes}:
            return arch
    return None


@cache
def _shapes(arch: str) -> dict[str, torch.Size]:
    with torch.device("meta"):
        network = efficientnet_lite0(0.0) if arch == LITE0 else get_model(arch, weights=None)
    return {name: value.shape for name, value in network.state_dict().items()}


def _state_dict(state: Any, path: Path) -> dict[str, Tensor]:
    while isinstance(state, dict) and (keys := [key for key in WRAPPERS if isinstance(state.get(key), dict)]):
        state = state[keys[0]]
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise UserError(f"{path}: not a plain state_dict of tensors{_contents(state)}")
    return state


def read_saved(path: Path) -> Any:
    """What torch.save or safetensors put into a file, read without running code.

    Raises UserError if the file holds anything but tensors, texts, numbers, and lists and dicts of these.
    """
    if path.is_dir():
        raise UserError(f"{path}: a folder, not a checkpoint; name a file in it")
    start, mapped = b"", False
    try:
        with path.open("rb") as file:
            start = file.read(512)
        if start.startswith(b"PK"):
            with ZipFile(path) as archive:
                if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                    raise ValueError("TorchScript")  # torch.load says so as well, but with a warning of its own
                # given a path, torch goes by this suffix
                mapped = path.suffix != ".safetensors" and all(
                    entry.compress_type == ZIP_STORED for entry in archive.infolist()
                )
        if start[8:9] == b"{":
            with safe_open(path, "pt") as archive:  # its metadata is the sidecar, if `export` wrote it
                sidecar = json.loads((archive.metadata() or {}).get("deepfake_detection", "{}"))
                tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
            return {"state_dict": tensors, VARIANT: sidecar.get("network")}
        with path.open("rb") as file, torch.serialization.safe_globals(NUMPY_SCALAR):
            return torch.load(path if mapped else file, "cpu", weights_only=True, mmap=mapped)
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


def without_prefix(state: dict[str, Tensor], path: Path) -> tuple[dict[str, Tensor], Dialect]:
    """``state`` without what a wrapper puts before the names, and without what else the wrapper holds."""
    for dialect in DIALECTS:
        if dialect.first in state:
            return state, dialect
        prefixes = sorted({name.removesuffix(dialect.first) for name in state if name.endswith(f".{dialect.first}")})
        if len(prefixes) > 1:
            raise UserError(f"{path}: it holds several networks ({', '.join(prefixes)}): save one of them alone")
        if prefixes:
            start = prefixes[0]
            return {name.removeprefix(start): value for name, value in state.items() if name.startswith(start)}, dialect
    return state, torchvision.DIALECT


def _difference(weights: Weights, own: dict[str, Tensor], where: str, trained: bool) -> str:
    """What network ``weights`` are of, as far as their names and shapes tell; else where they differ first."""
    arch = architecture_of(weights)
    common = {name for name in own if ".attention." not in name and not name.startswith(WHERE)}
    if arch and common != _shapes(arch).keys():
        if not arch.startswith(("efficientnet_b", LITE0)):
            return f"it is of {arch}: efficientnet_b0 to b7 and {LITE0} can be used"
        return f"it is of {arch}: {'the JSON file beside it names another' if trained else 'set model.arch to that'}"
    if not weights.state:
        return "it holds nothing"
    named = torchvision_names(weights.state, weights.dialect, own)
    if sum(name in own for name in named) < len(named) / 2:
        first = next(iter(weights.state))
        return f"its layers are those of another network, such as {first!r}; an EfficientNet is needed"
    return f"first difference: {where!r}; see model.arch"
