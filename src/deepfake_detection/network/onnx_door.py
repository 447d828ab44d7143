"""A door for networks that are no EfficientNet of torchvision: onnxruntime computes an ONNX file, as its card says.

The file of weights then holds ``{"onnx": the file's bytes, "card": the content of a Card}``.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor, nn

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.text import one_line, printable
from deepfake_detection.network.normalise import MEAN, STD
from deepfake_detection.network.sidecar import Categories
from deepfake_detection.network.variant import Three
from deepfake_detection.network.weights import read_saved

ONNX = "onnx"  # the name in model.arch
RANGES = {
    "imagenet": (MEAN, STD),
    "0..1": ((0.0,) * 3, (1.0,) * 3),
    "-1..1": ((0.5,) * 3, (0.5,) * 3),
    "0..255": ((0.0,) * 3, (1 / 255,) * 3),
}
CERTAIN = 1e-7  # nearer to 0 or 1 float32 knows no probabilities
DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")  # whose operators onnxruntime brings
LARGEST_VALUE = 2**30  # numbers in one tensor; a batch of 16 in the first layers of B7 at 600 pixels has half of that
INPUTS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


class Levels(BaseModel):
    """What is taken from red, green and blue, each from 0 to 1, and what they are divided by then."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    mean: Three
    std: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=3, max_length=3)]


