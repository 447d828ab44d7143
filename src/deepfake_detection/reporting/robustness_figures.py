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
    aurocs = _aurocs(result)
    lowest = min(0.5, np.nanmin(aurocs)) if np.isfinite(aurocs).any() else 0.5
    cells = []
    for corruption in result["corruptions"].values():
        unit = UNITS.get(corruption["unit"], r"$\sigma$ {:g}")
        for entry in corruption["severities"]:
            auroc = entry["auroc"]
            cells.append(("-" if auroc is None else f"{auroc:.3f}", unit.format(entry["setting"])))
    title = f"AUROC of corrupted test frames (clean: {_number(result['clean_auroc'])})"
    return _heatmap(result, aurocs, cells, lowest, title, "AUROC")


def verdicts_heatmap(result: dict[str, Any]) -> Figure:
    """The share of frames that get a verdict, for each corruption and severity, and the accuracy of these verdicts."""
    coverage = np.array([[step["coverage"] for step in each["severities"]] for each in result["corruptions"].values()])
    cells = []
    for corruption in result["corruptions"].values():
        for entry in corruption["severities"]:
            right = entry["answered_accuracy"]
            cells.append((f"{entry['coverage']:.0%}", "no verdict" if right is None else f"{right:.0%} right"))
    title = f"Corrupted test frames that get a verdict (clean: {result['clean_coverage']:.0%})"
    return _heatmap(result, coverage, cells, 0.0, title, "Coverage")


def _heatmap(
    result: dict[str, Any],
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
    axes.set_yticks(range(len(values)), [_title(corruption) for corruption in result["corruptions"]])
    axes.tick_params(length=0)
    axes.set_xlabel("Severity")
    axes.set_title(title)
    figure.colorbar(image, ax=axes, label=name, shrink=0.9)
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
