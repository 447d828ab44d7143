"""Temperature, threshold rules and reliability against what they were made from."""

import math

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from deepfake_detection.common.errors import UserError
from deepfake_detection.evaluation.calibration import (
    choose_threshold,
    expected_calibration_error,
    fit_temperature,
    reliability_table,
)
from deepfake_detection.evaluation.probability import sigmoid

LABELS = np.array([0, 0, 0, 1, 1, 1, 1, 0])
PROBABILITIES = np.array([0.1, 0.6, 0.2, 0.9, 0.4, 0.8, 0.5, 0.5])


def _calibrated(frames: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, frames)
    return logits, (rng.random(frames) < sigmoid(logits)).astype(int)


@pytest.mark.parametrize("true", [1.5, 4.0])
def test_temperature_comes_back(true: float) -> None:
    logits, labels = _calibrated(20_000)
    assert fit_temperature(logits * true, labels) == pytest.approx(true, rel=0.05)


def test_temperature_has_the_least_loss_and_lowers_the_ece() -> None:
    logits, labels = _calibrated(2000)
    logits = logits * 3

    def loss(temperature: float) -> float:
        right = sigmoid(np.where(labels == 1, logits, -logits) / temperature)
        return float(-np.log(right).mean())

    found = fit_temperature(logits, labels)
    grid = np.exp(np.linspace(0, math.log(20), 2001))
    assert loss(found) <= min(loss(float(temperature)) for temperature in grid) + 1e-12
    before = expected_calibration_error(labels, sigmoid(logits))
    assert expected_calibration_error(labels, sigmoid(logits / found)) < before / 2


@pytest.mark.parametrize(
    ("logits", "labels", "low", "high"),
    [
        ([], [], 1, 1),
        ([1.0, 2.0], [1, 1], 1, 1),
        ([1.0, 2.0], [0, 0], 1, 1),
        ([0.0, 0.0], [0, 1], 1, 1),
        ([-1.0, 1.0], [0, 1], 1, 1),  # separable: would be sharpened without end
        ([1.0, -1.0], [0, 1], 19.99, 20),  # all wrong: as dull as allowed
        ([900.0, -900.0], [0, 1], 19.99, 20),
    ],
)
def test_temperature_of_degenerate_frames(logits: list[float], labels: list[int], low: float, high: float) -> None:
    assert low <= fit_temperature(np.array(logits), np.array(labels, int)) <= high


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
    probabilities = sigmoid(rng.normal(2.0 * labels, 1)).round(decimals)

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
    with pytest.raises(UserError, match=r"evaluate.threshold .* needs validation frames of both classes"):
        choose_threshold(rule, np.array(labels, int), np.linspace(0.2, 0.8, len(labels)))
    assert choose_threshold(0.3, np.array(labels, int), np.linspace(0.2, 0.8, len(labels))) == 0.3


@pytest.mark.parametrize(
    "rule",
    [0, 1, 0.0, 1.0, -0.1, 2, True, None, math.nan, math.inf, "0.5", "Youden", "fpr@0", "fpr@1", "fpr@", "fpr@x"],
)
def test_what_is_no_rule_is_refused(rule: object) -> None:
    with pytest.raises(UserError, match=r"evaluate\.threshold must be"):
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
