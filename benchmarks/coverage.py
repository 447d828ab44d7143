"""How often a 95% interval of a metric holds its true value, by number and kind of identity groups.

Run as ``python -m benchmarks.coverage [--data-sets 500] [--draws 400] [--metric auroc] [--auroc 0.95]`` from the
project's root. The first table has a row for each kind and number of groups, the second the lowest coverage of every
metric. ``Kish`` is what ``bootstrap.group_intervals`` gives, ``count`` the same with the plain number of groups in
place of the effective one, and ``percentiles`` the 2.5th and 97.5th percentile of the draws.

The logit of a frame is normal around its class's mean, and frames of a class in a group share an effect with half of
the variance. A fake and an original of any two groups then differ by a normal variable, so the true AUROC is
Phi(shift / sqrt(2)). The truth of other metrics is that of TRUTH groups. The kinds are:

- ``equal``: 5 to 10 frames of each class in a group.
- ``lognormal``: 7 frames of each class times exp(z), where z is standard normal.
- ``Pareto``: at least 3 frames of each class, and more than n with probability (3 / n)^1.5, up to 300.
- ``hard tenth``: as ``equal``, but in a group with probability 0.1 fakes look like originals.
- ``shared people``: each person is in 2 to 6 recordings, and each fake shows a source person on a target's recording.
  Of the common half of the variance, two fifths are the recording's. The number of groups is that of people, who are
  what is drawn. ``count`` and ``percentiles`` draw recordings, as if these were independent.
"""

import math
from argparse import ArgumentParser
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from deepfake_detection.evaluation.bootstrap import (
    METRICS,
    NO_INTERVAL,
    effective_groups,
    group_draws,
    metric_interval,
    resampled_metrics,
)

KINDS = ("equal", "lognormal", "Pareto", "hard tenth", "shared people")
GROUPS = (6, 10, 20, 40, 75)
METHODS = ("percentiles", "count", "Kish")
THRESHOLD = 0.5
WITHIN = 0.5  # share of the variance that the frames of a class in a group have in common
OF_RECORDING, OF_SOURCE = 0.2, 0.1  # the parts of it that come from a recording, and from a fake's source person
TRUTH = 20_000

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class DataSet(NamedTuple):
    """Labels, calibrated probabilities, and the group of each frame. ``people`` is the unit that is drawn."""

    labels: Ints
    probabilities: Floats
    groups: Ints
    people: Ints


def data_set(groups: int, auroc: float, rng: np.random.Generator, kind: str = "equal") -> DataSet:
    """Frames of ``groups`` groups, or people. The mean of the classes' logits is 0."""
    people = np.repeat(np.arange(groups), rng.integers(2, 7, groups)) if kind == "shared people" else np.arange(groups)
    frames = _frames(len(people), kind, rng)
    recordings = np.repeat(np.arange(len(people)), frames.sum(axis=1))
    labels = np.repeat(np.tile([0, 1], len(people)), frames.ravel())
    shift = math.sqrt(2) * float(ndtri(auroc))
    effects = rng.normal(0, math.sqrt(WITHIN), (len(people), 2))
    if kind == "shared people":
        own, sources = rng.normal(size=(groups, 2))[people], rng.normal(size=groups)
        effects *= math.sqrt(OF_RECORDING / WITHIN)
        effects += own * np.sqrt(WITHIN - OF_RECORDING - np.array([0, OF_SOURCE]))
        effects[:, 1] += math.sqrt(OF_SOURCE) * sources[rng.integers(0, groups, len(people))]
    apart = np.ones(len(people))
    if kind == "hard tenth":
        apart[rng.random(len(people)) < 0.1] = 0
    noise = rng.normal(0, math.sqrt(1 - WITHIN), len(labels))
    score = shift * (labels - 0.5) * apart[recordings] + effects[recordings, labels] + noise
    # The log likelihood ratio of the two classes is shift * score, so these probabilities are calibrated.
    return DataSet(labels, expit(shift * score), recordings, people[recordings])


def _frames(groups: int, kind: str, rng: np.random.Generator) -> Ints:
    """The number of frames of each class in each group, of shape (groups, 2)."""
    if kind == "lognormal":
        sizes = np.ceil(7 * np.exp(rng.normal(size=groups)))
    elif kind == "Pareto":
        sizes = np.minimum(np.ceil(3 * (1 + rng.pareto(1.5, groups))), 300)
    else:
        return rng.integers(5, 11, (groups, 2))
    return np.repeat(sizes.astype(np.int64)[:, None], 2, axis=1)


