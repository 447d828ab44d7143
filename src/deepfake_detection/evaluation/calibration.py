"""Temperature and threshold, which are fitted on validation frames and never on test frames, and reliability."""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.metrics import roc_curve

from deepfake_detection.common.errors import UserError
from deepfake_detection.params.thresholds import fpr_limit, parse_rule

# At least 1: if the validation frames happen to be separable, a temperature near 0 would have the lowest loss.
TEMPERATURES = (1.0, 20.0)
BINS = 15


def fit_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The T in [1, 20] for which sigmoid(logit / T) has the lowest log loss (Guo et al. 2017, section 4.2).

    ``logits`` and ``labels`` are of shape (frames,). Returns 1.0, which changes nothing, for no frames, for one class
    only, and if no temperature is better (logits that are all 0).
    """
    if len(np.unique(labels)) < 2:
        return 1.0

    def loss(log_temperature: float) -> float:
        scaled = np.asarray(logits, np.float64) / math.exp(log_temperature)
        return float(np.mean(np.logaddexp(0, scaled) - labels * scaled))

    # Searches log T because T is a scale. The loss is convex in 1/T, so there is only one minimum.
    bounds = (math.log(TEMPERATURES[0]), math.log(TEMPERATURES[1]))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-8})
    return math.exp(found.x) if found.fun < loss(0.0) else 1.0


def calibrate(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> tuple[float, dict[str, float]]:
    """The temperature of validation frames, and each rule's threshold on their calibrated probability."""
    temperature = fit_temperature(logits, labels)
    probabilities = expit(logits / temperature)
    return temperature, {rule: choose_threshold(rule, labels, probabilities) for rule in ("youden", "fpr@0.01")}


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
        raise UserError(f"evaluate.threshold {error}") from error
    if isinstance(rule, float):
        return rule
    if len(np.unique(labels)) < 2:
        raise UserError(
            f"evaluate.threshold {rule} needs validation frames of both classes, found one or none: "
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
            f"evaluate.threshold {rule} cannot be kept: too many validation originals have probability 1; "
            "allow a higher rate, name a number, or train again with a lower train.lr"
        )
    return float(middle[within[-1]])


def reliability_bins(probabilities: NDArray[np.float64], bins: int = BINS) -> NDArray[np.int64]:
    """The bin of each probability. Bins are (low, high] as in Guo et al. 2017; 0 itself is in the first one."""
    edges = np.linspace(0, 1, bins + 1)
    return np.maximum(np.searchsorted(edges, probabilities, side="left") - 1, 0)


def reliability_table(labels: NDArray[np.int64], probabilities: NDArray[np.float64], bins: int = BINS) -> pd.DataFrame:
    """One row per bin of equal width: low, high, count, mean_probability, share_fake (both NaN in an empty bin)."""
    edges = np.linspace(0, 1, bins + 1)
    where = reliability_bins(probabilities, bins)
    count = np.bincount(where, minlength=bins)
    filled = np.where(count > 0, count, np.nan)
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "count": count,
            "mean_probability": np.bincount(where, weights=probabilities, minlength=bins) / filled,
            "share_fake": np.bincount(where, weights=labels, minlength=bins) / filled,
        }
    )


def expected_calibration_error(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], bins: int = BINS
) -> float:
    """Mean |mean probability - share of fakes| of the bins, weighted by their counts (Guo et al. 2017, equation 3).

    It uses the probability of fake, not the confidence in the predicted class. NaN without frames.
    """
    if not len(labels):
        return math.nan
    table = reliability_table(labels, probabilities, bins)
    gap = (table["mean_probability"] - table["share_fake"]).abs()
    return float((gap * table["count"]).sum() / len(labels))
