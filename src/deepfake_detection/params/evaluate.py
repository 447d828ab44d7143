"""The section ``evaluate``: the decision threshold, the intervals, the backend and the unseen manipulations."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from deepfake_detection.params.section import Count, Name, Section
from deepfake_detection.params.thresholds import parse_rule


class Evaluate(Section):
    threshold: Annotated[
        float | str,
        BeforeValidator(parse_rule),
        Field(
            description="Probability from which a frame is called fake: a number, or a rule applied to the validation "
            "frames. `youden`: largest TPR - FPR. `fpr@0.01`: lowest threshold that accuses at most 1% of the "
            "originals."
        ),
    ]
    unseen_categories: Annotated[list[Name], Field(description="Categories that are evaluated but never trained on.")]
    bootstrap_draws: Annotated[int, Field(ge=100, description="Draws of the bootstrap for the 95% intervals.")]
    batch_size: Annotated[Count, Field(description="Frames predicted at once.")]
    backend: Annotated[
        Literal["torch", "torch-folded", "torch-bf16", "openvino", "openvino-bf16", "openvino-int8", "auto"],
        Field(
            description="`torch` repeats to the byte; the others are faster; `auto` takes the fastest. OpenVINO runs "
            "on the CPU alone, so on a GPU `auto` leaves it out."
        ),
    ]
