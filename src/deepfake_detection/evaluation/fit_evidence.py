"""Fits what bounds a likelihood ratio, from the scores of validation frames or films: see ``inference.evidence``.

The calibration is fitted again and again without some of the groups. So each score gets a ratio that it had no part in,
by which the bounds and the costs are found, and the differences between the fits say how certain the calibration is.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from deepfake_detection.evaluation.calibration import fit_platt
from deepfake_detection.evaluation.likelihood_ratios import best_ratios, cross_entropy, group_weights
from deepfake_detection.inference.evidence import QUANTILE, log10_ratio
from deepfake_detection.network.sidecar import Calibration, Evidence

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST = 3  # groups of each class, of which one can be left out and the others still differ
FOLDS = 50  # at most, because more give the same answer and take longer


def fit_evidence(logits: Floats, labels: Ints, units: pd.Series, prior: float) -> Evidence | None:
    """The evidence of a calibration of frames. The arguments are of shape (frames,); ``units`` are groups of people.

    Each group counts as one observation of a class, as its frames are alike. None with fewer than FEWEST groups of a
    class.
    """
    return evidence_of(logits, labels, _folds(labels, units), group_weights(labels, units), prior)


def evidence_of(scores: Floats, labels: Ints, folds: Ints, weights: Floats, prior: float) -> Evidence | None:
    """The evidence of a calibration of ``scores`` for ``prior``. The arguments are of shape (scores,).

    What is not independent is in one of the ``folds``. The ``weights`` of a class sum to its independent observations.
    """
    originals, fakes = (float(weights[labels == label].sum()) for label in (0, 1))
    if min(originals, fakes) < FEWEST - 1e-9 or not folds.any():
        return None
    log10, fits = np.empty(len(scores)), []
    for fold in range(folds.max() + 1):
        out = folds == fold
        temperature, bias = fit_platt(scores[~out], labels[~out], prior)
        log10[out] = log10_ratio(scores[out], Calibration(temperature=temperature, bias=bias), prior)
        fits.append((1 / temperature, bias))
    lower, upper = bounds(log10, labels, weights)
    (slope, covariance), (_, of_bias) = _jackknife(np.array(fits))
    return Evidence(
        lower=lower,
        upper=upper,
        spread=[slope, covariance, of_bias],
        originals=int(originals + 1e-9),
        fakes=int(fakes + 1e-9),
        cllr=cross_entropy(np.clip(log10, lower, upper), labels, weights),
        cllr_min=cross_entropy(best_ratios(scores, labels, weights), labels, weights),
    )


def bounds(log10: Floats, labels: Ints, weights: Floats) -> tuple[float, float]:
    """The empirical lower and upper bounds of log10 ratios, not above and not below 0.

    See Vergeer, van Es, de Jongh, Alberink and Stoel 2016, "Numerical likelihood ratios outputted by LR systems are
    often based on extrapolation: when to stop extrapolating?". Who acts on ratios above a threshold has to be better
    off than without any, even if one more observation of each class were misleading. Bounds are where that ends.
    """
    upper = _bound(log10, labels == 1, weights)
    return 0.0 - _bound(-log10, labels == 0, weights), upper


def _bound(log10: Floats, supported: NDArray[np.bool_], weights: Floats) -> float:
    """The bound above 0, where the classes that ``log10`` supports and opposes are told by ``supported``.

    At the threshold t it costs P(ratio <= t | supported) + t P(ratio > t | opposed) to act on ratios, with one more
    misleading observation in each class, and 1 not to. Between two ratios that happen both probabilities are constant.
    """
    starts = np.concatenate([[0.0], np.unique(log10[log10 > 0])])
    misses = (1 + _weight_up_to(starts, log10[supported], weights[supported])) / (1 + weights[supported].sum())
    left = _weight_up_to(starts, log10[~supported], weights[~supported]) / (1 + weights[~supported].sum())
    with np.errstate(divide="ignore"):
        ends = np.maximum(starts, np.log10(np.maximum(1 - misses, 0) / (1 - left)))  # where it costs 1
    return float(ends[ends < np.append(starts[1:], np.inf)][0])


def _weight_up_to(limits: Floats, values: Floats, weights: Floats) -> Floats:
    order = np.argsort(values)
    return np.append(0.0, weights[order].cumsum())[np.searchsorted(values[order], limits, side="right")]


def _folds(labels: Ints, units: pd.Series) -> Ints:
    """The fold of each frame. A fold has whole groups, and no fold has all originals or all fakes."""
    share = pd.Series(labels).groupby(units.to_numpy()).mean()
    order = ((share > 0).astype(int) + (share == 1)).sort_values(kind="stable").index
    fold = dict(zip(order, np.arange(len(order)) % min(FOLDS, len(order)), strict=True))
    return units.map(fold).to_numpy(np.int64)


def _jackknife(fits: Floats) -> list[list[float]]:
    """The covariance of slope and bias by the delete-a-group jackknife. ``fits`` has shape (folds, 2).

    See Kott 2001, "The delete-a-group jackknife". It is widened so that the quantile of the normal distribution gives
    the interval of Student's t distribution, which few folds need.
    """
    freedom = len(fits) - 1
    widened = (float(stdtrit(freedom, 0.975)) / QUANTILE) ** 2
    found: list[list[float]] = (widened * freedom * np.cov(fits.T, bias=True)).tolist()
    return found
