"""How a network differs from torchvision's EfficientNet of the same name, as other programs' networks do."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Three = Annotated[list[float], Field(min_length=3, max_length=3)]
ThreePositive = Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=3, max_length=3)]


class Variant(BaseModel):
    """What a file of weights must say besides its tensors. By default it is a network of our own.

    ``padding`` is that of the convolutions of stride 2: ``symmetric`` as in torchvision, ``same`` as TensorFlow pads
    the size that comes, ``static`` as TensorFlow pads ``padding_size``, whatever size comes. ``eps`` is batch norm's.
    The ``unpadded`` stem is a convolution without padding. ``attention`` is the block, counted through the stages from
    0, behind which a map of attention multiplies the features. ``mean`` and ``std`` are those of ``Normalise``.
    With ``localise`` a WhereHead says where a frame looks changed; the logit does not depend on it.
    ``members`` networks, of the same kind each, are averaged by their probabilities.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    padding: Literal["symmetric", "same", "static"] = "symmetric"
    padding_size: Annotated[int, Field(ge=1, le=8192)] | None = None
    eps: Annotated[float, Field(gt=0, lt=1)] | None = None
    stem: Literal["padded", "unpadded"] = "padded"
    attention: Annotated[int, Field(ge=0, le=99)] | None = None
    mean: Three | None = None
    std: ThreePositive | None = None
    localise: bool = False
    members: Annotated[int, Field(ge=1, le=16)] = 1


OURS = Variant()
