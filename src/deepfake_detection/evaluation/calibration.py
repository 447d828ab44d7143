"""Calibration and thresholds, which come from validation frames and never from test frames."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.metrics import roc_curve

from deepfake_detection.common.errors import UserError
from deepfake_detection.network.sidecar import Calibration
from deepfake_detection.params.thresholds import fpr_limit, parse_rule

SLOPES, BIASES = (0.05, 20.0), (-20.0, 20.0)
RULES = ("youden", "fpr@0.01")  # in the sidecar whatever rule is asked for


def fit_platt(logits: NDArray[np.float64], labels: NDArray[np.int64], prior: float = 0.5) -> tuple[float, float]:
    """Temperature T and bias b for which sigmoid(logit / T + b) has the lowest log loss (Platt 1999).

    ``logits`` and ``labels`` are of shape (frames,). The classes are weighted as if a share of ``prior`` of the frames
    were fakes, so the probabilities hold for that share. The targets are smoothed as Platt does, so separable frames
    give no infinite slope. 1 / T is between 0.05 and 20. Returns 1 and 0, which change nothing, unless both classes
    are there.
    """
    fakes, originals = int((labels == 1).sum()), int((labels == 0).sum())
    if not fakes or not originals:
        return 1.0, 0.0
    logits = np.asarray(logits, np.float64)
    targets = np.where(labels == 1, (fakes + 1) / (fakes + 2), 1 / (originals + 2))
    weights = np.where(labels == 1, prior / fakes, (1 - prior) / originals)

    def loss(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = line[0] * logits + line[1]
        gradient = weights * (expit(scores) - targets)
        value = float(weights @ (np.logaddexp(0, scores) - targets * scores))
        return value, np.array([gradient @ logits, gradient.sum()])

    # convex in slope and bias; scaled logits keep the two comparable
    found = minimize(loss, [1.0, 0.0], jac=True, method="L-BFGS-B", bounds=[SLOPES, BIASES], options={"ftol": 1e-14})
    return 1 / float(found.x[0]), float(found.x[1])


def calibrate(
    logits: NDArray[np.float64], labels: NDArray[np.int64], rule: float | str, prior: float = 0.5
) -> Calibration:
    """The calibration of frames, or of videos by the mean logit of their frames, from validation data.

    ``logits`` and ``labels`` are of shape (frames,). The threshold follows ``rule``, see ``choose_threshold``. Another
    rule of RULES that cannot be kept on these frames is left out of ``thresholds``, and ``unavailable`` says why.

    Raises UserError when ``rule`` itself cannot be kept.
    """
    temperature, bias = fit_platt(logits, labels, prior)
    probabilities = expit(logits / temperature + bias)
    thresholds, unavailable = {}, {}
    for each in dict.fromkeys([*RULES, *([rule] if isinstance(rule, str) else [])]):
        try:
            thresholds[each] = choose_threshold(each, labels, probabilities)
        except UserError as error:
            unavailable[each] = str(error)
    return Calibration(
        temperature=temperature,
        bias=bias,
        threshold=choose_threshold(rule, labels, probabilities),
        thresholds=thresholds,
        unavailable=unavailable,
    )


def choose_threshold(rule: float | str, labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """The threshold by ``rule``, strictly between 0 and 1. A frame is called fake if it reaches the threshold.

    A rule that is a number is the threshold itself. ``youden`` maximises TPR - FPR (Youden 1950); of several maxima it
    takes the highest threshold, which calls the fewest frames fake. ``fpr@x`` is the lowest threshold at which the FPR
    over these frames is at most x. Both place the threshold in the middle between the two nearest scores.

    Raises UserError for an unknown rule, for frames of one class only, and when so many originals have probability 1
    that no threshold below 1 keeps the requested FPR.
    """
    try:
        rule = parse_rule(rule)
    except ValueError as error:
        raise UserError(f"calibrate.threshold {error}") from error
    if isinstance(rule, float):
        return rule
    if len(np.unique(labels)) < 2:
        raise UserError(
            f"calibrate.threshold {rule} needs validation frames of both classes, found one or none: "
            "enlarge split.val or name a number such as 0.5"
        )
    fpr, tpr, scores = roc_curve(labels, probabilities, drop_intermediate=False)
    # Point k of the curve calls the k highest distinct scores fake.
    lowest_called = np.concatenate([[1.0], scores[1:]])
    highest_left = np.concatenate([scores[1:], [0.0]])
    middle = (lowest_called + highest_left) / 2
    middle = np.where(middle <= highest_left, lowest_called, middle)  # no number between the two scores
    possible = (middle > 0) & (middle < 1)
    if rule == "youden":
        gain = np.where(possible, tpr - fpr, -np.inf)
        return float(middle[np.flatnonzero(gain >= gain.max() - 1e-12)[0]])
    within = np.flatnonzero(possible & (fpr <= fpr_limit(rule)))
    if not len(within):
        raise UserError(
            f"calibrate.threshold {rule} cannot be kept: too many validation originals have probability 1; "
            "allow a higher rate, name a number, or train again with a lower train.lr"
        )
    return float(middle[within[-1]])
