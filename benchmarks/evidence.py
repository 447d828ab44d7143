"""What likelihood ratios are worth that are fitted to few groups, where the true ones are known.

Run as ``python -m benchmarks.evidence [--sets 200]`` from the project's root. The logit of a frame is normal with
variance 1 around plus half of APART for a fake and minus half for an original, so the true ratio has a closed form and
its Cllr is an integral. There are three kinds of validation frames:

- ``single``: one frame of each class in a group.
- ``alike``: five, which share half of the variance.
- ``hard tenth``: as ``alike``, but an original of one group in ten looks like a fake.

Each row is over sets of validation frames:

- ``bounds``: medians of the lower and the upper bound; ``largest`` is the largest upper one.
- ``exact Cllr``: that of the true ratios; ``true Cllr`` that of the fitted ones, bounded, on endless new frames;
  ``Cllr`` what the sidecar says, with its standard deviation over the sets.
- ``held``: how often the 95% interval holds the true ratio of a new frame, before bounds; ``overstated``: how often it
  is wholly farther from 1 than the true ratio, or on the other side.
- ``above``: the share of sets whose originals reach a ratio of x more often than 1/x, which a ratio must not. x is 100
  without bounds, and the upper bound with them.
"""

import math
from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import norm

from deepfake_detection.evaluation.calibration import fit_platt
from deepfake_detection.evaluation.fit_evidence import fit_evidence
from deepfake_detection.inference.evidence import LN10, QUANTILE

GROUPS = (9, 18, 60, 400)
KINDS = {"single": (1, 0.0), "alike": (5, 0.0), "hard tenth": (5, 0.1)}  # frames, share of originals like fakes
WITHIN = 0.5  # share of the variance that the frames of a class in a group have in common
APART = 2.33  # AUROC 0.95
PRIOR = 0.5
STRONG = 2.0
AT = np.linspace(0.025, 0.975, 39)  # quantiles of new frames

Floats = NDArray[np.float64]


def validation(groups: int, frames: int, hard: float, rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
    """Logits and labels of shape (2, groups, frames), originals first."""
    labels = np.broadcast_to(np.arange(2)[:, None, None], (2, groups, frames))
    like_fakes = labels.astype(bool) | (rng.random((2, groups, 1)) < hard)
    shared = math.sqrt(WITHIN) * rng.normal(size=(2, groups, 1))
    own = math.sqrt(1 - WITHIN) * rng.normal(size=(2, groups, frames))
    return shared + own + APART * (like_fakes - 0.5), labels


def true_ratio(logits: Floats, hard: float) -> Floats:
    """The natural logarithm of the true ratio."""
    return np.asarray(-np.log((1 - hard) * np.exp(-APART * logits) + hard))


def true_cllr(ratio: Callable[[Floats], Floats], hard: float) -> float:
    """The Cllr on endless new frames of what ``ratio`` gives for a logit, in natural logarithms."""

    def cost(logit: float) -> float:
        stated = float(ratio(np.array(logit)))
        fake, original = norm.pdf(logit, APART / 2), norm.pdf(logit, -APART / 2)
        original = (1 - hard) * original + hard * fake
        return float(fake * np.logaddexp(0, -stated) + original * np.logaddexp(0, stated)) / math.log(4)

    return float(quad(cost, -10, 10, limit=200)[0])


def measured(groups: int, frames: int, hard: float, rng: np.random.Generator) -> dict[str, float]:
    """What one set of validation frames gives."""
    logits, labels = validation(groups, frames, hard, rng)
    units = pd.Series(np.broadcast_to(np.arange(groups)[None, :, None], logits.shape).ravel())
    evidence = fit_evidence(logits.ravel(), labels.ravel(), units, PRIOR)
    if evidence is None:
        raise ValueError(f"{groups} groups show nothing")
    temperature, bias = fit_platt(logits.ravel(), labels.ravel(), PRIOR)
    slope = 1 / temperature

    def above(log10: float) -> float:
        """Whether more originals have at least this ratio than may."""
        least = (log10 * LN10 - bias) / slope
        share = (1 - hard) * norm.sf(least, -APART / 2) + hard * norm.sf(least, APART / 2)
        return float(share > 10**-log10)

    new = np.concatenate([norm.ppf(AT, side * APART / 2) for side in (-1, 1)])
    stated, true = slope * new + bias, true_ratio(new, hard)
    variance = np.array([new**2, 2 * new, np.ones_like(new)]).T @ np.array(evidence.spread)
    error = QUANTILE * np.sqrt(np.maximum(variance, 0))
    low, high = stated - error, stated + error
    return {
        "lower": evidence.lower,
        "upper": evidence.upper,
        "cllr": evidence.cllr,
        "true": true_cllr(lambda at: (slope * at + bias).clip(evidence.lower * LN10, evidence.upper * LN10), hard),
        "held": float(((low <= true) & (true <= high)).mean()),
        "overstated": float((((low > 0) & (low > true)) | ((high < 0) & (high < true))).mean()),
        "unbounded": above(STRONG),
        "bounded": above(evidence.upper),
    }


def table(sets: int) -> pd.DataFrame:
    """A row for each kind and number of groups."""
    rows: dict[tuple[str, int], dict[str, str]] = {}
    for kind, (frames, hard) in KINDS.items():
        exact = true_cllr(partial(true_ratio, hard=hard), hard)
        for groups in GROUPS:
            rng = np.random.default_rng([len(rows), groups])
            found = pd.DataFrame([measured(groups, frames, hard, rng) for _ in range(sets)])
            mean = found.mean()
            rows[kind, groups] = {
                "bounds": f"1/{10 ** -found['lower'].median():.1f} to {10 ** found['upper'].median():.1f}",
                "largest": f"{10 ** found['upper'].max():.1f}",
                "exact Cllr": f"{exact:.3f}",
                "true Cllr": f"{mean['true']:.3f}",
                "Cllr": f"{mean['cllr']:.3f} +- {found['cllr'].std():.3f}",
                "held": f"{mean['held']:.1%}",
                "overstated": f"{mean['overstated']:.1%}",
                "above at 100, unbounded": f"{mean['unbounded']:.0%}",
                "above at the bound": f"{mean['bounded']:.0%}",
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def main() -> None:
    parser = ArgumentParser(description="likelihood ratios from few groups, where the true ones are known")
    parser.add_argument("--sets", type=int, default=200, help="of validation frames, for each row")
    wanted = parser.parse_args()
    print(table(wanted.sets).to_string())


if __name__ == "__main__":
    main()
