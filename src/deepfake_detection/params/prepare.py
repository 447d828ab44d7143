"""The section ``prepare``: the part of a frame that the network sees, and its size."""

from typing import Annotated, Literal

from pydantic import Field

from deepfake_detection.params.section import Section


class Prepare(Section):
    image_size: Annotated[int, Field(ge=32, description="Width and height of the network's input, in pixels.")]
    crop: Annotated[
        Literal["none", "face"],
        Field(
            description="`none`: the whole frame, squeezed to a square, as in the original recipe. `face`: a square "
            "around the face; needs the extra `faces`. Not yet measured on FaceForensics++."
        ),
    ]
    margin: Annotated[
        float, Field(ge=0, le=4, description="For `crop: face`: margin on each side, as a multiple of the face's size.")
    ]
