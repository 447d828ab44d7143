"""The metrics, with 95% intervals by a bootstrap over identity groups, because frames of one video are not independent.

Whole groups are drawn with replacement, and all frames of a group stay together: the cluster bootstrap of Davison &
Hinkley 1997 (Bootstrap Methods and their Application, section 3.8) and Field & Welsh 2007 (Bootstrapping clustered
data, JRSS B 69). A draw is only a count per group, so every metric is computed for many draws at once, with the counts
as weights of the frames.

The draws give a standard error. Their percentiles are not used as ends of the interval: with few groups they are too
close together, and a metric of 1 in the sample is 1 in every draw. See docs/concepts/intervals.md for the coverage.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from deepfake_detection.common.tables import CLASS_NAMES
from deepfake_detection.common.units import kish
from deepfake_detection.evaluation.reliability import BINS, reliability_bins

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

METRICS = (
    "accuracy",
    "precision",
    "recall",
    "f1",
    "auroc",
    "log_loss",
    "average_precision",
    "eer",
    "tpr_at_fpr_1pct",
    "tpr_at_fpr_0_1pct",
    "balanced_accuracy",
    "mcc",
    "brier",
    "ece",
)
# Simulated intervals of these hold the true value in far fewer than 90 of 100 samples: see docs/concepts/intervals.md
NO_INTERVAL = ("tpr_at_fpr_1pct", "tpr_at_fpr_0_1pct", "ece")
DRAWS = 2000
LEVEL = 0.95
UNDEFINED_SHARE = 0.1
NO_SPREAD = 1e-12  # a standard error below this share of the metric is only rounding
CHUNK_CELLS = 300_000  # draws x frames at a time: 2.4 MB per array


def frame_metrics(labels: NDArray[np.int64], probabilities: NDArray[np.float64], threshold: float) -> dict[str, Any]:
    """Metrics over frames (or videos). A frame is called fake if its probability is at least ``threshold``.

    ``labels`` and ``probabilities`` are of shape (frames,). These metrics are less common: ``eer`` is the rate at which
    the ROC curve, with straight lines between its points, has FPR = 1 - TPR. ``tpr_at_fpr_1pct`` and
    ``tpr_at_fpr_0_1pct`` are the highest TPR of a threshold whose FPR is at most 1% or 0.1%. ``ece`` follows Guo et al.
    2017, with 15 bins on the probability of fake. Metrics that need both classes are None with only one class. All
    metrics are None without frames. ``undefined`` says why. Precision without a positive call, recall and F1 without a
    fake, and MCC when all calls are alike, are 0.
    """
    labels, called = np.asarray(labels, np.int64), np.asarray(probabilities, np.float64) >= threshold
    values: dict[str, float] = {}
    if len(labels):
        # the sample is a draw in which each frame, all of one group, is there once
        group, once = np.zeros(len(labels), np.int64), np.ones((1, 1), np.int64)
        found = resampled_metrics(labels, probabilities, group, once, threshold)
        values = {name: float(value[0]) for name, value in found.items() if not np.isnan(value[0])}
    reason = (
        f"needs both classes, found only {CLASS_NAMES[labels[0]]}" if len(labels) else "there is nothing to measure"
    )
    counts = np.bincount(2 * labels + called, minlength=4).tolist()
    return {
        **{name: values.get(name) for name in METRICS},
        "confusion_matrix": dict(zip(("tn", "fp", "fn", "tp"), counts, strict=True)),
        "undefined": {name: reason for name in METRICS if name not in values},
    }


def group_intervals(
    labels: Ints, probabilities: Floats, groups: NDArray[Any], threshold: float, seed: int, draws: int = DRAWS
) -> dict[str, list[float] | None]:
    """The 95% interval [low, high] of every metric of ``frame_metrics`` except the confusion matrix.

    ``labels``, ``probabilities`` and ``groups`` (any hashable identifiers) are of shape (frames,). The intervals are
    those of ``score_interval``, of ``log_interval`` for the log loss, which has no upper bound.
    Draws in which a metric is undefined (only one class) are left out. An interval is None if more than a tenth of the
    draws are left out, for the metrics of NO_INTERVAL, and where the ``effective_groups`` of a metric are fewer than
    two, which say nothing about the spread between groups.
    """
    codes, names = pd.factorize(np.asarray(groups, object), use_na_sentinel=False)
    size = len(names)
    if size < 2:
        return dict.fromkeys(METRICS)
    counts = np.vstack([np.ones((1, size), np.int64), group_draws(size, seed, draws)])
    values = resampled_metrics(labels, probabilities, codes.astype(np.int64), counts, threshold)
    worth = effective_groups(labels, codes.astype(np.int64))
    return {
        name: None if name in NO_INTERVAL else metric_interval(name, column, worth[name], len(codes))
        for name, column in values.items()
    }


def effective_groups(labels: Ints, codes: Ints) -> dict[str, float]:
    """How many groups of one size are worth as much for each metric as those in ``codes``, of shape (frames,).

    A group weighs as many frames as the metric counts of it: all for the accuracy, the log loss and the Brier score,
    the fakes for the recall. All other metrics set fakes against originals, so they are no more certain than the class
    that is spread over fewer groups.
    """
    every, fakes, originals = (kish(np.bincount(codes[kept])) for kept in (labels >= 0, labels == 1, labels == 0))
    return (
        dict.fromkeys(METRICS, min(fakes, originals))
        | dict.fromkeys(("accuracy", "log_loss", "brier"), every)
        | {"recall": fakes}
    )


def metric_interval(name: str, values: Floats, groups: float, frames: int) -> list[float] | None:
    """The interval of a metric. ``values`` has its value in the sample, then those in the draws.

    ``groups`` is that of ``effective_groups``. None if it is below 2, and as ``standard_error`` and ``log_interval``.
    """
    if groups < 2:
        return None
    estimate, error = float(values[0]), standard_error(values[1:], groups)
    if error is None or np.isnan(estimate):
        return None
    if name == "log_loss":
        return log_interval(estimate, error, groups)
    if name == "mcc":  # from -1 to 1
        low, high = score_interval((estimate + 1) / 2, error / 2, groups, frames)
        return [2 * low - 1, 2 * high - 1]
    return score_interval(estimate, error, groups, frames)


def group_draws(groups: int, seed: int, draws: int) -> Ints:
    """How often each group is drawn, of shape (draws, groups). Each draw takes as many groups as there are."""
    drawn = np.random.default_rng(seed).integers(0, groups, (draws, groups)) + groups * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * groups).reshape(draws, groups)


def standard_error(values: Floats, groups: float) -> float | None:
    """The standard error of a metric from its values in the draws; NaN is a draw in which it is undefined.

    None if more than a tenth of the draws are undefined. The factor sqrt(n / (n - 1)) corrects the bootstrap's divisor
    n (Hesterberg 2015, What Teachers Should Know About the Bootstrap, The American Statistician 69, section 3.2).
    ``groups``, n, is above 1, here and below; of groups of unequal size it is the effective number.
    """
    defined = values[~np.isnan(values)]
    if len(defined) < (1 - UNDEFINED_SHARE) * len(values) or len(defined) < 2:
        return None
    return float(np.std(defined)) * math.sqrt(groups / (groups - 1))


def t_quantile(groups: float) -> float:
    """The 97.5th percentile of Student's t distribution with as many degrees of freedom as groups, less one."""
    return float(stdtrit(groups - 1, (1 + LEVEL) / 2))


