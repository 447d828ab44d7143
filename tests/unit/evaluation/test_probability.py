"""Logits become probabilities, however large they are."""

import math

import numpy as np
import pytest

from deepfake_detection.evaluation.probability import sigmoid


def test_sigmoid_survives_large_logits() -> None:
    assert sigmoid(np.array([0.0, 1000.0, -1000.0])).tolist() == [0.5, 1.0, 0.0]
    assert sigmoid(np.array([-2.0]))[0] == pytest.approx(1 / (1 + math.exp(2)), abs=1e-15)
