"""The section ``robustness``: how many frames are corrupted."""

from typing import Annotated

from pydantic import Field

from deepfake_detection.params.section import Section


class Robustness(Section):
    max_frames: Annotated[
        int,
        Field(
            ge=2,
            description="Largest number of test frames to use; classes keep their shares. Each is evaluated 41 times.",
        ),
    ]
