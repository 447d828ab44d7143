"""Temperature, threshold rules and reliability against what they were made from."""

import math

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from deepfake_detection.common.errors import UserError
from deepfake_detection.evaluation.calibration import calibrate, choose_threshold, fit_platt
from deepfake_detection.evaluation.reliability import expected_calibration_error, reliability_table

LABELS = np.array([0, 0, 0, 1, 1, 1, 1, 0])
PROBABILITIES = np.array([0.1, 0.6, 0.2, 0.9, 0.4, 0.8, 0.5, 0.5])


def _calibrated(frames: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, frames)
    return logits, (rng.random(frames) < expit(logits)).astype(int)


@pytest.mark.parametrize(("temperature", "bias"), [(0.5, 0.0), (1.5, -1.0), (4.0, 2.0)])
def test_temperature_and_bias_come_back(temperature: float, bias: float) -> None:
    logits, labels = _calibrated(40_000)
    found = fit_platt((logits - bias) * temperature, labels, prior=float(labels.mean()))
    assert found[0] == pytest.approx(temperature, rel=0.05)
    assert found[1] == pytest.approx(bias, abs=0.1)


def test_fit_has_the_least_loss_and_lowers_the_ece() -> None:
    logits, labels = _calibrated(2000)
    logits, prior = logits * 3 + 2, float(labels.mean())

    def loss(temperature: float, bias: float) -> float:
        fakes = int(labels.sum())
        targets = np.where(labels == 1, (fakes + 1) / (fakes + 2), 1 / (len(labels) - fakes + 2))
        scores = logits / temperature + bias
        return float(np.mean(np.logaddexp(0, scores) - targets * scores))

    temperature, bias = fit_platt(logits, labels, prior)
    for other in (0.99, 1.01):
        assert loss(temperature, bias) < loss(temperature * other, bias)
        assert loss(temperature, bias) < loss(temperature, bias * other)
    before = expected_calibration_error(labels, expit(logits))
    assert expected_calibration_error(labels, expit(logits / temperature + bias)) < before / 2


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_probabilities_hold_at_the_stated_prior_whatever_the_share_in_validation(share: float) -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(40_000) < share).astype(int)
    logits = rng.normal(np.where(labels == 1, 1.0, -1.0), 1.0)  # the log-likelihood ratio is 2 * logit
    for prior in (0.5, 0.1):
        temperature, bias = fit_platt(logits, labels, prior)
        # Bayes: posterior log-odds are the log-likelihood ratio plus the prior's log-odds
        assert 1 / temperature == pytest.approx(2, rel=0.05)
        assert bias == pytest.approx(math.log(prior / (1 - prior)), abs=0.1)


@pytest.mark.parametrize(
    ("logits", "labels", "low", "high"),
    [
        ([], [], 1, 1),
        ([1.0, 2.0], [1, 1], 1, 1),
        ([1.0, 2.0], [0, 0], 1, 1),
        ([-1.0, 1.0], [0, 1], 1.3, 1.6),  # separable: the smoothed targets 1/3 and 2/3 ask for logits of -ln 2 and ln 2
        ([1.0, -1.0], [0, 1], 19.99, 20),  # all wrong: the smallest slope allowed
        ([900.0, -900.0], [0, 1], 19.99, 20),
    ],
)
def test_fit_of_degenerate_frames(logits: list[float], labels: list[int], low: float, high: float) -> None:
    assert low <= fit_platt(np.array(logits), np.array(labels, int))[0] <= high


def test_logits_that_are_all_equal_give_the_prior() -> None:
    temperature, bias = fit_platt(np.zeros(40), np.arange(40) % 2, prior=0.2)
    assert expit(0 / temperature + bias) == pytest.approx(0.2 * 21 / 22 + 0.8 / 22, abs=1e-4)


def test_a_rule_that_cannot_be_kept_is_left_out_with_the_reason_and_an_error_only_if_asked_for() -> None:
    logits, labels = np.full(8, 900.0), np.array([0, 1] * 4)  # every probability is 1 or nearly so
    logits[labels == 1] = 901.0
    saturated = np.where(labels == 1, 2000.0, 1000.0)
    found = calibrate(saturated[labels == 1].repeat(2), np.array([0, 1] * 4), 0.3)
    assert found.threshold == 0.3
    assert not {"youden", "fpr@0.01"} - {*found.thresholds, *found.unavailable}
    one_class = calibrate(logits, np.ones(8, int), 0.5)
    assert one_class.thresholds == {}
    assert all("validation frames of both classes" in reason for reason in one_class.unavailable.values())
    with pytest.raises(UserError, match=r"calibrate\.threshold youden needs validation frames of both classes"):
        calibrate(logits, np.ones(8, int), "youden")


