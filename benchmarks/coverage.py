"""How often a 95% interval of a metric holds its true value, by number of identity groups and AUROC.

Run as ``python -m benchmarks.coverage [--data-sets 200] [--draws 400] [--metric auroc]`` from the project's root.
It prints one row for each method, and below each the mean width. ``score`` is what ``bootstrap.group_intervals`` gives.

A data set has 5 to 10 frames of each class in each group. The logit of a frame is normal around its class's mean. The
frames of a class in a group share an effect with half of the variance. A fake and an original of any two groups then
differ by a normal variable, so the true AUROC is Phi(shift / sqrt(2)). The truth of other metrics is that of 10,000
groups. The other methods are:

- ``percentile``: the 2.5th and 97.5th percentile of the draws.
- ``expanded``: percentiles at the level of Student's t, with a factor sqrt(n / (n - 1)) (Hesterberg 2015, What
  Teachers Should Know About the Bootstrap, The American Statistician 69).
- ``bca``: bias-corrected and accelerated (Efron 1987, JASA 82), with the acceleration from leaving out each group.
- ``logit``: Student's t interval on the logit scale with the variance of the draws (for AUROC that of Obuchowski 1997,
  Biometrics 53, estimates the same). It is not defined at 0 and 1 and is counted as not holding there.
"""

import math
from argparse import ArgumentParser

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr, ndtri

from deepfake_detection.evaluation.bootstrap import (
    METRICS,
    group_draws,
    metric_interval,
    resampled_metrics,
    standard_error,
    t_quantile,
)

GROUPS, AUROCS = (6, 9, 15, 40, 75), (0.8, 0.95, 0.99)
THRESHOLD = 0.5
WITHIN = 0.5  # share of the variance that the frames of a class in a group have in common

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def data_set(groups: int, auroc: float, rng: np.random.Generator) -> tuple[Ints, Floats, Ints]:
    """Labels, probabilities and group of each frame. The mean of the classes' logits is 0."""
    frames = rng.integers(5, 11, (groups, 2))
    codes = np.repeat(np.arange(groups), frames.sum(axis=1))
    labels = np.repeat(np.tile([0, 1], groups), frames.ravel())
    shift = math.sqrt(2) * float(ndtri(auroc))
    effects = rng.normal(0, math.sqrt(WITHIN), (groups, 2))
    noise = rng.normal(0, math.sqrt(1 - WITHIN), len(codes))
    score = shift * (labels - 0.5) + effects[codes, labels] + noise
    # The log likelihood ratio of the two classes is shift * score, so these probabilities are calibrated.
    return labels, expit(shift * score), codes


def intervals(
    metric: str, labels: Ints, probabilities: Floats, codes: Ints, seed: int, draws: int
) -> dict[str, list[float] | None]:
    """The interval of one metric by each method."""
    groups = int(codes.max()) + 1
    counts = np.vstack(
        [np.ones((1, groups), np.int64), 1 - np.eye(groups, dtype=int), group_draws(groups, seed, draws)]
    )
    values = resampled_metrics(labels, probabilities, codes, counts, THRESHOLD)[metric]
    estimate, without, drawn = float(values[0]), values[1 : groups + 1], values[groups + 1 :]
    tail = float(ndtr(-math.sqrt(groups / (groups - 1)) * t_quantile(groups)))
    error = standard_error(drawn, groups)
    return {
        "percentile": _quantiles(drawn, [0.025, 0.975]),
        "expanded": _quantiles(drawn, [tail, 1 - tail]),
        "bca": _bca(estimate, without, drawn),
        "logit": _logit(estimate, error, groups),
        "score": metric_interval(metric, np.append(estimate, drawn), groups, len(codes)),
    }


def _quantiles(values: Floats, levels: list[float]) -> list[float]:
    return [float(end) for end in np.nanquantile(values, levels)]


def _bca(estimate: float, without: Floats, drawn: Floats) -> list[float] | None:
    below = float(np.mean(drawn < estimate) + np.mean(drawn == estimate) / 2)
    away = without.mean() - without
    if not 0 < below < 1 or not away.any():
        return None
    bias, acceleration = ndtri(below), (away**3).sum() / (6 * (away**2).sum() ** 1.5)
    z = bias + ndtri([0.025, 0.975])
    return _quantiles(drawn, list(ndtr(bias + z / (1 - acceleration * z))))


def _logit(estimate: float, error: float | None, groups: int) -> list[float] | None:
    if error is None or not 0 < estimate < 1:
        return None
    half = t_quantile(groups) * error / (estimate * (1 - estimate))
    return [float(expit(logit(estimate) + sign * half)) for sign in (-1, 1)]


def coverage(groups: int, auroc: float, metric: str, data_sets: int, draws: int) -> pd.DataFrame:
    """One row per method: the share of intervals that hold the truth, and their mean width."""
    rng = np.random.default_rng([groups, round(1000 * auroc)])
    truth = auroc if metric == "auroc" else _truth(auroc, metric)
    found = [intervals(metric, *data_set(groups, auroc, rng), seed, draws) for seed in range(data_sets)]
    rows = {}
    for method in found[0]:
        ends = [each[method] for each in found]
        held = np.mean([each is not None and each[0] <= truth <= each[1] for each in ends])
        rows[method] = (held, np.mean([each[1] - each[0] for each in ends if each is not None]))
    return pd.DataFrame.from_dict(rows, orient="index", columns=["coverage", "width"])


def _truth(auroc: float, metric: str) -> float:
    labels, probabilities, codes = data_set(10_000, auroc, np.random.default_rng(0))
    found = resampled_metrics(labels, probabilities, codes, np.ones((1, 10_000), np.int64), THRESHOLD)
    return float(found[metric][0])


def main() -> None:
    parser = ArgumentParser(description="coverage of 95%% intervals by number of groups")
    parser.add_argument("--data-sets", type=int, default=200)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--metric", choices=METRICS, default="auroc")
    wanted = parser.parse_args()
    cells = {
        (groups, auroc): coverage(groups, auroc, wanted.metric, wanted.data_sets, wanted.draws)
        for groups in GROUPS
        for auroc in AUROCS
    }
    for column in ("coverage", "width"):
        table = pd.DataFrame({cell: found[column] for cell, found in cells.items()}).T
        table.index.names = ["groups", "AUROC"]
        print(f"\n{column} of 95% intervals of {wanted.metric}, {wanted.data_sets} data sets\n{table.round(3)}")
    held = [float(found["coverage"]["score"]) for found in cells.values()]
    print(f"\nscore: {min(held):.1%} to {max(held):.1%}")


if __name__ == "__main__":
    main()
