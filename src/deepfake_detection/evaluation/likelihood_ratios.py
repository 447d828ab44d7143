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
from deepfake_detection.inference.evidence import LN10, log10_ratio
from deepfake_detection.network.sidecar import Calibration

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


def judged_by(rows: pd.DataFrame, calibration: Calibration, prior: float) -> pd.DataFrame:
    """``rows`` with the ``log10`` ratio and the verdict, ``called``, that ``calibration`` reads from ``logit``."""
    logits, evidence = rows["logit"].to_numpy(float), calibration.evidence
    ratios = log10_ratio(logits, calibration, prior).clip(evidence.lower, evidence.upper) if evidence else math.nan
    return rows.assign(log10=ratios, called=calibration.probability(logits) >= calibration.threshold)


def measured_ratios(rows: pd.DataFrame) -> dict[str, Any]:
    """What the ratios and verdicts of ``rows`` are worth.

    ``rows`` has ``label``, ``logit``, the group of people that counts as one observation as ``unit``, and what
    ``judged_by`` adds. Each rate has the upper end of its one-sided 95% interval over groups. A number is None without
    a class that it needs, or without ratios.
    """
    originals, fakes = (rows[rows["label"] == label] for label in (0, 1))
    cllr = least = None
    if len(originals) and len(fakes) and rows["log10"].notna().all():
        labels, weights = rows["label"].to_numpy(), group_weights(rows["label"], rows["unit"])
        cllr = cross_entropy(rows["log10"].to_numpy(float), labels, weights)
        least = cross_entropy(best_ratios(rows["logit"].to_numpy(float), labels, weights), labels, weights)
    return {
        "cllr": cllr,
        "cllr_min": least,
        "calibration_loss": None if cllr is None or least is None else cllr - least,
        "false_alarms": _rate(originals["called"], originals["unit"]),
        "misleading_originals": _rate(originals["log10"].dropna() > 0, originals["unit"]),
        "misleading_fakes": _rate(fakes["log10"].dropna() < 0, fakes["unit"]),
        "originals": {"count": len(originals), "groups": int(originals["unit"].nunique())},
        "fakes": {"count": len(fakes), "groups": int(fakes["unit"].nunique())},
    }


def _rate(wrong: pd.Series, units: pd.Series) -> dict[str, float | None]:
    """The share that is ``wrong``, as the mean over groups, and its upper end."""
    if wrong.empty:
        return {"rate": None, "upper": None}
    found = wrong.groupby(units).mean()
    return {"rate": float(found.mean()), "upper": float(highest_rate(found.mean(), len(found)))}
