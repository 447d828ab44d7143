"""Draws what likelihood ratios are worth: the plot by Tippett and the empirical cross-entropy over priors."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

LEVELS = {"frame": "Frames", "video": "Videos"}
COLOURS = {"originals": "#3b6ea8", "seen": "#b8452c", "unseen": "#8a6d1f", "neutral": "0.55"}


def points(evidence: dict[str, Any], curve: str) -> pd.DataFrame:
    """The points of ``tippett`` or ``cross_entropy`` of all levels, one below the other, named by ``level``."""
    tables = [pd.DataFrame(evidence[level][curve]).assign(level=level) for level in LEVELS]
    return pd.concat([table for table in tables if len(table)] or tables)


def tippett_figure(evidence: dict[str, Any]) -> Figure:
    """The share of each class with at least a ratio. ``evidence`` is that of metrics/details.json."""
    names = {
        "originals": ("originals", "-"),
        "seen": ("manipulations trained on", "-"),
        "unseen": ("other manipulations", "-"),
    }
    figure = _drawn(evidence, "tippett", "log10", names, "steps-pre")  # many ratios are the bounds themselves
    for axes in figure.axes:
        axes.axvline(0, color="0.7", linestyle="--", linewidth=1)
        axes.set(ylim=(-0.02, 1.02), xlabel="log10 likelihood ratio")
    figure.axes[0].set_ylabel("Share with at least this ratio")
    return figure


def entropy_figure(evidence: dict[str, Any]) -> Figure:
    """The empirical cross-entropy over priors. ``evidence`` is that of metrics/details.json."""
    names = {
        "neutral": ("no evidence", "--"),
        "seen": ("manipulations trained on", "-"),
        "seen_min": ("trained on, calibrated best", ":"),
        "unseen": ("other manipulations", "-"),
        "unseen_min": ("others, calibrated best", ":"),
    }
    figure = _drawn(evidence, "cross_entropy", "prior", names)
    for axes in figure.axes:
        axes.set(ylim=(0, None), xlabel="log10 of the prior odds of a manipulation")
    figure.axes[0].set_ylabel("Empirical cross-entropy in bits")
    return figure


def _drawn(
    evidence: dict[str, Any], curve: str, x: str, names: dict[str, tuple[str, str]], drawn: str = "default"
) -> Figure:
    figure = Figure(figsize=(8.4, 4.2), layout="constrained")
    sides: list[Axes] = list(figure.subplots(1, 2, sharey=True))
    for axes, (level, title) in zip(sides, LEVELS.items(), strict=True):
        table = pd.DataFrame(evidence[level][curve])
        for name, (label, style) in names.items():
            if name in table and table[name].notna().any():
                colour = COLOURS[name.removesuffix("_min")]
                axes.plot(
                    table[x], table[name].astype(float), color=colour, linestyle=style, drawstyle=drawn, label=label
                )
        if table.empty:
            axes.text(0.5, 0.5, "no likelihood ratios", ha="center", transform=axes.transAxes)
        axes.set_title(title)
        axes.grid(alpha=0.25)
    handles, labels = max((axes.get_legend_handles_labels() for axes in sides), key=lambda found: len(found[0]))
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure
