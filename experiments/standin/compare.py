"""Whether the stand-in ranks methods as genuine videos do: ``python -m experiments.standin.compare RESULTS``.

RESULTS is what ``experiments.genuine`` keeps of the films, a folder of ``experiments/results/genuine``. Only the rows
that it has trained are compared.
"""

from argparse import ArgumentParser
from pathlib import Path

import pandas as pd
from scipy.stats import spearmanr

from deepfake_detection.common.errors import UserError
from experiments.genuine import aurocs
from stages import run

COLUMNS = ["Deepfakes (seen)", "Face2Face", "FaceSwap"]
# AUROC of frames in the first split of 142 videos of FaceForensics++: 47 originals, 47 Deepfakes, 24 of each other
GENUINE = {
    "recipe": (0.838, 0.503, 0.679),
    "mild": (0.758, 0.593, 0.628),
    "mild-16": (0.847, 0.685, 0.650),
    "sturdy": (0.668, 0.554, 0.756),
    "sturdy-16": (0.763, 0.703, 0.752),
    "mild-224": (0.970, 0.665, 0.721),
    "recipe-224": (0.807, 0.535, 0.506),
    "nested": (0.680, 0.647, 0.710),
    "nested-16": (0.723, 0.607, 0.733),
    "self-blended": (0.622, 0.506, 0.694),
}


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    ours = standin_table(parser.parse_args().results)
    theirs = pd.DataFrame(GENUINE, index=COLUMNS).T.loc[ours.index]
    print(pd.concat({"genuine": theirs, "stand-in": ours}, axis=1).round(3).to_string())
    for name in COLUMNS:
        order, off = spearmanr(theirs[name], ours[name]).statistic, (theirs[name] - ours[name]).abs()
        print(f"{name}: Spearman {order:.2f}, levels {off.mean():.3f} apart, at most {off.max():.3f}")


def standin_table(results: Path) -> pd.DataFrame:
    """The AUROC of frames, as the mean of the splits, of each row of GENUINE that ``results`` has."""
    found = {}
    for name in GENUINE:
        tests = [pd.read_csv(file, keep_default_na=False) for file in sorted((results / name).glob("[0-9].csv"))]
        if tests:
            found[name] = pd.DataFrame(map(in_sample, tests))[COLUMNS].mean()
    if len(found) < 2:
        raise UserError(f"{results}: {len(found)} rows that genuine videos have too, and at least 2 are compared")
    return pd.DataFrame(found).T


def in_sample(test: pd.DataFrame) -> dict[str, float]:
    """The AUROC of frames of each manipulation, without its draws."""
    return {name: float(values[0, 0]) for name, values in aurocs(test, test["logit"].to_numpy()[None])}


if __name__ == "__main__":
    run(main)