def intervals(frames: DataSet, seed: int, draws: int) -> dict[str, dict[str, list[float] | None]]:
    """The interval of each metric by each method."""
    found: dict[str, dict[str, list[float] | None]] = {method: {} for method in METHODS}
    values, groups = _drawn(frames, frames.groups, seed, draws)
    for name in METRICS:
        found["percentiles"][name] = [float(end) for end in np.nanquantile(values[name][1:], [0.025, 0.975])]
        found["count"][name] = metric_interval(name, values[name], groups, len(frames.labels))
    if frames.people.max() < frames.groups.max():
        values, _ = _drawn(frames, frames.people, seed, draws)
    worth = effective_groups(frames.labels, frames.people)
    found["Kish"] = {name: metric_interval(name, values[name], worth[name], len(frames.labels)) for name in METRICS}
    return found


def _drawn(frames: DataSet, codes: Ints, seed: int, draws: int) -> tuple[dict[str, Floats], int]:
    """Every metric in the sample and in each draw, and the number of groups."""
    groups = int(codes.max()) + 1
    counts = np.vstack([np.ones((1, groups), np.int64), group_draws(groups, seed, draws)])
    return resampled_metrics(frames.labels, frames.probabilities, codes, counts, THRESHOLD), groups


def coverage(groups: int, auroc: float, kind: str, data_sets: int, draws: int) -> dict[str, pd.DataFrame]:
    """By metric and method: the share of intervals that hold the truth, their median width, and the share of None.

    None are those of groups that are worth fewer than two. They are left out of the other two numbers.
    """
    rng = np.random.default_rng([groups, round(1000 * auroc), KINDS.index(kind)])
    true = truth(auroc, kind)
    found = [intervals(data_set(groups, auroc, rng, kind), seed, draws) for seed in range(data_sets)]
    tables = {}
    for name in METRICS:
        rows = {}
        for method in METHODS:
            ends = np.array([each[method][name] or (np.nan, np.nan) for each in found])
            given = ends[~np.isnan(ends[:, 0])]
            held = (given[:, 0] <= true[name]) & (true[name] <= given[:, 1])
            width = np.median(given[:, 1] - given[:, 0]) if len(given) else np.nan
            rows[method] = (held.mean() if len(given) else np.nan, width, 1 - len(given) / len(ends))
        tables[name] = pd.DataFrame.from_dict(rows, orient="index", columns=["coverage", "width", "none"])
    return tables


@cache
def truth(auroc: float, kind: str) -> dict[str, float]:
    """The true value of each metric. People and sizes do not change it, for effects do not depend on them."""
    same = kind if kind == "hard tenth" else "equal"
    labels, probabilities, codes, _ = data_set(TRUTH, auroc, np.random.default_rng(0), same)
    found = resampled_metrics(labels, probabilities, codes, np.ones((1, TRUTH), np.int64), THRESHOLD)
    exact = {} if kind == "hard tenth" else {"auroc": auroc}
    return {name: float(values[0]) for name, values in found.items()} | exact


def main() -> None:
    parser = ArgumentParser(description="coverage of 95%% intervals by number and kind of groups")
    parser.add_argument("--data-sets", type=int, default=500)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--metric", choices=METRICS, default="auroc")
    parser.add_argument("--auroc", type=float, default=0.95, help="of all frames, but for those of a hard tenth")
    wanted = parser.parse_args()
    cells = {
        (kind, groups): coverage(groups, wanted.auroc, kind, wanted.data_sets, wanted.draws)
        for kind in KINDS
        for groups in GROUPS
    }
    print(f"95% intervals of {wanted.metric}, {wanted.data_sets} data sets, true AUROC {wanted.auroc}")
    shown = {cell: pd.concat(dict(found[wanted.metric].items())) for cell, found in cells.items()}
    print(pd.DataFrame(shown).T.drop(columns=[("none", "percentiles"), ("none", "count")]).round(3).to_string())
    lowest = {
        name: {kind: min(float(cells[kind, groups][name]["coverage"]["Kish"]) for groups in GROUPS) for kind in KINDS}
        for name in METRICS
        if name not in NO_INTERVAL
    }
    print(f"\nlowest coverage of Kish with {GROUPS[0]} to {GROUPS[-1]} groups")
    print(pd.DataFrame(lowest).T.round(3).to_string())


if __name__ == "__main__":
    main()
