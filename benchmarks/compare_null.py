"""How often ``evaluation.compare`` calls a difference at 5% between two runs that differ by noise alone.

Run as ``python -m benchmarks.compare_null [--pairs 100] [--draws 400] [--auroc 0.95]`` from the project's root. It
prints the number of such pairs by number of identity groups and metric. Five of 100 are expected. With 100 pairs,
chance alone gives up to 10.

Both runs of a pair judge the same frames, those of ``benchmarks.coverage.data_set``. Each run adds noise of its own to
the logits, half of it common to the frames of a class in a group, as two trainings with different seeds do. Neither run
is better than the other on all possible frames.
"""

import math
from argparse import ArgumentParser

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from benchmarks.coverage import GROUPS, data_set
from deepfake_detection.evaluation.bootstrap import METRICS
from deepfake_detection.evaluation.compare import compare

LEVEL = 0.05
NOISE = 1.0  # standard deviation of a run's own noise, in logits


def pair(groups: int, auroc: float, rng: np.random.Generator) -> tuple[dict[str, pd.DataFrame], pd.Series]:
    """Two runs on the same frames, as ``compare`` takes them, and the group of each frame."""
    labels, probabilities, codes, _ = data_set(groups, auroc, rng)

    def run() -> pd.DataFrame:
        noise: NDArray[np.float64] = rng.normal(size=(groups, 2))[codes, labels] + rng.normal(size=len(codes))
        judged = expit(logit(probabilities) + NOISE * math.sqrt(0.5) * noise)
        return pd.DataFrame({"label": labels, "probability": judged})

    return {"first": run(), "second": run()}, pd.Series(codes)


def called(groups: int, auroc: float, pairs: int, draws: int) -> dict[str, int]:
    """The number of pairs with a p value below 5%, by metric."""
    rng = np.random.default_rng([groups, round(1000 * auroc)])
    counts = dict.fromkeys(METRICS, 0)
    for seed in range(pairs):
        tables, codes = pair(groups, auroc, rng)
        (found,) = compare(tables, codes, seed=seed, draws=draws)
        for name, row in found["metrics"].items():
            counts[name] += row["p"] is not None and row["p"] < LEVEL
    return counts


def main() -> None:
    parser = ArgumentParser(description="differences called between runs that differ by noise alone")
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--auroc", type=float, default=0.95, help="of the frames without the runs' noise")
    wanted = parser.parse_args()
    table = pd.DataFrame({groups: called(groups, wanted.auroc, wanted.pairs, wanted.draws) for groups in GROUPS})
    table.columns.name = "groups"
    print(f"pairs of {wanted.pairs} in which compare calls a difference at 5%\n{table}")


if __name__ == "__main__":
    main()
