"""Draws how a video's scores go over its time."""

import io
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from deepfake_detection.common.text import clock
from deepfake_detection.network.sidecar import Sidecar
from deepfake_detection.serving.results import Moment, VideoPrediction

PEOPLE = 5  # whose curves are drawn
MARKERS = "osD^v"
COLOURS = ("#b3261e", "#2f5f98", "#4d7a2a", "#8a5a00", "#6a4c93")
SIZE = 4.0  # inches wide, so that its text can be read on a phone
# the text stays text, and two runs give the same bytes
SVG: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "case", "font.size": 8}


def score_chart(found: VideoPrediction, sidecar: Sidecar) -> bytes:
    """An SVG: each person's probability of a fake by the frame, with the threshold, and how unfamiliar the frames are.

    The most suspicious stretch is shaded if it decides. There is no lower part if the checkpoint has no familiarity.
    """
    moments = sorted(found.moments, key=lambda moment: moment.seconds)
    familiar = any(moment.face.unfamiliarity is not None for moment in moments)
    with matplotlib.rc_context(SVG):
        figure = Figure(figsize=(SIZE, 3.9 if familiar else 2.7), layout="constrained")
        axes: list[Axes] = list(
            figure.subplots(1 + familiar, 1, sharex=True, squeeze=False, height_ratios=[2, 1][: 1 + familiar])[:, 0]
        )
        _draw_scores(axes[0], moments, found, sidecar.frame.threshold)
        if familiar:
            _draw_familiarity(axes[1], moments)
        axes[-1].set_xlim(0, max(found.seconds, 0.1))
        axes[-1].set_xlabel("minutes and seconds from the start")
        axes[-1].xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: clock(seconds)))
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def _draw_scores(axes: Axes, moments: list[Moment], found: VideoPrediction, threshold: float) -> None:
    for person in found.people[:PEOPLE]:
        own = [moment for moment in moments if moment.person == person.number]
        axes.plot(
            [moment.seconds for moment in own],
            [moment.face.probability for moment in own],
            color=COLOURS[person.number - 1],
            marker=MARKERS[person.number - 1],
            markersize=3,
            linewidth=1,
            label=f"person {person.number}" if len(found.people) > 1 else "each frame",
        )
    axes.axhline(threshold, color="black", linestyle="--", linewidth=1, label=f"threshold of a frame, {threshold:.0%}")
    stretch = found.people[0].stretch if found.people else None
    if stretch and stretch.decides:
        axes.axvspan(stretch.start, stretch.end, color="#b3261e", alpha=0.12, linewidth=0, label="decides")
    axes.set_ylim(-0.04, 1.04)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_ylabel("probability of a deepfake")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False, columnspacing=1)


def _draw_familiarity(axes: Axes, moments: list[Moment]) -> None:
    known = [moment for moment in moments if moment.face.unfamiliarity is not None and moment.person <= PEOPLE]
    highest = max((moment.face.unfamiliarity or 0.0 for moment in known), default=0.0)
    axes.axhspan(0, 1, color="#4d7a2a", alpha=0.15, linewidth=0)
    axes.axhline(1, color="black", linestyle="--", linewidth=1)
    for person in sorted({moment.person for moment in known}):
        own = [moment for moment in known if moment.person == person]
        axes.plot(
            [moment.seconds for moment in own],
            [moment.face.unfamiliarity or 0.0 for moment in own],
            color=COLOURS[person - 1],
            marker=MARKERS[person - 1],
            markersize=2,
            linewidth=0.8,
        )
    axes.set_ylim(0, max(1.5, 1.1 * highest))
    axes.set_ylabel("unfamiliarity")
    axes.text(0.01, 0.06, "band: like the training frames", transform=axes.transAxes, fontsize=7)