def test_the_rule_asked_for_is_in_the_table() -> None:
    logits, labels = _calibrated(500)
    found = calibrate(logits, labels, "fpr@0.2")
    assert found.threshold == found.thresholds["fpr@0.2"]
    called = found.probability(logits) >= found.threshold
    assert called[labels == 0].mean() <= 0.2
    assert set(found.thresholds) == {"youden", "fpr@0.01", "fpr@0.2"}


def test_youden_by_hand() -> None:
    # TPR - FPR is 1/2 for 0.8 and up, 1/4 for 0.6, 1/4 for 0.5, 1/2 for 0.4 and up: the higher of the two.
    assert choose_threshold("youden", LABELS, PROBABILITIES) == pytest.approx(0.7, abs=1e-12)


def test_false_positive_rate_by_hand() -> None:
    # One of the four originals may be called: 0.6 is, 0.5 must not be.
    assert choose_threshold("fpr@0.25", LABELS, PROBABILITIES) == pytest.approx(0.55, abs=1e-12)
    assert choose_threshold("fpr@0.01", LABELS, PROBABILITIES) == pytest.approx(0.7, abs=1e-12)
    # Two may: 0.6 and 0.5, and every fake above the next original's 0.2.
    assert choose_threshold("fpr@0.5", LABELS, PROBABILITIES) == pytest.approx(0.3, abs=1e-12)


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

    found = choose_threshold(rule, labels, probabilities)
    tpr, fpr = rates(found)
    others = [rates(float(threshold)) for threshold in np.linspace(0.0005, 0.9995, 4001)]
    if rule == "youden":
        assert tpr - fpr >= max(t - f for t, f in others) - 1e-12
    else:
        limit = float(rule.removeprefix("fpr@"))
        assert fpr <= limit
        assert tpr >= max(t for t, f in others if f <= limit)
    shuffled = rng.permutation(300)
    assert choose_threshold(rule, labels[shuffled], probabilities[shuffled]) == found


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
    found = choose_threshold(rule, labels, np.array(probabilities))
    assert 0 < found < 1
    if rule != "youden":
        assert (np.array(probabilities)[labels == 0] >= found).mean() <= float(rule.removeprefix("fpr@"))


def test_youden_separates_neighbouring_numbers() -> None:
    above = float(np.nextafter(0.5, 1))
    assert choose_threshold("youden", np.array([0, 1]), np.array([0.5, above])) == above


def test_saturated_originals_leave_no_threshold() -> None:
    labels, ones = np.array([0, 1]), np.ones(2)
    with pytest.raises(UserError, match="too many validation originals have probability 1"):
        choose_threshold("fpr@0.01", labels, ones)
    assert 0 < choose_threshold("youden", labels, ones) < 1


@pytest.mark.parametrize("rule", ["youden", "fpr@0.01"])
@pytest.mark.parametrize("labels", [[0, 0], [1, 1], []])
def test_one_class_cannot_choose(rule: str, labels: list[int]) -> None:
    with pytest.raises(UserError, match=r"calibrate.threshold .* needs validation frames of both classes"):
        choose_threshold(rule, np.array(labels, int), np.linspace(0.2, 0.8, len(labels)))
    assert choose_threshold(0.3, np.array(labels, int), np.linspace(0.2, 0.8, len(labels))) == 0.3


@pytest.mark.parametrize(
    "rule",
    [0, 1, 0.0, 1.0, -0.1, 2, True, None, math.nan, math.inf, "0.5", "Youden", "fpr@0", "fpr@1", "fpr@", "fpr@x"],
)
def test_what_is_no_rule_is_refused(rule: object) -> None:
    with pytest.raises(UserError, match=r"calibrate\.threshold must be"):
        choose_threshold(rule, LABELS, PROBABILITIES)  # type: ignore[arg-type]


def test_reliability_by_hand() -> None:
    table = reliability_table(np.array([0, 1, 1, 0]), np.array([0.0, 0.5, 0.45, 1.0]), bins=2)
    expected = {
        "low": [0.0, 0.5],
        "high": [0.5, 1.0],
        "count": [3, 1],
        "mean_probability": [0.95 / 3, 1.0],
        "share_fake": [2 / 3, 0.0],
    }
    pd.testing.assert_frame_equal(table, pd.DataFrame(expected), rtol=1e-12)
    ece = expected_calibration_error(np.array([0, 1, 1, 0]), np.array([0.0, 0.5, 0.45, 1.0]), bins=2)
    assert ece == pytest.approx((abs(0.95 - 2) + 1) / 4, abs=1e-12)


def test_empty_bins_are_rows_without_means() -> None:
    table = reliability_table(LABELS, PROBABILITIES)
    assert len(table) == 15
    assert table["count"].sum() == 8
    assert table.loc[table["count"] == 0, ["mean_probability", "share_fake"]].isna().to_numpy().all()
    assert len(reliability_table(LABELS[:0], PROBABILITIES[:0])) == 15
