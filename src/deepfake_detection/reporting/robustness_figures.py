"""Draws a detector's AUROC on corrupted frames."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

TITLES = {"jpeg": "JPEG", "webp": "WebP", "h264": "H.264"}
UNITS = {"quality": "q {:g}", "factor": r"$\times${:g}", "CRF": "CRF {:g}"}
SIGMA = r"$\sigma$ {:g}"  # every other unit
# Okabe and Ito's palette, which colour-blind readers can tell apart
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def robustness_heatmap(summary: dict[str, Any], table: pd.DataFrame) -> Figure:
    """AUROC for each corruption (rows) and severity (columns), with the setting below each number.

    ``summary`` and ``table`` are those of ``evaluation.robustness.Robustness``, here as in the other figures.
    """
    aurocs = table["auroc"].map("{:.3f}".format).replace("nan", "-")
    settings = [UNITS.get(unit, SIGMA).format(each) for unit, each in zip(table["unit"], table["setting"], strict=True)]
    cells = list(zip(aurocs, settings, strict=True))
    values = _grid(table, "auroc")
    lowest = min(0.5, np.nanmin(values)) if np.isfinite(values).any() else 0.5
    title = f"AUROC of corrupted test frames (clean: {_number(summary['clean_auroc'])})"
    return _heatmap(table, values, cells, lowest, title, "AUROC")


def verdicts_heatmap(summary: dict[str, Any], table: pd.DataFrame) -> Figure:
    """The share of frames that get a verdict, for each corruption and severity, and the accuracy of these verdicts."""
    right = table["answered_accuracy"].map("{:.0%} right".format).replace("nan% right", "no verdict")
    cells = list(zip(table["coverage"].map("{:.0%}".format), right, strict=True))
    title = f"Corrupted test frames that get a verdict (clean: {summary['clean_coverage']:.0%})"
    return _heatmap(table, _grid(table, "coverage"), cells, 0.0, title, "Coverage")


def _heatmap(
    table: pd.DataFrame,
    values: NDArray[np.float64],
    cells: list[tuple[str, str]],  # what each says, and in small below it, row by row
    lowest: float,
    title: str,
    name: str,
) -> Figure:
    """``values`` by corruption (rows) and severity (columns), in colours from ``lowest`` to 1."""
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(values, cmap="Blues", vmin=lowest, vmax=1, aspect="auto")
    for ((row, column), value), (text, below) in zip(np.ndenumerate(values), cells, strict=True):
        colour = "white" if (value - lowest) / (1 - lowest) > 0.7 else "black"
        axes.text(column, row - 0.12, text, ha="center", va="center", color=colour, fontsize=11)
        axes.text(column, row + 0.26, below, ha="center", va="center", color=colour, fontsize=7)
    axes.set_xticks(range(values.shape[1]), [str(1 + column) for column in range(values.shape[1])])
    axes.set_yticks(range(len(values)), [_title(corruption) for corruption in table["corruption"].unique()])
    axes.tick_params(length=0)
    axes.set_xlabel("Severity")
    axes.set_title(title)
    figure.colorbar(image, ax=axes, label=name, shrink=0.9)
    return figure


def robustness_curves(summary: dict[str, Any], table: pd.DataFrame) -> Figure:
    """AUROC against severity: one line per corruption, and a dashed line for clean frames."""
    aurocs = _grid(table, "auroc")
    figure = Figure(figsize=(6.4, 3.9), layout="constrained")
    axes = figure.subplots()
    severities = range(1, aurocs.shape[1] + 1)
    if summary["clean_auroc"] is None:
        axes.text(0.5, 0.5, "one class only", ha="center", transform=axes.transAxes)
    else:
        label = f"Clean ({summary['clean_auroc']:.3f})"
        axes.axhline(summary["clean_auroc"], color="0.4", linestyle="--", linewidth=1.2, label=label)
    for index, (name, values) in enumerate(zip(table["corruption"].unique(), aurocs, strict=True)):
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        axes.plot(severities, values, color=colour, marker=marker, markersize=5, linewidth=1.6, label=_title(name))
    axes.set_xticks(severities)
    axes.set_xlabel("Severity")
    axes.set_ylabel("AUROC")
    axes.set_title(f"Corrupted test frames (mean AUROC drop: {_number(summary['mean_auroc_drop'])})")
    axes.grid(alpha=0.25)
    figure.legend(loc="outside right center", frameon=False)
    return figure


def _grid(table: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """A column of the table by corruption and severity."""
    return table[column].to_numpy(float).reshape(table["corruption"].nunique(), -1)


def _title(name: str) -> str:
    return TITLES.get(name, name.replace("_", " ").capitalize())


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
