"""What a score is worth as evidence: a likelihood ratio, bounded by what it was calibrated on, and its words.

The propositions are that the file was made by a manipulation of the kinds that the network was calibrated on, and that
it is an unaltered recording of the kinds that it was calibrated on. The ratio does not contain a prior: that belongs to
the reader.
"""

import math
from typing import NamedTuple

from deepfake_detection.network.sidecar import Calibration, Logits

LN10 = math.log(10)
QUANTILE = 1.96  # of the normal distribution, for an interval of 95%
# European Network of Forensic Science Institutes 2015, "Guideline for evaluative reporting in forensic science": the
# support that a ratio gives, from this power of ten on
SUPPORT = {
    math.log10(2): "weak support",
    1.0: "moderate support",
    2.0: "moderately strong support",
    3.0: "strong support",
    4.0: "very strong support",
    6.0: "extremely strong support",
}
NO_SUPPORT = "no support"


class Ratio(NamedTuple):
    """A likelihood ratio as power of ten: above 0 it supports a manipulation, below 0 an unaltered recording.

    ``low`` and ``high`` are its 95% interval over the groups that it was calibrated on, within the bounds too.
    ``bounded`` is true if the score alone would give more than the calibration groups can show.
    """

    log10: float
    low: float
    high: float
    bounded: bool


def log10_ratio(logit: Logits, calibration: Calibration, prior: float) -> Logits:
    """The log10 likelihood ratio of a logit, of its shape, whatever the evidence can show."""
    ratio: Logits = (calibration.log_odds(logit) - math.log(prior / (1 - prior))) / LN10
    return ratio


def ratio_of(logit: float, calibration: Calibration, prior: float) -> Ratio | None:
    """The likelihood ratio of a logit that ``calibration`` reads for ``prior``. None where it has no evidence."""
    evidence = calibration.evidence
    if evidence is None:
        return None
    found = float(log10_ratio(logit, calibration, prior))
    slope, covariance, bias = evidence.spread
    error = QUANTILE * math.sqrt(max(slope * logit**2 + 2 * covariance * logit + bias, 0.0)) / LN10
    each = (found - error, found, found + error)
    low, log10, high = (min(max(value, evidence.lower), evidence.upper) for value in each)
    return Ratio(log10, low, high, log10 != found)


def support_of(log10: float) -> str:
    """The words for a ratio, such as "moderate support", for either proposition."""
    reached = [words for least, words in SUPPORT.items() if abs(log10) >= least]
    return reached[-1] if reached else NO_SUPPORT
