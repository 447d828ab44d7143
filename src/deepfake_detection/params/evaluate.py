"""The section ``evaluate``: the decision threshold, the intervals and the backend."""

from typing import Annotated, Literal

from pydantic import Field

from deepfake_detection.params.section import Count, Section, Seed


class Evaluate(Section):
    missing: Annotated[
        Literal["exclude", "as_chance"],
        Field(
            description="What becomes of a test video that could not be read, or shows no face with "
            "`prepare.crop: face`, in the video metrics of its data set. `exclude`: it is left out. `as_chance`: it is "
            "judged with the probability `calibrate.prior`, as if nothing were known of it. It is counted either way."
        ),
    ]
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
