"""The section ``evaluate``: the decision threshold, the intervals and the backend."""

from typing import Annotated, Literal

from pydantic import Field

from deepfake_detection.params.section import Count, Section, Seed


class Evaluate(Section):
    seed: Annotated[Seed, Field(description="Seed of the bootstrap and of the robustness stage.")]
    bootstrap_draws: Annotated[int, Field(ge=100, description="Draws of the bootstrap for the 95% intervals.")]
    batch_size: Annotated[Count, Field(description="Frames predicted at once.")]
    backend: Annotated[
        Literal["torch", "torch-folded", "torch-bf16", "openvino", "openvino-bf16", "openvino-int8", "auto"],
        Field(
            description="`torch` repeats to the byte; the others are faster; `auto` takes the fastest. OpenVINO runs "
            "on the CPU alone, so on a GPU `auto` leaves it out."
        ),
    ]
