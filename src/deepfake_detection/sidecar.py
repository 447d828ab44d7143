"""What the JSON file beside a checkpoint may say: it comes from elsewhere as often as the checkpoint does."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deepfake_detection.errors import UserError
from deepfake_detection.params import Categories, Count, Fraction, Model

Positive = Annotated[float, Field(gt=0)]
Channels = Annotated[list[float], Field(min_length=3, max_length=3)]


class Sidecar(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    arch: Annotated[str, *Model.model_fields["arch"].metadata]
    input_size: Annotated[list[Annotated[int, Field(ge=1, le=8192)]], Field(min_length=2, max_length=2)]
    channels: Literal["RGB"] = "RGB"
    mean: Channels
    std: Annotated[list[Positive], Field(min_length=3, max_length=3)]
    crop: Literal["none", "face"] = "none"
    margin: Annotated[float, Field(ge=0)] = 0.0
    resize: str = ""
    output: str = ""
    categories: Categories
    temperature: Positive = 1.0
    threshold: Fraction = 0.5
    threshold_rule: float | str = 0.5
    thresholds: dict[str, Fraction] = {}
    best_epoch: Annotated[int, Field(ge=0)]
    parameters: Count


def read_sidecar(path: Path) -> dict[str, Any]:
    """The checked content of a checkpoint's sidecar, defaults filled in.

    Raises UserError, in one line that names the key, when the file is missing or holds what no checkpoint has:
    ``arch`` is one of efficientnet_b0 to b7, numbers are finite, thresholds are between 0 and 1.
    """
    try:
        return Sidecar.model_validate_json(path.read_bytes()).model_dump()
    except FileNotFoundError:
        raise UserError(f"{path}: not there; run `dvc repro train`") from None
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
        key = ".".join(map(str, problem["loc"])) or "the whole file"
        words = "".join(char if char.isprintable() else " " for char in f"{key}: {problem['msg']}")
        raise UserError(f"{path}: not the sidecar of a checkpoint ({words}); run `dvc repro train`") from None
