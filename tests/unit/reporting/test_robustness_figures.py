"""The figures of robustness show the numbers of the table, also where there are none."""

import io
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from torch import Tensor

from deepfake_detection.evaluation.corruptions import CORRUPTIONS
from deepfake_detection.evaluation.robustness import evaluate_robustness
from deepfake_detection.network.sidecar import Calibration
from deepfake_detection.reporting.robustness_figures import robustness_curves, robustness_heatmap, verdicts_heatmap
from deepfake_detection.sources.drawn.drawing import film


def sharpness(frames: Tensor) -> Tensor:
    """The logits of a detector by hand: neighbouring columns of an original differ more."""
    return 10 - frames.float().diff(dim=2).abs().mean((1, 2, 3))


def evaluated(labels: list[int]) -> tuple[dict[str, Any], pd.DataFrame]:
    """What the robustness stage finds on ten drawn faces of 40 px, every second one smoothed."""
    faces = np.stack([np.round(film(who, 0, 40, 42).filmed * 255).astype(np.uint8) for who in range(2, 12)])
    for row in range(1, 10, 2):
        faces[row] = CORRUPTIONS["gaussian_blur"].apply(faces[row], 0.6 + 0.1 * row, 0)
    same = {"dataset": "embedded", "category": "", "video_id": "", "source_id": "", "split": "test"}
    paths = [f"{number}.png" for number in range(10)]
    rows = pd.DataFrame({"path": paths, "label": labels, "group": range(10), **same})
    found = evaluate_robustness(sharpness, faces, rows, 4, calibration=Calibration(), seed=5)
    return found.summary, found.robustness


def test_figures_show_the_numbers() -> None:
    summary, table = evaluated([0, 1] * 5)
    figures = [draw(summary, table) for draw in (robustness_heatmap, verdicts_heatmap, robustness_curves)]
    aurocs, verdicts = ([text.get_text() for text in figure.axes[0].texts] for figure in figures[:2])
    assert aurocs[::2] == [f"{auroc:.3f}" for auroc in table["auroc"]]
    assert verdicts[::2] == ["100%"] * len(table)
    assert verdicts[1::2] == [f"{right:.0%} right" for right in table["answered_accuracy"]]
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in figures[2].axes[0].lines}
    assert len(lines) == 1 + len(CORRUPTIONS)
    assert lines["JPEG"].tolist() == table.query("corruption == 'jpeg'")["auroc"].tolist()
    for figure in figures:
        picture = io.BytesIO()
        figure.savefig(picture, dpi=100)
        assert np.asarray(Image.open(picture)).std() > 10


def test_one_class_is_drawn_without_numbers() -> None:
    summary, table = evaluated([1] * 10)
    assert summary["clean_auroc"] is None
    for draw in (robustness_heatmap, robustness_curves, verdicts_heatmap):
        draw(summary, table).savefig(io.BytesIO())
