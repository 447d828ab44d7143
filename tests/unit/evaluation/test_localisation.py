"""How well maps agree with masks, on maps that are right, wrong and at chance."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from deepfake_detection.evaluation.localisation import compare_places, measure_where
from deepfake_detection.network.model import add_where, build_model
from deepfake_detection.network.sidecar import Where
from deepfake_detection.training.blending import LANDMARKS


def compared(found: NDArray[np.float32], masks: NDArray[np.float32]) -> Where:
    result = compare_places(found, masks, "blends")
    assert result
    return result


def test_a_map_is_compared_with_its_mask() -> None:
    """Four places of a corner were changed in three blends; a mask of the fourth covers no place, so it is left out.

    In two of the three it is the same corner, so that a blind guess is right in these.
    """
    masks = np.zeros((4, 6, 6), np.float32)
    masks[:2, :2, :2] = masks[2, 4:, :2] = 1
    masks[3, 0, 0] = 0.4
    right = 0.1 + 0.7 * masks
    found = compared(right, masks)
    assert (found.frames, found.auroc, found.iou, found.hits) == (3, 1, 1, 1)
    assert found.blind_hits == pytest.approx(2 / 3)
    assert 0.1 < found.threshold <= 0.8
    assert found.blind_iou == pytest.approx(2 / 3), "the corner of two of the three"
    assert compared(1 - right, masks).auroc == 0
    wide = right.copy()
    wide[0, :, :] = 0.8  # everything is marked in one of three: 4 of 36 places are right
    assert compared(wide, masks).iou == pytest.approx((2 + 4 / 36) / 3)
    wide[1, 5, 5] = 0.9  # the brightest place of another lies outside
    assert compared(wide, masks).hits == pytest.approx(2 / 3)
    assert compare_places(right, 0.4 * masks, "blends") is None, "no mask covers a place"
    assert compare_places(right, np.ones_like(masks), "blends") is None, "there is no place that was not changed"


def test_blends_are_the_same_in_every_call() -> None:
    torch.manual_seed(1)
    network = build_model("efficientnet_lite0", 0.0).eval()
    add_where(network)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    points = np.tile(18 * LANDMARKS + (32, 26), (6, 1, 1)).astype(np.float32)
    rows = pd.DataFrame(
        {"label": 0, "category": "Original", "dataset": "d", "video_id": "000", "frame": range(6)}, range(6)
    )
    first = measure_where(network, pixels, rows, points)
    assert first == measure_where(network, pixels, rows, points)
    assert first
    assert (first.of, first.frames) == ("blends", 6)
    assert measure_where(network, pixels, rows.assign(label=1), points) is None
    assert measure_where(build_model("efficientnet_lite0", 0.0), pixels, rows, points) is None


def test_fakes_with_their_originals_come_before_blends() -> None:
    """Of three fakes one has its original in the same crop: only its mask is known, the corner where it differs."""
    torch.manual_seed(1)
    network = build_model("efficientnet_lite0", 0.0).eval()
    add_where(network)
    pixels = np.full((5, 64, 64, 3), 100, np.uint8)
    pixels[2:, :24, :24] = 180
    points = np.tile(18 * LANDMARKS + (32, 26), (5, 1, 1)).astype(np.float32)
    points[3] += 1
    rows = pd.DataFrame({"label": [0, 0, 1, 1, 1], "dataset": "d", "video_id": "000", "frame": [0, 1, 0, 1, 2]})
    found = measure_where(network, pixels, rows, points)
    assert found
    assert (found.of, found.frames, found.blind_hits, found.blind_iou) == ("fakes", 1, 1, 1)
