"""What a case file shows of a score as evidence: its ratio in words, the tests on files like it, and mild changes."""

from typing import Any

from scipy.special import logit

from deepfake_detection.inference.tested import Tested
from deepfake_detection.network.sidecar import Sidecar
from deepfake_detection.serving.likelihood import ratio_sentences, short_words, times
from deepfake_detection.serving.results import Prediction, flips
from deepfake_detection.serving.validation import alarms_of, condition_rows
from deepfake_detection.serving.words import reading_of, rounded_percent

REACH = 6.0  # natural log odds at either end of the strip, 400 to 1; what is beyond stands at its end


def evidence_values(
    found: Prediction, sidecar: Sidecar, tested: Tested | None, conditions: dict[str, float | None]
) -> dict[str, Any]:
    """What the template shows; {} if nothing has a verdict by a threshold."""
    calibration = reading_of(found, sidecar)
    if found.probability is None or found.verdict == "unfamiliar":
        return {}
    ratio, known = found.evidence, calibration.evidence
    sentences = [*(ratio_sentences(ratio, known, sidecar.categories) if ratio and known else [])]
    return {
        "short": short_words(ratio) if ratio else "",
        "sentences": [*sentences, *filter(None, [alarms_of(found, tested), range_words(found)])],
        "conditions": condition_rows(conditions, tested),
        "strip": strip(found, calibration.threshold),
    }


def range_words(found: Prediction) -> str:
    """How far the score moves under mild changes, and whether one flips the verdict; nothing if none was made."""
    if not found.checks:
        return ""
    flipped = len(flips(found))
    verdict = f"{flipped} of them flip the verdict" if flipped else "none of them flips the verdict"
    ratios = [check.log10_lr for check in found.checks if check.log10_lr is not None]
    probabilities = [check.probability for check in found.checks]
    moved = f"the probability is {rounded_percent(min(probabilities))} to {rounded_percent(max(probabilities))}"
    if ratios:
        ends = dict.fromkeys((_for(min(ratios)), _for(max(ratios))))
        moved = f"the ratio is {'from ' * (len(ends) > 1)}{' to '.join(ends)}"
    return f"After {len(found.checks)} changes that nobody sees {moved}, and {verdict}."


def strip(found: Prediction, threshold: float) -> dict[str, Any]:
    """The file as it is and after each change, with places from left to right in percent; {} without changes."""
    if not found.checks or found.probability is None:
        return {}
    rows = [
        ("as it is", found.probability, False, ""),
        *((check.change, check.probability, check.flips, check.verdict) for check in found.checks),
    ]
    return {
        "threshold": _place(threshold),
        "rows": [
            {
                "change": change,
                "x": _place(probability),
                "flips": flipped,
                "percent": rounded_percent(probability, threshold),
                "verdict": verdict,
            }
            for change, probability, flipped, verdict in rows
        ],
    }


def _place(probability: float) -> float:
    return round(50 + 50 * min(max(float(logit(probability)) / REACH, -1.0), 1.0), 1)


def _for(log10: float) -> str:
    return f"{times(log10)} for {'a manipulation' if log10 > 0 else 'an unaltered recording'}"
