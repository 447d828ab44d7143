"""Draws the figures of an evaluated model, for screens and papers."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from deepfake_detection.common.tables import CLASS_NAMES
from deepfake_detection.evaluation.bootstrap import frame_metrics
from deepfake_detection.evaluation.reliability import reliability_table

SPLIT_COLOURS = {"train": "#3b6ea8", "val": "#8a6d1f", "test": "#b8452c"}
COLOURS = {"train": "#3b6ea8", "val": "#c8553d"}
TITLES = {"loss": "Loss (BCE)", "accuracy": "Accuracy", "auroc": "AUROC"}


def confusion_figure(labels: NDArray[np.int64], called: NDArray[np.int64]) -> Figure:
    """Confusion matrix as a heat map. Each cell shows its count and, below it, its share of the row."""
    counts = np.bincount(2 * labels + called, minlength=4).reshape(2, 2)
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
    """Points of the ROC curve: fpr, tpr, threshold. Empty if there is only one class."""
    if len(np.unique(labels)) < 2:
        return pd.DataFrame({"fpr": [], "tpr": [], "threshold": []})
    fpr, tpr, threshold = roc_curve(labels, probabilities)
    return pd.DataFrame({"fpr": fpr, "tpr": tpr, "threshold": np.minimum(threshold, 1.0)})


def roc_figure(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> Figure:
    """ROC curve, with its area in the legend."""
    points = roc_table(labels, probabilities)
    figure = Figure(figsize=(4.2, 3.9), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", linewidth=1, label="Chance")
    if len(points):
        label = f"AUROC = {_metric(labels, probabilities, 'auroc')}"
        axes.plot(points["fpr"], points["tpr"], color=COLOURS["train"], linewidth=2, label=label)
    else:
        axes.text(0.5, 0.6, "one class only", ha="center")
    axes.set(xlim=(-0.01, 1.0), ylim=(0.0, 1.01), aspect="equal")
    axes.set_xlabel("False positive rate")
    axes.set_ylabel("True positive rate")
    axes.set_title("ROC, test frames, positive: deepfake")
    axes.legend(loc="lower right", frameon=False)
    axes.grid(alpha=0.25)
    return figure


def precision_recall_table(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> pd.DataFrame:
    """Points of the precision-recall curve: recall, precision. Empty if no frame is a fake."""
    if not labels.any():
        return pd.DataFrame({"recall": [], "precision": []})
    precision, recall, _ = precision_recall_curve(labels, probabilities)
    return pd.DataFrame({"recall": recall, "precision": precision})


def precision_recall_figure(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> Figure:
    """Precision-recall curve with its average precision. A dashed line at the share of fakes marks chance."""
    points = precision_recall_table(labels, probabilities)
    figure = Figure(figsize=(4.2, 3.9), layout="constrained")
    axes = figure.subplots()
    axes.axhline(labels.mean(), color="0.7", linestyle="--", linewidth=1, label="Chance")
    if len(points):
        label = f"Average precision = {_metric(labels, probabilities, 'average_precision')}"
        axes.plot(points["recall"], points["precision"], color=COLOURS["train"], linewidth=2, label=label)
    axes.set(xlim=(-0.01, 1.01), ylim=(0.0, 1.01), aspect="equal", xlabel="Recall", ylabel="Precision")
    axes.set_title("Precision and recall, test frames")
    axes.legend(loc="lower left", frameon=False)
    axes.grid(alpha=0.25)
    return figure


def reliability_figure(labels: NDArray[np.int64], raw: NDArray[np.float64], calibrated: NDArray[np.float64]) -> Figure:
    """Share of fakes against predicted probability, raw and calibrated. The area of a point grows with its frames."""
    figure = Figure(figsize=(7.6, 3.9), layout="constrained")
    sides = figure.subplots(1, 2, sharey=True)
    for axes, probabilities, title in zip(sides, (raw, calibrated), ("Raw", "Calibrated"), strict=True):
        table = reliability_table(labels, probabilities).query("count > 0")
        axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", linewidth=1)
        axes.plot(table["mean_probability"], table["share_fake"], color=COLOURS["train"], linewidth=1)
        axes.scatter(table["mean_probability"], table["share_fake"], s=10 + 2 * table["count"], color=COLOURS["train"])
        axes.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04), aspect="equal", xlabel="Predicted probability of a fake")
        axes.set_title(f"{title}: ECE = {_metric(labels, probabilities, 'ece')}")
        axes.grid(alpha=0.25)
    sides[0].set_ylabel("Share of fakes")
    return figure


def coverage_figure(curves: pd.DataFrame) -> Figure:
    """Accuracy over the most familiar frames against their share, with a point where the frames become unfamiliar.

    ``curves`` are those of ``selective.selective_curve``, one below the other, named by the column ``frames``.
    """
    figure = Figure(figsize=(5.6, 3.9), layout="constrained")
    axes = figure.subplots()
    for name, curve in curves.groupby("frames", sort=False):
        (line,) = axes.plot(curve["coverage"], curve["accuracy"], linewidth=1.6, label=str(name))
        judged = curve[curve["unfamiliarity"] <= 1]
        if len(judged):
            last = judged.iloc[-1]
            axes.plot(last["coverage"], last["accuracy"], "o", color=line.get_color(), markersize=7)
    if curves.empty:
        axes.text(0.5, 0.5, "every frame is judged", ha="center", transform=axes.transAxes)
    axes.set(xlim=(0, 1.01), ylim=(min(0.4, curves["accuracy"].min()) if len(curves) else 0.4, 1.01))
    axes.set_xlabel("Coverage: share of frames judged, the most familiar first")
    axes.set_ylabel("Accuracy")
    axes.set_title("Accuracy against coverage (point: the limit)")
    axes.grid(alpha=0.25)
    if len(curves):
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def distances_figure(table: pd.DataFrame, max_distance: int) -> Figure:
    """Frames by the distance to the nearest frame of another split, one line for each split.

    ``table`` is that of ``nearest_distances``: ``distance`` in bits, and for each split the number of its frames. Up to
    ``max_distance`` bits, frames count as near-duplicates.
    """
    # in steps of two bits: a pHash has as many ones as zeros, unless coefficients are equal, so few distances are odd
    counts = table.groupby(table["distance"] // 2 * 2)[[*SPLIT_COLOURS]].sum()
    largest = max([max_distance, *counts.index[counts.any(axis=1)]])
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, colour in SPLIT_COLOURS.items():
        frames = int(counts[name].sum())
        axes.step(
            counts.index, counts[name] / max(frames, 1), where="mid", color=colour, label=f"{name} (n = {frames})"
        )
    axes.axvspan(-1, max_distance + 1, color="0.88", zorder=0, label="near-duplicates")
    axes.set(xlim=(-1, largest + 3), ylim=(0, None))
    axes.xaxis.set_major_locator(MultipleLocator(4))
    axes.set_xlabel("Bits that differ from the nearest frame of another split")
    axes.set_ylabel("Share of the split's frames")
    axes.set_title("Distance across the split (64-bit pHash)")
    axes.grid(alpha=0.25)
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def curves_figure(curves: pd.DataFrame, best_epoch: int) -> Figure:
    """Training and validation loss, accuracy and AUROC by epoch. The kept epoch is marked."""
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    for axes, (curve, title) in zip(figure.subplots(1, 3), TITLES.items(), strict=True):
        for side, colour in COLOURS.items():
            axes.plot(curves["epoch"], curves[f"{side}_{curve}"], color=colour, marker="o", markersize=3, label=side)
        axes.axvline(best_epoch, color="0.6", linestyle=":", linewidth=1, label="kept epoch")
        axes.set_xlabel("Epoch")
        axes.set_title(title)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", frameon=False)
    return figure


def _metric(labels: NDArray[np.int64], probabilities: NDArray[np.float64], name: str) -> str:
    value = frame_metrics(labels, probabilities, 0.5)[name]
    return "undefined" if value is None else f"{value:.3f}"
