"""The base class of every section of params.yaml, and the types that several sections use."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from deepfake_detection.common.files import expanded

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[\w+.-]+$")]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
UserPath = Annotated[str, AfterValidator(expanded)]  # relative ones are relative to the project's root


class Section(BaseModel):
    """A section. Every key is required. Unknown keys and numbers that are not finite are rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
