"""Epoch curves: written with dvclive, and read for the plots."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pandas as pd

SIDES = ("train", "val")
CURVES = ("loss", "accuracy", "auroc")


def epoch_log(folder: str) -> Callable[[dict[str, float]], None]:
    """Returns a function that prints an epoch's values and logs them with dvclive.

    dvclive starts at the first call, because only one of several processes calls the function.
    """
    live = None

    def log(values: dict[str, float]) -> None:
        nonlocal live
        with suppress(ImportError):  # a machine that only trains may lack DVC
            from dvclive import Live

            live = live or Live(folder, dvcyaml=None, report=None, save_dvc_exp=False)
        print(", ".join(f"{name} {value:.4f}" for name, value in values.items()), flush=True)
        if live:
            for name, value in values.items():
                live.log_metric(name.replace("_", "/", 1), value)  # train/loss
            live.next_step()

    return log


def read_curves(folder: Path) -> pd.DataFrame:
    """Reads epoch curves as dvclive stores them. Columns: epoch, train_loss, val_loss, train_accuracy, ..."""
    curves = pd.DataFrame()
    for curve in CURVES:
        for side in SIDES:
            points = pd.read_csv(folder / "plots" / "metrics" / side / f"{curve}.tsv", sep="\t", index_col="step")
            curves[f"{side}_{curve}"] = points[curve]
    return curves.rename_axis("epoch").reset_index()