def score_interval(estimate: float, error: float, groups: float, frames: int) -> list[float]:
    """Wilson's score interval for a metric from 0 to 1, with the effective number of observations and t quantiles.

    Wilson 1927 (JASA 22) solves (estimate - p)^2 = t^2 p (1 - p) / n for p, so the interval stays in [0, 1] and has a
    width at 0 and 1 too. n is the number of independent observations that would give the standard error ``error``
    (Korn & Graubard 1998, Survey Methodology 24), at least the number of groups, at most the number of frames.
    Where the draws do not differ at all, n is the number of groups. Franco et al. 2019 (Journal of Survey Statistics
    and Methodology 7) compare this and other intervals for clustered data. AUROC and the like are treated as shares.
    """
    spread = estimate * (1 - estimate)
    size = groups if error <= NO_SPREAD * estimate or spread <= 0 else min(max(spread / error**2, groups), frames)
    square = t_quantile(groups) ** 2 / size
    centre = (estimate + square / 2) / (1 + square)
    half = math.sqrt(square * max(spread, 0.0) + square**2 / 4) / (1 + square)
    # Rounding may leave an end a little on the wrong side of the estimate when that is 0 or 1.
    return [max(min(centre - half, estimate), 0.0), min(max(centre + half, estimate), 1.0)]


