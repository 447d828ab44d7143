"""Figures of an evaluated model, for a screen and for a paper."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve

from deepfake_detection.metrics import CLASS_NAMES

CURVES = {"loss": "Loss (BCE)", "accuracy": "Accuracy", "auroc": "AUROC"}
SIDES = {"train": "#3b6ea8", "val": "#c8553d"}


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a PNG that holds no version and no time, so that equal figures are equal files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=200, bbox_inches="tight", metadata={"Software": None})


def confusion_figure(labels: NDArray[np.int64], called: NDArray[np.int64]) -> Figure:
    """Confusion matrix as a heat map: counts, and each row's share below them."""
    counts = confusion_matrix(labels, called, labels=[0, 1])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(4.2, 3.6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row - 0.08, f"{count}", ha="center", va="center", color=colour, fontsize=15)
        axes.text(column, row + 0.2, f"{shares[row, column]:.1%}", ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks([0, 1], CLASS_NAMES)
    axes.set_yticks([0, 1], CLASS_NAMES, rotation=90, va="center")
    axes.set_xlabel("Predicted")
    axes.set_ylabel("Actual")
    axes.set_title(f"Test frames (n = {counts.sum()})")
    figure.colorbar(image, ax=axes, label="Share of the actual class", shrink=0.9)
    return figure


def roc_table(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> pd.DataFrame:
    """Points of the ROC curve: fpr, tpr, threshold. Empty when only one class is there."""
    if len(np.unique(labels)) < 2:
        return pd.DataFrame({"fpr": [], "tpr": [], "threshold": []})
    fpr, tpr, threshold = roc_curve(labels, probabilities)
    return pd.DataFrame({"fpr": fpr, "tpr": tpr, "threshold": np.minimum(threshold, 1.0)})


def roc_figure(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> Figure:
    """ROC curve with its area."""
    points = roc_table(labels, probabilities)
    figure = Figure(figsize=(4.2, 3.9), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", linewidth=1, label="Chance")
    if len(points):
        label = f"AUROC = {roc_auc_score(labels, probabilities):.3f}"
        axes.plot(points["fpr"], points["tpr"], color=SIDES["train"], linewidth=2, label=label)
    else:
        axes.text(0.5, 0.6, "one class only", ha="center")
    axes.set(xlim=(-0.01, 1.0), ylim=(0.0, 1.01), aspect="equal")
    axes.set_xlabel("False positive rate")
    axes.set_ylabel("True positive rate")
    axes.set_title("ROC, test frames, positive: deepfake")
    axes.legend(loc="lower right", frameon=False)
    axes.grid(alpha=0.25)
    return figure


def read_curves(folder: Path) -> pd.DataFrame:
    """Epoch curves as dvclive keeps them: epoch, train_loss, val_loss, train_accuracy, ..."""
    curves = pd.DataFrame()
    for curve in CURVES:
        for side in SIDES:
            points = pd.read_csv(folder / "plots" / "metrics" / side / f"{curve}.tsv", sep="\t", index_col="step")
            curves[f"{side}_{curve}"] = points[curve]
    return curves.rename_axis("epoch").reset_index()


def curves_figure(curves: pd.DataFrame, best_epoch: int) -> Figure:
    """Loss, accuracy and AUROC of train and validation by epoch; the kept epoch is marked."""
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    for axes, (curve, title) in zip(figure.subplots(1, 3), CURVES.items(), strict=True):
        for side, colour in SIDES.items():
            axes.plot(curves["epoch"], curves[f"{side}_{curve}"], color=colour, marker="o", markersize=3, label=side)
        axes.axvline(best_epoch, color="0.6", linestyle=":", linewidth=1, label="kept epoch")
        axes.set_xlabel("Epoch")
        axes.set_title(title)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", frameon=False)
    return figure
