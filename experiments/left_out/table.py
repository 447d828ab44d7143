"""The matrix of the study, as a table and a heat map: ``python -m experiments.left_out.table``."""

from argparse import ArgumentParser

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import write_figure, write_json
from experiments.left_out.network import DEFAULT
from experiments.study import RESULTS
from stages import run


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--network", default=DEFAULT, help=f"as of experiments.left_out.network (default: {DEFAULT})")
    folder = RESULTS / "left_out" / parser.parse_args().network
    if not (files := sorted(folder.glob("*.csv"))):
        raise UserError(f"{folder}: no results; run python -m experiments.left_out.network for each manipulation first")
    runs = pd.concat([pd.read_csv(path) for path in files])
    mean, spread = (
        runs.pivot_table(values="auroc", index="left_out", columns="tested_on", aggfunc=how)
        for how in ("mean", spread_of)
    )
    unseen = runs[runs["left_out"] == runs["tested_on"]].groupby("seed")["auroc"].mean()
    seen = runs[runs["left_out"] != runs["tested_on"]].groupby("seed")["auroc"].mean()
    write_json(
        folder / "matrix.json",
        {
            "seeds": sorted(runs["seed"].unique().tolist()),
            "left_out": {"mean": float(unseen.mean()), "spread": spread_of(unseen)},
            "trained_on": {"mean": float(seen.mean()), "spread": spread_of(seen)},
            "mean": mean.to_dict(orient="index"),
            "spread": spread.to_dict(orient="index"),
        },
    )
    write_figure(folder / "heatmap.png", heatmap(mean, spread if runs["seed"].nunique() > 1 else None))
    print(mean.round(3).to_string())


def spread_of(seeds: pd.Series) -> float:
    """The standard deviation over seeds; 0 with one seed."""
    return float(seeds.std()) if len(seeds) > 1 else 0.0


def heatmap(mean: pd.DataFrame, spread: pd.DataFrame | None) -> Figure:
    """AUROC by the manipulation left out (rows) and tested on (columns). The diagonal is what was never seen.

    One seed has no ``spread``.
    """
    figure = Figure(figsize=(7.2, 5.2), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(mean, cmap="RdYlGn", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(mean.to_numpy()):
        text = f"{value:.2f}" if spread is None else f"{value:.2f}\n± {spread.to_numpy()[row, column]:.2f}"
        axes.text(
            column,
            row,
            text,
            ha="center",
            va="center",
            color="white" if value > 0.9 else "black",  # on dark green
            fontweight="bold" if row == column else "normal",
        )
        if row == column:
            axes.add_patch(Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, fill=False, linewidth=2))
    axes.set_xticks(range(len(mean.columns)), mean.columns, rotation=20, ha="right")
    axes.set_yticks(range(len(mean)), mean.index)
    title = "AUROC of test frames, " + ("one seed" if spread is None else "mean and spread of seeds")
    axes.set(xlabel="tested on", ylabel="left out of training", title=title)
    figure.colorbar(image, ax=axes, label="AUROC")
    return figure


if __name__ == "__main__":
    run(main)
