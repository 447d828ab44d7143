"""Temperature, threshold rules and reliability against what they were made from."""

import math

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from deepfake_detection.common.errors import UserError
from deepfake_detection.evaluation.bootstrap import frame_metrics
from deepfake_detection.evaluation.calibration import calibrate, calibrate_both, fit_platt
from deepfake_detection.evaluation.reliability import reliability_table

LABELS = np.array([0, 0, 0, 1, 1, 1, 1, 0])
PROBABILITIES = np.array([0.1, 0.6, 0.2, 0.9, 0.4, 0.8, 0.5, 0.5])


def _calibrated(frames: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, frames)
    return logits, (rng.random(frames) < expit(logits)).astype(int)


@pytest.mark.parametrize(("temperature", "bias"), [(0.5, 0.0), (1.5, -1.0), (4.0, 2.0), (1e7, 2.0)])
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
    before = frame_metrics(labels, expit(logits), 0.5)["ece"]
    assert frame_metrics(labels, expit(logits / temperature + bias), 0.5)["ece"] < before / 2


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
        ([900.0, -900.0], [0, 1], 1799, 1801),  # in units of a tenth of their deviation
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
    assert {"youden", "fpr@0.01", "fpr@0.05"} == {*found.thresholds, *found.unavailable}
    one_class = calibrate(logits, np.ones(8, int), 0.5)
    assert one_class.thresholds == {}
    assert all("validation frames of both classes" in reason for reason in one_class.unavailable.values())
    with pytest.raises(UserError, match=r"calibrate\.threshold youden needs validation frames of both classes"):
        calibrate(logits, np.ones(8, int), "youden")


def test_the_rule_asked_for_is_in_the_table() -> None:
    logits, labels = _calibrated(500)
    found = calibrate(logits, labels, "fpr@0.2", originals=100)
    assert found.threshold == found.thresholds["fpr@0.2"]
    called = found.probability(logits) >= found.threshold
    assert 0.12 < called[labels == 0].mean() < 0.14  # P(X <= 13) = 4.7% for 100 at 20%, and P(X <= 14) = 8%
    assert set(found.thresholds) == {"youden", "fpr@0.05", "fpr@0.2"}
    assert found.unavailable["fpr@0.01"].startswith("calibrate.threshold fpr@0.01 needs 299 independent originals")
    assert found.groups == 100


def test_frames_of_one_person_count_as_one_original() -> None:
    rng = np.random.default_rng(0)
    rows = [("d", "Original", f"{who:03}", "", f"d/{who // 2}", 0) for who in range(60) for _ in range(5)]
    rows += [
        ("d", "Deepfakes", f"{who:03}", f"{who ^ 1:03}", f"d/{who // 2}", 1) for who in range(60) for _ in range(5)
    ]
    table = pd.DataFrame(rows, columns=["dataset", "category", "video_id", "source_id", "group", "label"])
    table["logit"] = rng.normal(3 * table["label"])
    frame, video = calibrate_both(table, "fpr@0.1")
    assert frame.groups == video.groups == 30
    assert "there are 30, which show no rate below 0.096" in frame.unavailable["fpr@0.05"]
    originals = table[table["label"] == 0]
    assert not (frame.probability(originals["logit"]) >= frame.threshold).any()  # 29 originals show 10% if none is over
    names = "id" + (table["video_id"].astype(int) % 20).astype(str) + "_" + table["video_id"]
    with pytest.raises(UserError, match=r"fpr@0\.1 needs 29 independent originals in validation, and there are 20"):
        calibrate_both(table.assign(video_id=names, group=names), "fpr@0.1")


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


def test_empty_bins_are_rows_without_means() -> None:
    table = reliability_table(LABELS, PROBABILITIES)
    assert len(table) == 15
    assert table["count"].sum() == 8
    assert table.loc[table["count"] == 0, ["mean_probability", "share_fake"]].isna().to_numpy().all()
    assert len(reliability_table(LABELS[:0], PROBABILITIES[:0])) == 15
