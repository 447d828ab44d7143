"""The section ``calibrate``: how logits become probabilities, and probabilities verdicts."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from deepfake_detection.common.rules import Rule
from deepfake_detection.params.section import Section


class Calibrate(Section):
    threshold: Annotated[
        float | str,
        BeforeValidator(lambda value: Rule.parse(value).value),
        Field(
            description="Calibrated probability from which on a frame is called fake, everywhere: a number, or a rule "
            "applied to the validation frames. " + Rule.MEANING
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