def log_interval(estimate: float, error: float, groups: float) -> list[float] | None:
    """Student's t interval for the logarithm of a positive metric. None where no group differs from the others."""
    if error <= NO_SPREAD * estimate:
        return None
    factor = math.exp(t_quantile(groups) * error / estimate)
    return [estimate / factor, estimate * factor]


def resampled_metrics(
    labels: Ints, probabilities: Floats, codes: Ints, counts: Ints, threshold: float
) -> dict[str, Floats]:
    """Every metric in every draw, each of shape (draws,), NaN where undefined.

    ``codes`` of shape (frames,) is the group of each frame. ``counts`` of shape (draws, groups) is how often each group
    is drawn. The numbers are those of a sample in which each frame is there as often as its group is drawn.
    """
    labels, probabilities = np.asarray(labels, np.int64), np.asarray(probabilities, np.float64)
    weights = counts.astype(np.float64)
    values = _sum_metrics(labels, probabilities, codes, weights, threshold)
    parts = [_roc_metrics(labels, probabilities, codes, chunk) for chunk in _chunks(labels, weights)]
    values |= {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {name: values[name] for name in METRICS}


def resampled_auroc(labels: Ints, scores: Floats, codes: Ints, counts: Ints) -> Floats:
    """The AUROC in every draw, of shape (draws,), NaN where undefined. Arguments are those of ``resampled_metrics``.

    ``scores`` may be logits.
    """
    chunks = _chunks(labels, counts.astype(np.float64))
    return np.concatenate([_auroc(*_roc_points(labels, scores, codes, weights)) for weights in chunks])


def _chunks(labels: Ints, weights: Floats) -> Iterator[Floats]:
    """The draws for CHUNK_CELLS at a time."""
    step = max(1, CHUNK_CELLS // max(1, len(labels)))
    yield from (weights[start : start + step] for start in range(0, len(weights), step))


def _sum_metrics(
    labels: Ints, probabilities: Floats, codes: Ints, counts: Floats, threshold: float
) -> dict[str, Floats]:
    """The metrics that depend on sums over frames: one matrix product with the sums of each group."""
    called = probabilities >= threshold
    # scikit-learn's log_loss clips by the epsilon of the float type.
    epsilon = np.finfo(np.float64).eps
    right = np.clip(np.where(labels == 1, probabilities, 1 - probabilities), epsilon, 1 - epsilon)
    columns = np.column_stack(
        [
            called & (labels == 1),
            called & (labels == 0),
            ~called & (labels == 1),
            ~called & (labels == 0),
            -np.log(right),
            (probabilities - labels) ** 2,
        ]
    )
    sums = np.zeros((counts.shape[1], columns.shape[1]))
    np.add.at(sums, codes, columns)
    tp, fp, fn, tn, loss, square = (counts @ sums).T
    gaps = np.zeros((counts.shape[1], BINS))
    np.add.at(gaps, (codes, reliability_bins(probabilities)), probabilities - labels)
    frames, fakes, originals = tp + fp + fn + tn, tp + fn, fp + tn
    precision, recall = _safe_divide(tp, tp + fp), _safe_divide(tp, fakes)
    spread = np.sqrt((tp + fp) * (tn + fn) * fakes * originals)
    both = (fakes > 0) & (originals > 0)
    return {
        "accuracy": (tp + tn) / frames,
        "precision": precision,
        "recall": recall,
        "f1": _safe_divide(2 * tp, 2 * tp + fp + fn),
        "log_loss": loss / frames,
        "balanced_accuracy": np.where(both, (recall + _safe_divide(tn, originals)) / 2, np.nan),
        "mcc": np.where(both, _safe_divide(tp * tn - fp * fn, spread), np.nan),
        "brier": square / frames,
        "ece": np.abs(counts @ gaps).sum(axis=1) / frames,
    }


def _safe_divide(part: Floats, whole: Floats) -> Floats:
    """part / whole, and 0 where whole is 0, as in scikit-learn."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _roc_points(labels: Ints, probabilities: Floats, codes: Ints, counts: Floats) -> tuple[Floats, Floats]:
    """The true and false positives at each point of the ROC curve, by draw. One sort serves all; ties are one point."""
    order = np.argsort(-probabilities, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(probabilities[order])), len(order) - 1)
    weights = counts[:, codes[order]]
    fakes = labels[order] == 1
    tps = np.cumsum(weights * fakes, axis=1)[:, ends]
    return tps, np.cumsum(weights * ~fakes, axis=1)[:, ends]


def _auroc(tps: Floats, fps: Floats) -> Floats:
    """The area under each curve of ``_roc_points``; NaN where there is only one class."""
    positives, negatives = tps[:, -1], fps[:, -1]
    new_tps, new_fps = np.diff(tps, prepend=0, axis=1), np.diff(fps, prepend=0, axis=1)
    area = (new_fps * (tps - new_tps / 2)).sum(axis=1)
    both = (positives > 0) & (negatives > 0)
    return np.where(both, area / np.maximum(positives * negatives, 1), np.nan)


def _roc_metrics(labels: Ints, probabilities: Floats, codes: Ints, counts: Floats) -> dict[str, Floats]:
    """The metrics that depend on the ROC curve."""
    tps, fps = _roc_points(labels, probabilities, codes, counts)
    positives, negatives = tps[:, -1], fps[:, -1]
    both = (positives > 0) & (negatives > 0)
    new_tps = np.diff(tps, prepend=0, axis=1)
    precisions = (new_tps * _safe_divide(tps, tps + fps)).sum(axis=1)
    # A draw with only one class has no curve and gets NaN below; its divisor only has to be other than 0.
    tpr = tps / np.maximum(positives, 1)[:, None]
    fpr = fps / np.maximum(negatives, 1)[:, None]
    found = {
        "auroc": _auroc(tps, fps),
        "average_precision": precisions / np.maximum(positives, 1),
        "eer": _equal_error_rates(fpr, tpr),
        "tpr_at_fpr_1pct": _tpr_at_fpr(fpr, tpr, 0.01),
        "tpr_at_fpr_0_1pct": _tpr_at_fpr(fpr, tpr, 0.001),
    }
    return {name: np.where(both, values, np.nan) for name, values in found.items()}


def _equal_error_rates(fpr: Floats, tpr: Floats) -> Floats:
    """The FPR at which the curve, a straight line between two points, meets 1 - TPR."""
    row = np.arange(len(fpr))
    excess = fpr + tpr - 1
    point = np.argmax(excess >= 0, axis=1)
    before = np.maximum(point - 1, 0)
    last_excess = np.where(point > 0, excess[row, before], -1.0)
    last_fpr = np.where(point > 0, fpr[row, before], 0.0)
    along = -last_excess / (excess[row, point] - last_excess)
    crossing: Floats = last_fpr + along * (fpr[row, point] - last_fpr)
    return crossing


def _tpr_at_fpr(fpr: Floats, tpr: Floats, limit: float) -> Floats:
    """The highest TPR of a point whose FPR is at most ``limit``, or 0 if there is none."""
    points = (fpr <= limit).sum(axis=1)
    return np.where(points > 0, tpr[np.arange(len(fpr)), np.maximum(points - 1, 0)], 0.0)
