"""Metrics against counts made by hand."""

import json
import math

import numpy as np
import pytest

from deepfake_detection.metrics import class_report, frame_metrics, sigmoid

LABELS = np.array([0, 0, 0, 1, 1, 1, 1, 0])
PROBABILITIES = np.array([0.1, 0.6, 0.2, 0.9, 0.4, 0.8, 0.5, 0.5])


def test_metrics_by_hand() -> None:
    found = frame_metrics(LABELS, PROBABILITIES, 0.5)
    assert found["confusion_matrix"] == {"tn": 2, "fp": 2, "fn": 1, "tp": 3}
    assert found["accuracy"] == pytest.approx(5 / 8, abs=1e-12)
    assert found["precision"] == pytest.approx(3 / 5, abs=1e-12)
    assert found["recall"] == pytest.approx(3 / 4, abs=1e-12)
    assert found["f1"] == pytest.approx(2 * 3 / 5 * 3 / 4 / (3 / 5 + 3 / 4), abs=1e-12)
    wins = [(f > r) + 0.5 * (f == r) for f in (0.9, 0.4, 0.8, 0.5) for r in (0.1, 0.6, 0.2, 0.5)]
    assert found["auroc"] == pytest.approx(sum(wins) / 16, abs=1e-12)
    likelihood = [p if label else 1 - p for p, label in zip(PROBABILITIES, LABELS, strict=True)]
    assert found["log_loss"] == pytest.approx(-np.mean(np.log(likelihood)), abs=1e-12)


def test_threshold_moves_the_calls_but_not_the_ranking() -> None:
    strict = frame_metrics(LABELS, PROBABILITIES, 0.85)
    assert strict["confusion_matrix"] == {"tn": 4, "fp": 0, "fn": 3, "tp": 1}
    assert strict["auroc"] == frame_metrics(LABELS, PROBABILITIES, 0.5)["auroc"]


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_auroc_and_no_nan(label: int) -> None:
    found = frame_metrics(np.full(4, label), np.array([0.1, 0.2, 0.3, 0.4]), 0.5)
    assert found["auroc"] is None
    json.dumps(found, allow_nan=False)


def test_report_has_a_row_a_class() -> None:
    report = class_report(LABELS, PROBABILITIES, 0.5)
    assert report["Deepfake"]["precision"] == pytest.approx(3 / 5)
    assert report["Original"]["recall"] == pytest.approx(2 / 4)
    assert report["Deepfake"]["support"] == 4


def test_sigmoid_survives_large_logits() -> None:
    assert sigmoid(np.array([0.0, 1000.0, -1000.0])).tolist() == [0.5, 1.0, 0.0]
    assert sigmoid(np.array([-2.0]))[0] == pytest.approx(1 / (1 + math.exp(2)), abs=1e-15)
