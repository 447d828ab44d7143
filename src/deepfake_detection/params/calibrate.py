"""The section ``calibrate``: how logits become probabilities, and probabilities verdicts."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from deepfake_detection.params.section import Section
from deepfake_detection.params.thresholds import parse_rule


class Calibrate(Section):
    threshold: Annotated[
        float | str,
        BeforeValidator(parse_rule),
        Field(
            description="Calibrated probability from which on a frame is called fake, everywhere: a number, or a rule "
            "applied to the validation frames. `youden`: largest TPR - FPR. `fpr@0.01`: lowest threshold that accuses "
            "at most 1% of the originals."
        ),
    ]
    prior: Annotated[
        float,
        Field(gt=0, lt=1, description="Share of fakes for which probabilities are stated."),
    ]
    familiarity: Annotated[
        Annotated[float, Field(gt=0, lt=1)] | None,
        Field(
            description="Share of the validation frames that count as familiar. A frame that is less like the training "
            "frames than these gets the verdict unfamiliar. null: every frame is judged."
        ),
    ]
