"""A threshold is a number between 0 and 1 or the name of a rule, which chooses it as by hand."""

import math

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import binom, norm

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.rules import Rule, highest_rate, lowest_shown, needed

LABELS = np.array([0, 0, 0, 1, 1, 1, 1, 0])
PROBABILITIES = np.array([0.1, 0.6, 0.2, 0.9, 0.4, 0.8, 0.5, 0.5])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.5, "fixed beforehand"),
        (0.001, "fixed beforehand"),
        ("youden", "TPR minus FPR"),
        ("fpr@0.01", "at most 0.01 at 95% confidence"),
        ("fpr@.5", "at most 0.5 at"),
        ("fpr@1e-3", "at most 0.001 at"),
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
    assert Rule.parse("youden").choose(LABELS, PROBABILITIES, math.inf) == pytest.approx(0.7, abs=1e-12)


def test_false_positive_rate_by_hand() -> None:
    # One of the four originals may be called: 0.6 is, 0.5 must not be.
    assert Rule.parse("fpr@0.25").choose(LABELS, PROBABILITIES, math.inf) == pytest.approx(0.55, abs=1e-12)
    assert Rule.parse("fpr@0.01").choose(LABELS, PROBABILITIES, math.inf) == pytest.approx(0.7, abs=1e-12)
    # Two may: 0.6 and 0.5, and every fake above the next original's 0.2.
    assert Rule.parse("fpr@0.5").choose(LABELS, PROBABILITIES, math.inf) == pytest.approx(0.3, abs=1e-12)


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

    found = Rule.parse(rule).choose(labels, probabilities, math.inf)
    tpr, fpr = rates(found)
    others = [rates(float(threshold)) for threshold in np.linspace(0.0005, 0.9995, 4001)]
    if rule == "youden":
        assert tpr - fpr >= max(t - f for t, f in others) - 1e-12
    else:
        limit = float(rule.removeprefix("fpr@"))
        assert fpr <= limit
        assert tpr >= max(t for t, f in others if f <= limit)
    shuffled = rng.permutation(300)
    assert Rule.parse(rule).choose(labels[shuffled], probabilities[shuffled], math.inf) == found


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
    found = Rule.parse(rule).choose(labels, np.array(probabilities), math.inf)
    assert 0 < found < 1
    if rule != "youden":
        assert (np.array(probabilities)[labels == 0] >= found).mean() <= float(rule.removeprefix("fpr@"))


def test_youden_separates_neighbouring_numbers() -> None:
    above = float(np.nextafter(0.5, 1))
    assert Rule.parse("youden").choose(np.array([0, 1]), np.array([0.5, above]), math.inf) == above


def test_saturated_originals_leave_no_threshold() -> None:
    labels, ones = np.array([0, 1]), np.ones(2)
    with pytest.raises(UserError, match="too many validation originals have probability 1"):
        Rule.parse("fpr@0.01").choose(labels, ones, math.inf)
    assert 0 < Rule.parse("youden").choose(labels, ones, math.inf) < 1


@pytest.mark.parametrize("rule", ["youden", "fpr@0.01"])
@pytest.mark.parametrize("labels", [[0, 0], [1, 1], []])
def test_one_class_cannot_choose(rule: str, labels: list[int]) -> None:
    with pytest.raises(UserError, match=r"calibrate.threshold .* needs validation frames of both classes"):
        Rule.parse(rule).choose(np.array(labels, int), np.linspace(0.2, 0.8, len(labels)), math.inf)
    assert Rule.parse(0.3).choose(np.array(labels, int), np.linspace(0.2, 0.8, len(labels)), math.inf) == 0.3


def test_a_rate_is_shown_by_as_many_originals_as_the_binomial_distribution_says() -> None:
    assert [needed(rate) for rate in (0.01, 0.05, 0.1)] == [299, 59, 29]
    for originals in (5, 59, 299):
        for called in range(originals // 2):
            bound = float(highest_rate(called / originals, originals))
            assert binom.cdf(called, originals, bound) == pytest.approx(0.05, abs=1e-9)
    assert (highest_rate(1.0, 5), highest_rate(0.3, 0), highest_rate(0.3, math.inf)) == (1, 1, 0.3)
    assert [lowest_shown(originals) for originals in (0, 9, 18, 299)] == pytest.approx([1, 0.29, 0.16, 0.01])


def test_a_rate_that_the_originals_cannot_show_is_no_rule_and_one_that_they_can_leaves_out_few() -> None:
    rng = np.random.default_rng(0)
    labels, probabilities = np.repeat([0, 1], 300), expit(rng.normal(size=600) + np.repeat([-1, 1], 300))
    highest = np.sort(probabilities[:300])[::-1]
    assert highest[0] < Rule.parse("fpr@0.01").choose(labels, probabilities, 299)  # above all 300 originals
    # by hand: at most 8 of 300 may be called for 5%, as P(X <= 8) = 3.3% and P(X <= 9) = 6.5% for 300 at 5%
    assert highest[8] < Rule.parse("fpr@0.05").choose(labels, probabilities, 300) < highest[7]
    with pytest.raises(
        UserError, match=r"fpr@0\.05 needs 59 independent originals in validation, and there are 58, which show no rate"
    ):
        Rule.parse("fpr@0.05").choose(labels, probabilities, 58.3)


def test_the_true_rate_is_kept_in_nearly_all_validation_sets_also_with_frames_that_are_alike() -> None:
    rng, rule = np.random.default_rng(0), Rule.parse("fpr@0.1")
    labels = np.array([0] * 200 + [1])  # 40 originals of 5 frames
    over = 0
    for _ in range(200):
        scores = np.repeat(rng.normal(0, 0.8**0.5, 40), 5) + rng.normal(0, 0.2**0.5, 200)
        over += norm.sf(logit(rule.choose(labels, expit(np.append(scores, 9)), 40))) > 0.1
    assert over <= 18  # 10 are expected at most, and 19 or more are a chance of 1 in 200
