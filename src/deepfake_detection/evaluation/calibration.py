"""Calibration and thresholds, which come from validation frames and never from test frames."""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.rules import Rule
from deepfake_detection.common.units import drawn_units, kish
from deepfake_detection.evaluation.metrics import video_table
from deepfake_detection.network.sidecar import Calibration

SLOPES, BIASES = (0.05, 20.0), (-20.0, 20.0)
MOST_SPREAD = 10.0


def fit_platt(logits: NDArray[np.float64], labels: NDArray[np.int64], prior: float = 0.5) -> tuple[float, float]:
    """Temperature T and bias b for which sigmoid(logit / T + b) has the lowest log loss (Platt 1999).

    ``logits`` and ``labels`` are of shape (frames,). The classes are weighted as if a share of ``prior`` of the frames
    were fakes, so the probabilities hold for that share. The targets are smoothed as Platt does, so separable frames
    give no infinite slope. 1 / T is between 0.05 and 20. Returns 1 and 0, which change nothing, unless both classes
    are there. Logits of a deviation above MOST_SPREAD, which networks of others may give, are fitted in units of their
    own.
    """
    fakes, originals = int((labels == 1).sum()), int((labels == 0).sum())
    if not fakes or not originals:
        return 1.0, 0.0
    logits = np.asarray(logits, np.float64)
    unit = max(1.0, float(logits.std()) / MOST_SPREAD)
    logits = logits / unit
    targets = np.where(labels == 1, (fakes + 1) / (fakes + 2), 1 / (originals + 2))
    weights = np.where(labels == 1, prior / fakes, (1 - prior) / originals)

    def loss(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = line[0] * logits + line[1]
        gradient = weights * (expit(scores) - targets)
        value = float(weights @ (np.logaddexp(0, scores) - targets * scores))
        return value, np.array([gradient @ logits, gradient.sum()])

    # convex in slope and bias; scaled logits keep the two comparable
    found = minimize(loss, [1.0, 0.0], jac=True, method="L-BFGS-B", bounds=[SLOPES, BIASES], options={"ftol": 1e-14})
    return unit / float(found.x[0]), float(found.x[1])


def calibrate_both(validation: pd.DataFrame, rule: float | str, prior: float = 0.5) -> tuple[Calibration, Calibration]:
    """The calibrations of frames and of videos. ``validation`` is as for ``video_table``. See ``calibrate``."""
    frame, video = (
        calibrate(table["logit"].to_numpy(), table["label"].to_numpy(), rule, prior, independent_groups(table, 0))
        for table in (validation, video_table(validation))
    )
    return frame, video


def independent_groups(table: pd.DataFrame, label: int) -> float:
    """How many groups of one size the frames or videos of ``table`` with a ``label`` are worth: see ``units``."""
    return kish(drawn_units(table[table["label"] == label]).value_counts())


def calibrate(
    logits: NDArray[np.float64], labels: NDArray[np.int64], rule: float | str, prior: float = 0.5, originals: float = 0
) -> Calibration:
    """The calibration of frames, or of videos by the mean logit of their frames, from validation data.

    ``logits`` and ``labels`` are of shape (frames,). ``originals`` is how many of them are independent; none show no
    rate of false alarms. The threshold follows ``rule``, see ``Rule.choose``. Another rule of Rule.USUAL that cannot be
    kept on these frames is left out of ``thresholds``, and ``unavailable`` says why.

    Raises UserError when ``rule`` itself cannot be kept.
    """
    asked = Rule.parse(rule)
    temperature, bias = fit_platt(logits, labels, prior)
    probabilities = expit(logits / temperature + bias)
    thresholds, unavailable = {}, {}
    for each in dict.fromkeys([*Rule.USUAL, *([rule] if isinstance(rule, str) else [])]):
        try:
            thresholds[each] = Rule.parse(each).choose(labels, probabilities, originals)
        except UserError as error:
            unavailable[each] = str(error)
    return Calibration(
        temperature=temperature,
        bias=bias,
        threshold=asked.choose(labels, probabilities, originals),
        thresholds=thresholds,
        unavailable=unavailable,
        groups=math.floor(originals),
    )
