"""The section ``model``: the network and the weights that it starts from."""

from typing import Annotated

from pydantic import Field

from deepfake_detection.params.section import Section, UserPath


class Model(Section):
    arch: Annotated[str, Field(pattern=r"^efficientnet_b[0-7]$", description="`efficientnet_b0` to `efficientnet_b7`.")]
    weights: Annotated[
        UserPath,
        Field(
            min_length=1,
            description="`none`: from scratch. `imagenet`: torchvision's weights. Or the path of a checkpoint, `.pth` "
            "or `.safetensors`.",
        ),
    ]
    dropout: Annotated[float, Field(ge=0, lt=1, description="Dropout probability before the last layer.")]
