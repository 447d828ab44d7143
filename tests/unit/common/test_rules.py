"""A threshold is a number between 0 and 1 or the name of a rule, which chooses it as by hand."""

import math

import numpy as np
import pytest
from scipy.special import expit

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.rules import Rule

LABELS = np.array([0, 0, 0, 1, 1, 1, 1, 0])
PROBABILITIES = np.array([0.1, 0.6, 0.2, 0.9, 0.4, 0.8, 0.5, 0.5])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.5, "fixed beforehand"),
        (0.001, "fixed beforehand"),
        ("youden", "TPR minus FPR"),
        ("fpr@0.01", "at most 0.01 on validation"),
        ("fpr@.5", "at most 0.5 on"),
        ("fpr@1e-3", "at most 0.001 on"),
    ],
)
def test_rules(value: float | str, words: str) -> None:
    assert Rule.parse(value).value == value
    assert words in Rule.parse(value).words()


@pytest.mark.parametrize(
    "value",
    [0, 1, 0.0, 1.0, -0.1, 2, True, None, math.nan, math.inf, "0.5", "Youden", "fpr@0", "fpr@1", "fpr@", "fpr@x"],
)
def test_what_is_no_rule(value: object) -> None:
    with pytest.raises(ValueError, match="must be a number between 0 and 1, youden, or fpr@x"):
        Rule.parse(value)


def test_youden_by_hand() -> None:
    # TPR - FPR is 1/2 for 0.8 and up, 1/4 for 0.6, 1/4 for 0.5, 1/2 for 0.4 and up: the higher of the two.
    assert Rule.parse("youden").choose(LABELS, PROBABILITIES) == pytest.approx(0.7, abs=1e-12)


def test_false_positive_rate_by_hand() -> None:
    # One of the four originals may be called: 0.6 is, 0.5 must not be.
    assert Rule.parse("fpr@0.25").choose(LABELS, PROBABILITIES) == pytest.approx(0.55, abs=1e-12)
    assert Rule.parse("fpr@0.01").choose(LABELS, PROBABILITIES) == pytest.approx(0.7, abs=1e-12)
    # Two may: 0.6 and 0.5, and every fake above the next original's 0.2.
    assert Rule.parse("fpr@0.5").choose(LABELS, PROBABILITIES) == pytest.approx(0.3, abs=1e-12)


@pytest.mark.parametrize("decimals", [2, 15])
@pytest.mark.parametrize("rule", ["youden", "fpr@0.01", "fpr@0.2"])
def test_no_other_threshold_is_better(rule: str, decimals: int) -> None:
    rng = np.random.default_rng(11)
    labels = rng.integers(0, 2, 300)
    probabilities = expit(rng.normal(2.0 * labels, 1)).round(decimals)

    def rates(threshold: float) -> tuple[float, float]:
        return float((probabilities[labels == 1] >= threshold).mean()), float(
            (probabilities[labels == 0] >= threshold).mean()
        )

    found = Rule.parse(rule).choose(labels, probabilities)
    tpr, fpr = rates(found)
    others = [rates(float(threshold)) for threshold in np.linspace(0.0005, 0.9995, 4001)]
    if rule == "youden":
        assert tpr - fpr >= max(t - f for t, f in others) - 1e-12
    else:
        limit = float(rule.removeprefix("fpr@"))
        assert fpr <= limit
        assert tpr >= max(t for t, f in others if f <= limit)
    shuffled = rng.permutation(300)
    assert Rule.parse(rule).choose(labels[shuffled], probabilities[shuffled]) == found


@pytest.mark.parametrize("rule", ["youden", "fpr@0.5", "fpr@0.01"])
@pytest.mark.parametrize(
    "probabilities",
    [
        [0.5, 0.5, 0.5, 0.5],
        [0.0, 0.0, 0.0, 0.0],
        [0.0, 1.0, 0.0, 1.0],
        [0.9, 0.1, 0.8, 0.2],
        [0.5, float(np.nextafter(0.5, 1)), 0.5, float(np.nextafter(0.5, 1))],
        [0.0, 5e-324, 0.0, 5e-324],
    ],
)
def test_threshold_is_always_inside(rule: str, probabilities: list[float]) -> None:
    labels = np.array([0, 1, 0, 1])
    found = Rule.parse(rule).choose(labels, np.array(probabilities))
    assert 0 < found < 1
    if rule != "youden":
        assert (np.array(probabilities)[labels == 0] >= found).mean() <= float(rule.removeprefix("fpr@"))


def test_youden_separates_neighbouring_numbers() -> None:
    above = float(np.nextafter(0.5, 1))
    assert Rule.parse("youden").choose(np.array([0, 1]), np.array([0.5, above])) == above


def test_saturated_originals_leave_no_threshold() -> None:
    labels, ones = np.array([0, 1]), np.ones(2)
    with pytest.raises(UserError, match="too many validation originals have probability 1"):
        Rule.parse("fpr@0.01").choose(labels, ones)
    assert 0 < Rule.parse("youden").choose(labels, ones) < 1


@pytest.mark.parametrize("rule", ["youden", "fpr@0.01"])
@pytest.mark.parametrize("labels", [[0, 0], [1, 1], []])
def test_one_class_cannot_choose(rule: str, labels: list[int]) -> None:
    with pytest.raises(UserError, match=r"calibrate.threshold .* needs validation frames of both classes"):
        Rule.parse(rule).choose(np.array(labels, int), np.linspace(0.2, 0.8, len(labels)))
    assert Rule.parse(0.3).choose(np.array(labels, int), np.linspace(0.2, 0.8, len(labels))) == 0.3
