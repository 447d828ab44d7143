"""The figures of robustness show the numbers of the table, also where there are none."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from deepfake_detection.evaluation.corruptions import CORRUPTIONS
from deepfake_detection.evaluation.robustness import evaluate_robustness
from deepfake_detection.network.sidecar import Calibration
from deepfake_detection.reporting.robustness_figures import robustness_curves, robustness_heatmap, verdicts_heatmap
from deepfake_detection.sources.drawn.drawing import film
from tests.unit.evaluation.test_robustness import index_rows


def sharpness(frames: Tensor) -> Tensor:
    """The logits of a detector by hand: neighbouring columns of an original differ more."""
    return 10 - frames.float().diff(dim=2).abs().mean((1, 2, 3))


def evaluated(labels: list[int]) -> dict[str, Any]:
    """What the robustness stage finds on ten drawn faces of 40 px, every second one smoothed."""
    faces = np.stack([np.round(film(who, 0, 40, 42).filmed * 255).astype(np.uint8) for who in range(2, 12)])
    for row in range(1, 10, 2):
        faces[row] = CORRUPTIONS["gaussian_blur"].apply(faces[row], 0.6 + 0.1 * row, 0)
    return evaluate_robustness(
        sharpness, faces, index_rows(labels, list(range(10))), 4, calibration=Calibration(), seed=5
    )[0]


def test_figures_show_the_numbers() -> None:
    result = evaluated([0, 1] * 5)
    heatmap, curves = robustness_heatmap(result), robustness_curves(result)
    texts = [text.get_text() for text in heatmap.axes[0].texts]
    shown = [f"{entry['auroc']:.3f}" for c in result["corruptions"].values() for entry in c["severities"]]
    assert texts[::2] == shown
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in curves.axes[0].lines}
    assert len(lines) == 1 + len(CORRUPTIONS)
    jpeg = [entry["auroc"] for entry in result["corruptions"]["jpeg"]["severities"]]
    assert lines["JPEG"].tolist() == jpeg
    verdicts = verdicts_heatmap(result)
    texts = [text.get_text() for text in verdicts.axes[0].texts]
    right = [
        f"{entry['answered_accuracy']:.0%} right" for c in result["corruptions"].values() for entry in c["severities"]
    ]
    assert texts[::2] == ["100%"] * len(right)
    assert texts[1::2] == right
    for figure in (heatmap, curves, verdicts):
        picture = io.BytesIO()
        figure.savefig(picture, dpi=100)
        assert np.asarray(Image.open(picture)).std() > 10


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_is_drawn_without_numbers(label: int) -> None:
    result = evaluated([label] * 10)
    assert result["clean_auroc"] is None
    for figure in (robustness_heatmap(result), robustness_curves(result), verdicts_heatmap(result)):
        figure.savefig(io.BytesIO())
