"""How good likelihood ratios are: what they cost who decides by them, and how often they mislead.

Every group of people counts as one observation of a class, however many frames it has, because the frames of a group
are alike. Ratios are in powers of ten: above 0 they support a manipulation.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from deepfake_detection.common.rules import highest_rate
from deepfake_detection.inference.evidence import LN10

PRIORS = np.linspace(-2.5, 2.5, 41)  # log10 of the odds of a fake, over which the cross-entropy is drawn
POINTS = 31  # of a Tippett table

Floats = NDArray[np.float64]


def group_weights(labels: ArrayLike, units: ArrayLike) -> Floats:
    """The weight of each frame, shape (frames,): those of one class in one group share the weight 1."""
    table = pd.DataFrame({"label": np.asarray(labels), "unit": np.asarray(units)})
    return 1 / table.groupby(["label", "unit"])["label"].transform("size").to_numpy(float)


def cross_entropy(log10: Floats, labels: NDArray[np.int64], weights: Floats, prior: float = 0.0) -> float:
    """The empirical cross-entropy of ratios in bits, for who has the ``prior`` log10 odds of a fake.

    See Ramos, Gonzalez-Rodriguez, Zadora and Aitken 2013, "Information-theoretical assessment of the performance of
    likelihood ratio computation methods". At even odds it is the Cllr of Brümmer and du Preez 2006,
    "Application-independent evaluation of speaker detection", which is 1 for ratios that say nothing. ``log10``,
    ``labels`` and ``weights`` are of shape (frames,) and have both classes.
    """
    posterior = (log10 + prior) * LN10
    bits = np.logaddexp(0, np.where(labels == 1, -posterior, posterior)) / math.log(2)
    original, fake = (np.average(bits[labels == label], weights=weights[labels == label]) for label in (0, 1))
    share = float(expit(prior * LN10))
    return float(share * fake + (1 - share) * original)


def best_ratios(scores: Floats, labels: NDArray[np.int64], weights: Floats) -> Floats:
    """The log10 ratios with the least cross-entropy that rise with the scores, from minus to plus infinity.

    They are found with the labels, by the pool-adjacent-violators algorithm, so no calibration can do better.
    """
    totals = np.array([weights[labels == label].sum() for label in (0, 1)])
    share = IsotonicRegression(y_min=0, y_max=1).fit_transform(scores, labels, sample_weight=weights / totals[labels])
    with np.errstate(divide="ignore"):
        return np.asarray(np.log10(share) - np.log10(1 - share), np.float64)


def measured_ratios(rows: pd.DataFrame) -> dict[str, Any]:
    """What the ratios and verdicts of ``rows`` are worth.

    ``rows`` has for each frame or video its ``label``, the group as ``unit``, the ``logit``, its ``log10`` ratio, NaN
    where none can be given, and whether it is ``called`` a fake. Rates have the upper end of their one-sided 95%
    interval over groups. A number is None without a class that it needs, or without ratios.
    """
    labels, units, log10 = rows["label"].to_numpy(), rows["unit"], rows["log10"].to_numpy(float)
    weights = group_weights(labels, units)
    real, fake = labels == 0, labels == 1
    counts = {
        name: {"count": int(own.sum()), "groups": int(units[own].nunique())}
        for name, own in (("originals", real), ("fakes", fake))
    }

    def rate(wrong: NDArray[np.bool_], own: NDArray[np.bool_]) -> dict[str, float] | None:
        if not own.any() or np.isnan(log10[own]).any() and wrong is not called:
            return None
        found = float(np.average(wrong[own], weights=weights[own]))
        return {"rate": found, "upper": float(highest_rate(found, units[own].nunique()))}

    called = rows["called"].to_numpy(bool)
    cllr = least = None
    if real.any() and fake.any() and not np.isnan(log10).any():
        cllr = cross_entropy(log10, labels, weights)
        least = cross_entropy(best_ratios(rows["logit"].to_numpy(float), labels, weights), labels, weights)
    return {
        "cllr": cllr,
        "cllr_min": least,
        "calibration_loss": None if cllr is None or least is None else cllr - least,
        "false_alarms": rate(called, real),
        "misleading_originals": rate(log10 > 0, real),
        "misleading_fakes": rate(log10 < 0, fake),
        **counts,
    }
