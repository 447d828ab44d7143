"""How often the rule of ``experiments.table`` finds a difference where there is none: ``python -m experiments.null``.

Prints one table. Where both methods are the same, it has the share of tests with a p value below 0.05 and below 0.01.
Where one has an AUROC that is 0.05 higher, it has the share with a p value below 0.05, the power, and that of the 95%
intervals that hold the difference, the coverage. There are four rules. Chance is the choice of ``groups``, or of
``seeds``, or of ``both``, as ``evaluation.differences.between_methods`` has it; ``percentiles`` are of draws of both.

- Networks: those of the study ``null`` are of one method. Some are compared with others, in all possible splits.
- Simulations: the logit of a frame is normal. Seeds, groups and frames add known variances, some of them anew for each
  method or network, so that the true AUROC is known as well. A group has 1 to 12 frames of each class.
"""

import math
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import read_index
from deepfake_detection.evaluation.bootstrap import group_draws
from deepfake_detection.evaluation.differences import between_methods, between_networks, seed_part, t_test
from experiments.study import RESULTS, read_study
from experiments.table import is_read, measure, read_results
from stages import run

STUDY = "null"
SEEDS, GROUPS, DRAWS = (3, 5, 8), (6, 20, 60), 200
AUROC, BETTER = 0.8, 0.05
SEED = 0.06  # variance of the distance between the classes: the AUROCs of seeds deviate by 0.05
GROUP, GROUP_OF_METHOD, GROUP_OF_SEED, FRAME, FRAME_OF_SEED = 0.25, 0.05, 0.1, 0.25, 0.35  # of a logit; the sum is 1
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Trial = tuple[Floats, Floats, Floats, int]
"""A method, an equal one, one that is better by BETTER, each as of ``between_methods``, and the number of groups."""


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--data-sets", type=int, default=500, help="to simulate for each row (default: 500)")
    count = parser.parse_args().data_sets
    shares = {
        (f"simulated, {groups} groups", seeds): called(simulated(seeds, groups, count))
        for groups in GROUPS
        for seeds in SEEDS
    }
    table = pd.DataFrame(networks() | shares).T
    table.index.names = ["", "seeds"]
    print(table.to_string(float_format="{:.3f}".format))


def networks() -> dict[tuple[str, int], dict[tuple[str, str], float]]:
    """The shares of ``called`` for the trained networks, by figure and by how many are compared with as many."""
    study, folder = read_study(STUDY), RESULTS / STUDY
    found = read_results(study, STUDY, study.baseline)
    if found is None:
        raise UserError(f"{folder}: networks are missing; run python -m experiments.run {STUDY}")
    rows = {part: read_index(folder / f"{part}.csv") for part in ("val", "test", "evaluated", "corrupted")}
    return {
        (figure, size): called(splits(values, size, groups))
        for figure, (groups, values) in measure(study, rows, found).items()
        if is_read(figure) and np.ptp(values[:, 0]) > 0
        for size in (3, 4)
    }


def splits(values: Floats, size: int, groups: int) -> Iterator[Trial]:
    """All ways to compare ``size`` of the networks with as many others."""
    for first in combinations(range(len(values)), size):
        others = sorted(set(range(len(values))) - set(first))
        for second in combinations(others, size):
            if first < second:
                yield values[list(first)], values[list(second)], values[list(second)] + BETTER, groups


def simulated(seeds: int, groups: int, count: int) -> Iterator[Trial]:
    rng = np.random.default_rng([seeds, groups])
    # two frames differ by a normal variable of variance 2 + SEED
    distance, farther = (math.sqrt(2 + SEED) * float(ndtri(auroc)) for auroc in (AUROC, AUROC + BETTER))
    for number in range(count):
        frames = rng.integers(1, 13, (groups, 2))
        codes = np.repeat(np.arange(groups), frames.sum(axis=1))
        labels = np.repeat(np.tile([0, 1], groups), frames.ravel())
        counts = np.vstack([np.ones((1, groups), np.int64), group_draws(groups, number, DRAWS)])
        for_all = noise(rng, codes, labels, GROUP, FRAME)
        sides: list[list[Floats]] = []
        for distances in ([distance], [distance, farther]):
            of_method = for_all + noise(rng, codes, labels, GROUP_OF_METHOD, 0)
            networks = [
                of_method + noise(rng, codes, labels, GROUP_OF_SEED, FRAME_OF_SEED) + rng.normal(0, SEED**0.5) * labels
                for _ in range(seeds)
            ]
            sides += [
                [aurocs(labels, logits + apart * labels, codes, counts) for logits in networks] for apart in distances
            ]
        first, equal, better = map(np.array, sides)
        yield first, equal, better, groups


def noise(rng: np.random.Generator, codes: Ints, labels: Ints, of_group: float, of_frame: float) -> Floats:
    """Noise of these variances. The first is the same for the frames of a class in a group."""
    shared = rng.normal(0, of_group**0.5, (codes.max() + 1, 2))
    drawn: Floats = shared[codes, labels] + rng.normal(0, of_frame**0.5, len(codes))
    return drawn


def aurocs(labels: Ints, logits: Floats, codes: Ints, counts: Ints) -> Floats:
    """As ``bootstrap.resampled_auroc`` without ties, but faster: it counts the pairs of frames by their two groups."""
    fake, starts = labels == 1, np.arange(counts.shape[1])
    right = (logits[fake][:, None] > logits[~fake]).astype(np.float64)
    for axis, each in enumerate((codes[fake], codes[~fake])):
        right = np.add.reduceat(right, np.searchsorted(each, starts), axis=axis)
    fakes, originals = (counts @ np.bincount(codes[kind]) for kind in (fake, ~fake))
    found: Floats = ((counts @ right) * counts).sum(axis=1) / (fakes * originals)
    return found


def called(trials: Iterable[Trial]) -> dict[tuple[str, str], float]:
    """The shares that the module describes, by rule."""
    found: dict[tuple[str, str], list[bool]] = {}
    for first, equal, better, groups in trials:
        different = rules(first, better, groups)
        for rule, same in rules(first, equal, groups).items():
            low, high = different[rule]["interval"]
            shares = {
                "p < 0.05": same["p"] < 0.05,
                "p < 0.01": same["p"] < 0.01,
                "power": different[rule]["p"] < 0.05,
                "coverage": low <= BETTER <= high,
            }
            for name, value in shares.items():
                found.setdefault((rule, name), []).append(value)
    return {key: float(np.mean(values)) for key, values in found.items()}


def rules(first: Floats, second: Floats, groups: int) -> dict[str, dict[str, Any]]:
    """The difference of two methods by each rule, as of ``t_test``."""
    means = first.mean(axis=0), second.mean(axis=0)
    return {
        "groups": between_networks(*means, groups),
        "seeds": t_test(float(means[1][0] - means[0][0]), [seed_part(first), seed_part(second)]),
        "percentiles": percentiles(first, second),
        "both": between_methods(first, second, groups),
    }


def percentiles(first: Floats, second: Floats) -> dict[str, Any]:
    """By the percentiles of draws in which seeds are drawn as well as groups."""
    rng, draws = np.random.default_rng(0), np.arange(1, first.shape[1])
    drawn = [side[rng.integers(0, len(side), (len(side), len(draws))), draws].mean(axis=0) for side in (first, second)]
    change = drawn[1] - drawn[0]
    low, high = np.quantile(change, [0.025, 0.975])
    return {"interval": [low, high], "p": 2 * min(np.mean(change <= 0), np.mean(change >= 0))}


if __name__ == "__main__":
    run(main)
