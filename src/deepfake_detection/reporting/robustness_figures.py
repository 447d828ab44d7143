"""Draws a detector's AUROC on corrupted frames, from the dictionary that evaluate_robustness returns."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

TITLES = {"jpeg": "JPEG", "webp": "WebP", "h264": "H.264"}
UNITS = {"quality": "q {:g}", "factor": r"$\times${:g}", "CRF": "CRF {:g}"}  # every other unit is a sigma
# Okabe and Ito's palette, which colour-blind readers can tell apart
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def robustness_heatmap(result: dict[str, Any]) -> Figure:
    """AUROC for each corruption (rows) and severity (columns), with the setting below each number."""
    corruptions = result["corruptions"]
    aurocs = _aurocs(result)
    lowest = min(0.5, np.nanmin(aurocs)) if np.isfinite(aurocs).any() else 0.5
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(aurocs, cmap="Blues", vmin=lowest, vmax=1, aspect="auto")
    for row, corruption in enumerate(corruptions.values()):
        unit = UNITS.get(corruption["unit"], r"$\sigma$ {:g}")
        for column, entry in enumerate(corruption["severities"]):
            auroc = aurocs[row, column]
            colour = "white" if (auroc - lowest) / (1 - lowest) > 0.7 else "black"
            text = "-" if np.isnan(auroc) else f"{auroc:.3f}"
            setting = unit.format(entry["setting"])
            axes.text(column, row - 0.12, text, ha="center", va="center", color=colour, fontsize=11)
            axes.text(column, row + 0.26, setting, ha="center", va="center", color=colour, fontsize=7)
    axes.set_xticks(range(aurocs.shape[1]), [str(1 + column) for column in range(aurocs.shape[1])])
    axes.set_yticks(range(len(corruptions)), [_title(name) for name in corruptions])
    axes.tick_params(length=0)
    axes.set_xlabel("Severity")
    axes.set_title(f"AUROC of corrupted test frames (clean: {_number(result['clean_auroc'])})")
    figure.colorbar(image, ax=axes, label="AUROC", shrink=0.9)
    return figure


def verdicts_heatmap(result: dict[str, Any]) -> Figure:
    """The share of frames that get a verdict, for each corruption and severity, and the accuracy of these verdicts."""
    corruptions = result["corruptions"]
    coverage = np.array([[entry["coverage"] for entry in each["severities"]] for each in corruptions.values()])
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(coverage, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, corruption in enumerate(corruptions.values()):
        for column, entry in enumerate(corruption["severities"]):
            colour = "white" if coverage[row, column] > 0.7 else "black"
            right = entry["answered_accuracy"]
            text = "no verdict" if right is None else f"{right:.0%} right"
            axes.text(column, row - 0.12, f"{coverage[row, column]:.0%}", ha="center", va="center", color=colour)
            axes.text(column, row + 0.26, text, ha="center", va="center", color=colour, fontsize=7)
    axes.set_xticks(range(coverage.shape[1]), [str(1 + column) for column in range(coverage.shape[1])])
    axes.set_yticks(range(len(corruptions)), [_title(name) for name in corruptions])
    axes.tick_params(length=0)
    axes.set_xlabel("Severity")
    axes.set_title(f"Corrupted test frames that get a verdict (clean: {result['clean_coverage']:.0%})")
    figure.colorbar(image, ax=axes, label="Coverage", shrink=0.9)
    return figure


def robustness_curves(result: dict[str, Any]) -> Figure:
    """AUROC against severity: one line per corruption, and a dashed line for clean frames."""
    aurocs = _aurocs(result)
    figure = Figure(figsize=(6.4, 3.9), layout="constrained")
    axes = figure.subplots()
    severities = range(1, aurocs.shape[1] + 1)
    if result["clean_auroc"] is None:
        axes.text(0.5, 0.5, "one class only", ha="center", transform=axes.transAxes)
    else:
        label = f"Clean ({result['clean_auroc']:.3f})"
        axes.axhline(result["clean_auroc"], color="0.4", linestyle="--", linewidth=1.2, label=label)
    for index, (name, values) in enumerate(zip(result["corruptions"], aurocs, strict=True)):
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        axes.plot(severities, values, color=colour, marker=marker, markersize=5, linewidth=1.6, label=_title(name))
    axes.set_xticks(severities)
    axes.set_xlabel("Severity")
    axes.set_ylabel("AUROC")
    axes.set_title(f"Corrupted test frames (mean AUROC drop: {_number(result['mean_auroc_drop'])})")
    axes.grid(alpha=0.25)
    figure.legend(loc="outside right center", frameon=False)
    return figure


def _aurocs(result: dict[str, Any]) -> NDArray[np.float64]:
    rows = [[entry["auroc"] for entry in c["severities"]] for c in result["corruptions"].values()]
    return np.array(rows, dtype=np.float64)  # None becomes NaN


def _title(name: str) -> str:
    return TITLES.get(name, name.replace("_", " ").capitalize())


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
