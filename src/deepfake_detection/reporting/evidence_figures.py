"""Draws what likelihood ratios are worth: the plot by Tippett and the empirical cross-entropy over priors."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepfake_detection.reporting.worth import LEVELS

# the columns of a table of points, that of the x axis first, and how each of the others is called
CURVES = {
    "tippett": {
        "log10": "log10 likelihood ratio",
        "originals": "originals",
        "seen": "manipulations trained on",
        "unseen": "other manipulations",
    },
    "cross_entropy": {
        "prior": "log10 of the prior odds of a manipulation",
        "neutral": "no evidence",
        "seen": "manipulations trained on",
        "seen_min": "trained on, calibrated best",
        "unseen": "other manipulations",
        "unseen_min": "others, calibrated best",
    },
}
STYLES = {"neutral": "--", "seen_min": ":", "unseen_min": ":"}
COLOURS = {"originals": "#3b6ea8", "seen": "#b8452c", "unseen": "#8a6d1f", "neutral": "0.55"}


def points(evidence: dict[str, Any], level: str, curve: str) -> pd.DataFrame:
    """The points of a curve of CURVES; ``evidence`` is that of metrics/details.json."""
    return pd.DataFrame(evidence[level][curve], columns=[*CURVES[curve]], dtype=float)


def tippett_figure(evidence: dict[str, Any]) -> Figure:
    """The share of each class with at least a ratio."""
    figure = _drawn(evidence, "tippett", "Share with at least this ratio", "steps-pre")  # many have the bound itself
    for axes in figure.axes:
        axes.axvline(0, color="0.7", linestyle="--", linewidth=1)
    return figure


def entropy_figure(evidence: dict[str, Any]) -> Figure:
    """The empirical cross-entropy over priors."""
    return _drawn(evidence, "cross_entropy", "Empirical cross-entropy in bits")


def _drawn(evidence: dict[str, Any], curve: str, y: str, steps: str = "default") -> Figure:
    (x, x_words), *names = CURVES[curve].items()
    figure = Figure(figsize=(8.4, 4.2), layout="constrained")
    sides: list[Axes] = list(figure.subplots(1, 2, sharey=True))
    for axes, (level, title) in zip(sides, LEVELS.items(), strict=True):
        table = points(evidence, level, curve)
        for name, words in names:
            if table[name].notna().any():
                (line,) = axes.plot(table[x], table[name], STYLES.get(name, "-"), drawstyle=steps, label=words)
                line.set_color(COLOURS[name.removesuffix("_min")])
        if table.empty:
            axes.text(0.5, 0.5, "no likelihood ratios", ha="center", transform=axes.transAxes)
        axes.set(ylim=(-0.02, None), xlabel=x_words, title=title)
        axes.grid(alpha=0.25)
    sides[0].set_ylabel(y)
    handles, labels = max((axes.get_legend_handles_labels() for axes in sides), key=lambda found: len(found[0]))
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure
