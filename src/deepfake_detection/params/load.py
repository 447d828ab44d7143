"""Reads params.yaml as one typed and validated tree. An error in it gives one line that names the key."""

import re
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AfterValidator, ValidationError

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.text import printable
from deepfake_detection.params.data_sections import Dataset, Index, Key, Prepare, Split, Video, require_trained
from deepfake_detection.params.score_sections import Calibrate, Evaluate, Robustness
from deepfake_detection.params.section import Section
from deepfake_detection.params.train_sections import ADAPT, PRETRAIN, Model, Train


class Params(Section):
    datasets: Annotated[dict[Key, Dataset], AfterValidator(require_trained)]
    video: Video
    index: Index
    split: Split
    prepare: Prepare
    model: Model
    pretrain: PRETRAIN
    train: Train
    adapt: ADAPT
    calibrate: Calibrate
    evaluate: Evaluate
    robustness: Robustness


class _Loader(yaml.SafeLoader):
    """Reads 1e-4 as a number, as YAML 1.2 and DVC do. PyYAML follows YAML 1.1 and reads it as a string."""


_SCIENTIFIC = re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _SCIENTIFIC, list("-+0123456789"))


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Reads and validates the parameters.

    Raises UserError, in one line that names the key, for an unknown or missing key, a wrong type
    or an impossible value. Also raises it when the file is missing or is not YAML.
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


def _describe(location: tuple[int | str, ...], kind: str, message: str) -> str:
    key = printable(".".join(map(str, location))) or "the whole file"
    if kind == "extra_forbidden":
        return f"{key}: unknown parameter, see docs/reference/parameters.md"
    return f"{key}: {message.removeprefix('Value error, ')}"
