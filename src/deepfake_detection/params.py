"""The parameters of the pipeline: one typed, validated tree, read from params.yaml.

A wrong file gives one line that names the key. Every key is documented in conf/.
"""

import math
import re
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from deepfake_detection.errors import UserError
from deepfake_detection.thresholds import parse_rule

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[\w+.-]+$")]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Categories(Section):
    real: Annotated[list[Name], Field(min_length=1)]
    fake: Annotated[list[Name], Field(min_length=1)]

    @model_validator(mode="after")
    def _disjoint(self) -> Self:
        names = self.real + self.fake
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is named more than once")
        return self


class Embedded(Section):
    identities: Annotated[int, Field(ge=2, multiple_of=2)]
    frames: Count
    size: Annotated[int, Field(ge=32)]


class Data(Section):
    source: Literal["embedded", "kaggle", "local"]
    kaggle: Annotated[str, Field(pattern=r"^[\w-]+/[\w-]+(/versions/[1-9]\d*)?$")]
    local_dir: str
    categories: Categories
    embedded: Embedded


class Index(Section):
    max_rejected: Fraction


class Split(Section):
    strategy: Literal["group", "frame", "official"]
    official_dir: str
    train: Annotated[float, Field(gt=0, lt=1)]
    val: Annotated[float, Field(gt=0, lt=1)]
    test: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = self.train + self.val + self.test
        if not math.isclose(total, 1, abs_tol=1e-6):
            raise ValueError(f"train + val + test must be 1, not {total:g}")
        return self


class Prepare(Section):
    image_size: Annotated[int, Field(ge=32)]
    crop: Literal["none", "face"]
    margin: Annotated[float, Field(ge=0, le=4)]


class Model(Section):
    arch: Annotated[str, Field(pattern=r"^efficientnet_b[0-7]$")]
    weights: Annotated[str, Field(min_length=1)]
    dropout: Annotated[float, Field(ge=0, lt=1)]


class Augment(Section):
    flip: Fraction
    rotation: Annotated[float, Field(ge=0, le=180)]
    brightness: Fraction
    contrast: Fraction


def _auto_or(least: int) -> BeforeValidator:
    def check(value: object) -> object:
        if value == "auto" or (type(value) is int and value >= least):
            return value
        raise ValueError(f"must be a whole number from {least} on, or auto")

    return BeforeValidator(check)


class Train(Section):
    epochs: Count
    batch_size: Annotated[int | Literal["auto"], _auto_or(2)]
    accumulate: Count
    lr: Annotated[float, Field(gt=0)]
    schedule: Literal["constant", "cosine"]
    warmup_epochs: Annotated[float, Field(ge=0)]
    ema: Annotated[float, Field(ge=0, lt=1)]
    patience: Count
    precision: Literal["auto", "32-true", "16-mixed", "bf16-mixed"]
    compile: Literal["none", "default", "reduce-overhead", "max-autotune"]
    checkpoint_activations: bool
    deterministic: bool
    devices: Annotated[int | Literal["auto"], _auto_or(1)]
    num_nodes: Count
    num_workers: Annotated[int, Field(ge=0)]
    augment: Augment

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs must be below epochs, {self.epochs}, not {self.warmup_epochs:g}")
        if self.checkpoint_activations and self.compile != "none":
            raise ValueError("checkpoint_activations needs compile: none; a compiled network recomputes as it sees fit")
        return self


class Evaluate(Section):
    threshold: Annotated[float | str, BeforeValidator(parse_rule)]
    unseen_categories: list[Name]
    bootstrap_draws: Annotated[int, Field(ge=100)]
    batch_size: Count
    backend: Literal["torch", "torch-folded", "torch-bf16", "openvino", "openvino-bf16", "openvino-int8", "auto"]


class Robustness(Section):
    max_frames: Annotated[int, Field(ge=2)]


class Params(Section):
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    data: Data
    index: Index
    split: Split
    prepare: Prepare
    model: Model
    train: Train
    evaluate: Evaluate
    robustness: Robustness

    @model_validator(mode="after")
    def _unseen_is_unseen(self) -> Self:
        known = {*self.data.categories.real, *self.data.categories.fake}
        seen = [name for name in self.evaluate.unseen_categories if name in known]
        if seen:
            raise ValueError(f"evaluate.unseen_categories: {', '.join(seen)} is trained on, see data.categories")
        return self


class _Loader(yaml.SafeLoader):
    """Reads 1e-4 as a number, as YAML 1.2 and DVC do; PyYAML's YAML 1.1 takes it for a string."""


_SCIENTIFIC = re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _SCIENTIFIC, list("-+0123456789"))


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Reads and validates the parameters.

    Raises UserError, in one line that names the key, for an unknown or missing key, a wrong type
    or an impossible value, and when the file is missing or is not YAML.
    """
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506, a SafeLoader
    except FileNotFoundError:
        raise UserError(f"{path} not found: run this from the project's root") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    try:
        return Params.model_validate(tree)
    except ValidationError as error:
        problems = "; ".join(_describe(problem["loc"], problem["type"], problem["msg"]) for problem in error.errors())
        raise UserError(f"{path}: {problems}") from None


def _describe(where: tuple[int | str, ...], kind: str, message: str) -> str:
    key = ".".join(map(str, where)) or "the whole file"
    if kind == "extra_forbidden":
        return f"{key}: unknown parameter, see conf/ for those there are"
    return f"{key}: {message.removeprefix('Value error, ')}"
