"""The figures of likelihood ratios show the points that evaluate measured, also where there are none."""

from typing import Any

import numpy as np

from deepfake_detection.reporting.evidence_figures import entropy_figure, points, tippett_figure
from tests.support.tested import committed


def test_figures_show_the_points_of_frames_and_videos() -> None:
    evidence = committed("details.json")["evidence"]
    figure = tippett_figure(evidence)
    for axes, level in zip(figure.axes, ("frame", "video"), strict=True):
        drawn = {line.get_label(): np.asarray(line.get_ydata()) for line in axes.get_lines()}
        assert drawn["other manipulations"].tolist() == [point["unseen"] for point in evidence[level]["tippett"]]
    assert points(evidence, "video", "cross_entropy")["neutral"].max() == 1
    assert len(entropy_figure(evidence).axes[0].get_lines()) == 5


def test_without_ratios_the_figures_say_so() -> None:
    evidence: dict[str, Any] = {level: {"tippett": [], "cross_entropy": []} for level in ("frame", "video")}
    for figure in (tippett_figure(evidence), entropy_figure(evidence)):
        assert [axes.texts[0].get_text() for axes in figure.axes] == ["no likelihood ratios"] * 2
    assert [*points(evidence, "frame", "tippett")] == ["log10", "originals", "seen", "unseen"]  # and no rows