class Card(BaseModel):
    """How an ONNX file must be fed and read. The file itself does not say it, so whoever imports it must."""

    model_config = Levels.model_config

    name: Annotated[str, Field(min_length=1, description="what the network is called")]
    licence: Annotated[str, Field(min_length=1, description="the licence of the weights, or `not stated`")]
    input: Annotated[str | None, Field(description="name of the input; needed if there are several")] = None
    layout: Annotated[Literal["NCHW", "NHWC"], Field(description="order of the input's axes, NCHW or NHWC")]
    size: Annotated[int, Field(ge=1, le=8192, description="width and height of the input in pixels")]
    colours: Annotated[Literal["RGB", "BGR"], Field(description="order of the colours, RGB or BGR")]
    normalise: Annotated[
        Literal["imagenet", "0..1", "-1..1", "0..255"] | Levels,
        Field(description="imagenet, 0..1, -1..1, 0..255, or mean and std of red, green and blue"),
    ]
    crop: Annotated[str, Field(description="what is cut out of a picture, as in prepare.crop")]
    margin: Annotated[float, Field(ge=0, description="what the crop has around the face on each side")] = 0.0
    output: Annotated[str | int | None, Field(description="name of the output, or its place from 0")] = None
    gives: Annotated[
        Literal["logit", "two logits", "probability", "two probabilities"],
        Field(description="logit, two logits, probability or two probabilities"),
    ]
    fake: Annotated[
        Literal["high", "low"] | Annotated[int, Field(ge=0, le=1)],  # a Literal of 1 would take a yes
        Field(description="which is fake: a high or a low value, or of two the place, 0 or 1"),
    ]
    labels: Annotated[Categories, Field(description="real and fake: the categories that it was trained on")]

    @model_validator(mode="after")
    def _polarity_fits(self) -> Self:
        if self.gives.startswith("two") != isinstance(self.fake, int):
            wanted = "0 or 1, the place of the fake class" if self.gives.startswith("two") else "high or low"
            raise ValueError(f"fake: with `gives: {self.gives}` it must be {wanted}")
        return self

    @property
    def levels(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of red, green and blue, as ``Normalise`` takes them."""
        if isinstance(self.normalise, Levels):
            return tuple(self.normalise.mean), tuple(self.normalise.std)
        return RANGES[self.normalise]


def checked_card(content: Any, where: Path) -> Card:
    """The card that ``content``, read from ``where``, holds. Raises UserError, one line that names the key."""
    try:
        return Card.model_validate(content)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
    key = ".".join(map(str, problem["loc"][:1]))  # behind it, only pydantic's own names
    words = {"missing": "is missing", "extra_forbidden": "holds an unknown key"}.get(
        problem["type"], problem["msg"].removeprefix("Value error, ")
    )
    if key in Card.model_fields:
        words += f"; it says {Card.model_fields[key].description}"
    elif key:
        words = "is no key of a card"
    raise UserError(printable(f"{where}: " + ": ".join(filter(None, [key, words])), " "))


class OnnxNetwork(nn.Module):
    """An ONNX file as a module. It takes the normalised frames of ``Network``, and gives logits of shape (batch, 1).

    onnxruntime computes on the CPU in float32, with as many threads as torch has when the module is made. There are no
    layers of torch in it, and no gradients. ``content`` is the file's, and ``where`` is its name in messages.

    Raises UserError if onnxruntime is missing, and for a file that is no ONNX, does not hold all that it needs, or does
    not fit ``card``.
    """

    def __init__(self, content: bytes, card: Card, where: Path) -> None:
        super().__init__()
        onnx, runtime = _import_runtime()
        self.card, self.where = card, where
        self.numbers = _examined(onnx, content, where)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        # threads that spin while they wait take the processors from decoding and from other programs
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4  # what goes wrong is raised too
        try:
            self._session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no common class
            raise UserError(f"{where}: onnxruntime does not take it: {_short(error)}") from None
        self._input, self._type, self._alone = _input_of(self._session.get_inputs(), card, where)
        self._output = _output_of([each.name for each in self._session.get_outputs()], card, where)

    def forward(self, frames: Tensor) -> Tensor:
        return torch.from_numpy(_one_logit(self.values(frames), self.card)).to(frames.device)

    def values(self, frames: Tensor) -> NDArray[np.float64]:
        """What the file gives for frames like those of ``forward``, of shape (batch, 1) or, of two classes, (batch, 2).

        Raises UserError if it gives something else than the card says.
        """
        planes = frames if self.card.colours == "RGB" else frames.flip(1)
        ordered = planes if self.card.layout == "NCHW" else planes.permute(0, 2, 3, 1)
        given = ordered.float().cpu().numpy()
        given = np.ascontiguousarray(np.rint(given) if self._type is np.uint8 else given, self._type)
        parts = [given[at : at + 1] for at in range(len(given))] if self._alone else [given]
        return np.concatenate([self._computed(part) for part in parts])

    def _computed(self, given: NDArray[Any]) -> NDArray[np.float64]:
        try:
            (found,) = self._session.run([self._output], {self._input: given})
        except Exception as error:
            raise UserError(
                f"{self.where}: it does not compute a batch of shape {_shape(given.shape)}: {_short(error)}"
            ) from None
        values, count, width = np.asarray(found), len(given), 2 if self.card.gives.startswith("two") else 1
        fits = values.size == count * width and (count == 1 or len(values) == count)
        if values.dtype.kind != "f" or not fits:
            raise UserError(
                f"{self.where}: frames: {count}; it gave {values.dtype} of shape {_shape(values.shape)}, which is not "
                f"the card's `gives: {self.card.gives}`"
            )
        if not np.isfinite(values).all():
            raise UserError(f"{self.where}: it gives NaN or infinite numbers")
        return values.reshape(count, width).astype(float)


def read_onnx(path: Path) -> OnnxNetwork:
    """The network in a file of weights that ``import_onnx`` wrote. Raises UserError as OnnxNetwork does."""
    saved = read_saved(path)
    content = saved.get("onnx") if isinstance(saved, dict) else None
    if not isinstance(content, Tensor) or content.dtype != torch.uint8 or content.ndim != 1:
        raise UserError(f"{path}: it holds no ONNX file, although the JSON file beside it says so; import it again")
    return OnnxNetwork(content.numpy().tobytes(), checked_card(saved.get("card"), path), path)


def _import_runtime() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"{error.name} is not installed, which computes ONNX files; run make env, or pip install onnx onnxruntime"
        ) from None
    return onnx, onnxruntime


def _examined(onnx: Any, content: bytes, where: Path) -> int:
    """How many numbers a file's tensors hold. Raises UserError if onnxruntime must not see the file.

    onnxruntime would open other files that it names, and computes constants when it loads it, whatever their size.
    """
    try:
        model = onnx.load_model_from_string(content)
    except Exception:
        model = None
    if model is None or not model.graph.node:
        raise UserError(f"{where}: not an ONNX file, or only a part of one")
    own = {function.domain for function in model.functions}
    tensors = []
    for message in _messages(model):
        if isinstance(message, onnx.NodeProto) and message.domain not in (*DOMAINS, *own):
            raise UserError(f"{where}: operator {message.op_type} of {message.domain} is not one of ONNX's own")
        if isinstance(message, onnx.TensorProto):
            tensors.append(message)
    for tensor in tensors:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            other = next((entry.value for entry in tensor.external_data if entry.key == "location"), "another file")
            raise UserError(
                printable(f"{where}: its weights are in {other!r}: put them into one file, with ")
                + "onnx.save(onnx.load('OLD.onnx'), 'NEW.onnx')"
            )
    sizes = [_size(tensor.dims) for tensor in tensors]
    if sum(sizes) > 2 * len(content):  # there are 4 bit numbers too
        raise UserError(f"{where}: its tensors are said to have {sum(sizes):,} numbers, and the file is too small")
    for tensor in tensors:
        if len(tensor.raw_data) > 10_000:
            tensor.ClearField("raw_data")  # shapes do not depend on weights, which take time to copy
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph.value_info
    except Exception as error:
        raise UserError(f"{where}: its shapes do not fit together: {_short(error)}") from None
    for value in inferred:
        if (size := _size(dim.dim_value for dim in value.type.tensor_type.shape.dim)) > LARGEST_VALUE:
            raise UserError(f"{where}: a value in it has {size:,} numbers: too many to compute")
    return sum(sizes)


def _messages(message: Any) -> Any:
    """A protobuf message and all that are in it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in value if field.is_repeated else [value]:
                yield from _messages(each)


def _size(dims: Any) -> int:
    size = 1
    for dim in dims:
        size *= max(dim, 1)
    return size


def _input_of(inputs: Any, card: Card, where: Path) -> tuple[str, Any, bool]:
    """The name of the input, the type of its numbers, and whether it takes one frame at a time."""
    names = [each.name for each in inputs]
    if card.input is None and len(names) > 1:
        raise UserError(f"{where}: it has {len(names)} inputs, {_listed(names)}: name one in the card, as `input`")
    found = next((each for each in inputs if card.input in (None, each.name)), None)
    if found is None:
        raise UserError(f"{where}: it has no input {card.input!r}, but {_listed(names)}")
    if others := [name for name in names if name != found.name]:
        raise UserError(f"{where}: it needs {_listed(others)} as well, and a frame is all that there is")
    if found.type not in INPUTS:
        raise UserError(f"{where}: its input is {found.type}, and must be float32, float16 or uint8")
    if found.type == "tensor(uint8)" and card.normalise != "0..255":
        raise UserError(f"{where}: its input is bytes, which the card must say with `normalise: 0..255`")
    wanted = (3, card.size, card.size) if card.layout == "NCHW" else (card.size, card.size, 3)
    sides = list(found.shape)
    fits = len(sides) == 4 and all(
        not isinstance(side, int) or side == want for side, want in zip(sides[1:], wanted, strict=True)
    )
    if not fits:
        raise UserError(
            f"{where}: its input has the shape {_shape(sides)}, and the card says {card.layout} with 3 colours and "
            f"{card.size} pixels a side"
        )
    if isinstance(sides[0], int) and sides[0] != 1:
        raise UserError(f"{where}: it takes {sides[0]} frames at once: export it with a free batch, or for one frame")
    return found.name, INPUTS[found.type], sides[0] == 1


def _output_of(names: list[str], card: Card, where: Path) -> str:
    if card.output is None and len(names) > 1:
        raise UserError(f"{where}: it has {len(names)} outputs, {_listed(names)}: name one in the card, as `output`")
    if isinstance(card.output, str) and card.output in names:
        return card.output
    if not isinstance(card.output, str) and 0 <= (at := card.output or 0) < len(names):
        return names[at]
    raise UserError(f"{where}: it has no output {card.output!r}, but {_listed(names)}")


def _one_logit(values: NDArray[np.float64], card: Card) -> NDArray[np.float32]:
    """The logits of a fake, of shape (batch, 1), from what the file gave, of shape (batch, 1) or (batch, 2)."""
    if card.gives.endswith("probability"):
        values = np.hstack([1 - values, values])
    if card.gives.startswith(("probab", "two probab")):
        values = np.log(values.clip(CERTAIN, 1 - CERTAIN))
    if values.shape[1] == 2:
        values = values[:, 1:] - values[:, :1]
    return (-values if card.fake in ("low", 0) else values).astype(np.float32)


def _shape(sides: Any) -> str:
    return " x ".join(str(side) if side is not None else "?" for side in sides)


def _listed(names: list[str]) -> str:
    return ", ".join(printable(repr(name)) for name in names[:5]) + ", ..." * (len(names) > 5)


def _short(error: Exception) -> str:
    return printable(one_line(error))[:200]
