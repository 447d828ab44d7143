"""A threshold is a number between 0 and 1 or the name of a rule, and nothing else."""

import math
from typing import Annotated

import pytest
from pydantic import BaseModel, BeforeValidator, ValidationError

from deepfake_detection.params.thresholds import parse_rule


class Settings(BaseModel):
    threshold: Annotated[float | str, BeforeValidator(parse_rule)]


@pytest.mark.parametrize("rule", [0.5, 0.001, "youden", "fpr@0.01", "fpr@.5", "fpr@1e-3"])
def test_rules(rule: float | str) -> None:
    assert Settings(threshold=rule).threshold == rule


@pytest.mark.parametrize(
    "rule",
    [0, 1, 0.0, 1.0, -0.1, 2, True, None, math.nan, math.inf, "0.5", "Youden", "fpr@0", "fpr@1", "fpr@", "fpr@x"],
)
def test_what_is_no_rule(rule: object) -> None:
    with pytest.raises(ValidationError, match="must be a number between 0 and 1, youden, or fpr@x"):
        Settings.model_validate({"threshold": rule})
