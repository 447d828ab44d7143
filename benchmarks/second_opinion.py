"""What the scores of two networks are worth together, on people that neither has seen.

Run as ``python -m benchmarks.second_opinion FIRST SECOND`` from the project's root. Each is the folder of a project in
which the pipeline ran, with the same data and the same split. The fusion is fitted to the validation frames, and each
row is over test frames: those of one manipulation beside all originals. The columns are the Cllr of the first network,
of the second, of their product as if they were independent, and of the fusion, then the share of the frames on which
the two verdicts differ, with the share of wrong verdicts of the first where they agree and where they do not.
"""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepfake_detection.common.errors import UserError
from deepfake_detection.evaluation.likelihood_ratios import cross_entropy, group_weights
from deepfake_detection.inference.evidence import log10_ratio
from deepfake_detection.network.sidecar import Calibration, read_sidecar
from deepfake_detection.serving.paths import find_checkpoint
from deepfake_detection.serving.second_opinion import EVEN, fit_fusion, read_scored

Floats = NDArray[np.float64]
RATIOS = ["first", "second", "product", "fusion"]


def table(first: Path, second: Path) -> pd.DataFrame:
    """The rows described above. Raises UserError if there is nothing to fit a fusion by."""
    folders = [first, second]
    sidecars = [read_sidecar(find_checkpoint(each / "models").with_suffix(".json")) for each in folders]
    scored = [read_scored(each / "data/predictions.csv", by) for each, by in zip(folders, sidecars, strict=True)]
    fusion = fit_fusion(*scored)
    if fusion is None:
        raise UserError(f"{first}, {second}: too few validation frames that both have scored")
    category = pd.read_csv(first / "data/predictions.csv", usecols=["dataset", "path", "category"])
    rows = scored[0].merge(scored[1], on=["dataset", "path"], suffixes=("", "_second")).merge(category)
    rows = rows[(rows["split"] == "test") & (rows["split_second"] == "test")]
    logits = rows[["logit", "logit_second"]].to_numpy(float)

    def ratios(scores: Floats, reading: Calibration, prior: float) -> Floats:
        if reading.evidence is None:
            raise UserError(f"{first}, {second}: one of the networks has no likelihood ratios")
        return log10_ratio(scores, reading, prior).clip(reading.evidence.lower, reading.evidence.upper)

    one, other = (ratios(logits[:, at], sidecar.frame, sidecar.prior) for at, sidecar in enumerate(sidecars))
    fused = ratios(logits @ fusion.weights, fusion.reading, EVEN)
    calls = np.array([at.frame.probability(logits[:, k]) >= at.frame.threshold for k, at in enumerate(sidecars)])
    rows = rows.assign(first=one, second=other, product=one + other, fusion=fused, differ=calls[0] != calls[1])
    rows = rows.assign(wrong=calls[0] != rows["label"].to_numpy(bool))
    fakes, originals = rows[rows["label"] == 1], rows[rows["label"] == 0]
    return pd.DataFrame({name: _row(pd.concat([originals, found])) for name, found in fakes.groupby("category")}).T


def _row(rows: pd.DataFrame) -> pd.Series:
    labels, weights = rows["label"].to_numpy(), group_weights(rows["label"], rows["dataset"] + rows["group"])
    found = {name: cross_entropy(rows[name].to_numpy(float), labels, weights) for name in RATIOS}
    wrong = rows.groupby("differ")["wrong"].mean().reindex([False, True])
    return pd.Series(found | {"differ": rows["differ"].mean(), "wrong if alike": wrong[False], "if not": wrong[True]})


def main() -> None:
    parser = ArgumentParser(description="Cllr of two networks, of their product and of their fusion")
    parser.add_argument("folders", nargs=2, type=Path, metavar="FOLDER", help="of a project in which the pipeline ran")
    print(table(*parser.parse_args().folders).round(3).to_string())


if __name__ == "__main__":
    main()
