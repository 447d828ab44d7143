"""What is said of a score as evidence: its likelihood ratio, the two propositions, and how the network did with both.

Numbers are those of inference.evidence. The ratio has no prior in it, and the probability has: see Sidecar.prior.
"""

import math
from dataclasses import dataclass

from deepfake_detection.inference.evidence import ratio_of, support_of
from deepfake_detection.network.sidecar import Calibration, Categories, Evidence, Sidecar

WORTHLESS = "worth nothing"
AS_LIKELY = 0.02  # powers of ten, 5%: a ratio nearer to 1 is that of a score which is as likely either way


@dataclass(frozen=True)
class LikelihoodRatio:
    """A likelihood ratio as power of ten: above 0 it supports a manipulation, below 0 an unaltered recording.

    ``low`` and ``high`` are its 95% interval. ``bounded`` is true if the score alone would give more than the groups
    that it was calibrated on can show. ``support`` has the words of the ENFSI guideline for either proposition, or
    WORTHLESS if the ratios of this network say no more than silence.
    """

    log10_lr: float
    low: float
    high: float
    bounded: bool
    support: str


def likelihood_ratio(logit: float, calibration: Calibration, prior: float, looks: int = 1) -> LikelihoodRatio | None:
    """The ratio of a logit that ``calibration`` reads for ``prior``. None if it has no evidence.

    The logit is the highest of ``looks``, of which any may be the manipulated one. The ratio of them together is the
    mean of theirs (Vovk and Wang 2021, "E-values"), which is between the highest and the highest divided by ``looks``.
    Of these the one nearer to 1 is taken.
    """
    found = ratio_of(logit, calibration, prior)
    if found is None:
        return None
    fewer = math.log10(looks)
    log10, low, high = (max(min(each, 0.0), each - fewer) for each in found[:3])
    return LikelihoodRatio(log10, low, high, found.bounded, WORTHLESS if worthless(calibration) else support_of(log10))


def worthless(calibration: Calibration) -> str:
    """Why ratios by this calibration are worth nothing, or nothing ("") if they are worth something."""
    evidence = calibration.evidence
    if evidence is None or evidence.cllr < 1:
        return ""
    return f"{WORTHLESS} as evidence, by its cost on files that it was not calibrated on (Cllr {evidence.cllr:.2f})"


def times(log10: float) -> str:
    """How many times more likely, to two digits: "40" for 1.6 and for -1.6."""
    return f"{float(f'{10 ** abs(log10):.2g}'):,.10g}"


def short_words(ratio: LikelihoodRatio) -> str:
    """The ratio in half a line, such as "about 40 times more likely if manipulated (12 to 100): moderate support"."""
    if ratio.support == WORTHLESS:
        return f"the ratio is {WORTHLESS}"
    how_sure = "no more can be shown" if ratio.bounded else _interval(ratio)
    return f"{_more_likely(ratio.log10_lr)} ({how_sure}): {ratio.support}"


def propositions(sidecar: Sidecar) -> tuple[str, str]:
    """What the ratio compares, with the names of the categories."""
    fake, real = (", ".join(names) for names in (sidecar.categories.fake, sidecar.categories.real))
    return (
        f"The file was made by a manipulation of the kinds that the network was calibrated on: {fake}.",
        f"The file is an unaltered recording of the kinds that the network was calibrated on: {real}.",
    )


def ratio_sentences(ratio: LikelihoodRatio, evidence: Evidence, categories: Categories) -> list[str]:
    """The ratio as an examiner says it, of the two ``propositions``."""
    cost = (
        f"On files that it was not fitted on its ratios cost {evidence.cllr:.2f} (Cllr: 0 is faultless, 1 is worth "
        f"nothing), and no calibration of the same scores could cost less than {evidence.cllr_min:.2f}."
    )
    if ratio.support == WORTHLESS:
        return ["The ratios of this network are worth nothing: they say no more than silence, so none is given.", cost]
    both = [
        f"if the file was made by a manipulation of the kinds {', '.join(categories.fake)}",
        f"if it is an unaltered recording of the kinds {', '.join(categories.real)}",
    ]
    likelier, other = both if ratio.log10_lr > 0 else both[::-1]
    says = f"This score is about {times(ratio.log10_lr)} times more likely {likelier} than {other}: {ratio.support}."
    if abs(ratio.log10_lr) < AS_LIKELY:
        says = f"This score is about as likely {likelier} as {other}: no support for either."
    groups = f"{evidence.originals + evidence.fakes} groups, {evidence.originals} of originals and {evidence.fakes} of "
    said = [says]
    if ratio.low < ratio.high:  # else both are beyond the same bound
        said.append(f"95% interval: {_interval(ratio)} (log10 {ratio.low:.1f} to {ratio.high:.1f}).")
    if ratio.bounded:
        said.append(f"The score alone would give more, and no more can be said from {groups}fakes.")
    return [*said, cost]


def prior_words(prior: float, ratio: LikelihoodRatio | None) -> str:
    """For which share of fakes a probability holds, and how far it can be shown where ``ratio`` is bounded.

    Such as "if half of such files were fakes; the files that it was calibrated on can show 83% at most".
    """
    said = f"if {'half' if prior == 0.5 else f'{100 * prior:.3g}%'} of such files were fakes"
    if ratio is None or not ratio.bounded or ratio.support == WORTHLESS:
        return said
    odds = prior / (1 - prior) * 10**ratio.log10_lr
    end = "most" if ratio.log10_lr > 0 else "least"
    return f"{said}; the files that it was calibrated on can show {odds / (1 + odds):.0%} at {end}"


def _more_likely(log10: float) -> str:
    if abs(log10) < AS_LIKELY:
        return "about as likely either way"
    return f"about {times(log10)} times more likely if {'manipulated' if log10 > 0 else 'unaltered'}"


def _interval(ratio: LikelihoodRatio) -> str:
    """Both ends, such as "12 to 100", or "2 times for unaltered to 5 times for manipulated"."""
    if ratio.low < 0 < ratio.high:
        return f"{times(ratio.low)} times for unaltered to {times(ratio.high)} times for manipulated"
    return " to ".join(times(end) for end in sorted((ratio.low, ratio.high), key=abs))
