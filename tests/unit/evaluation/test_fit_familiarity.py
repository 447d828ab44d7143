"""A familiarity knows frames like those that it was fitted on, of other people too, and no others."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import mahalanobis
from scipy.stats import norm
from sklearn.covariance import LedoitWolf

from deepfake_detection.evaluation.corruptions import CORRUPTIONS
from deepfake_detection.evaluation.fit_familiarity import (
    TILES,
    bound_for_new_groups,
    fit_familiarity,
    layout_of,
    shuffled,
    upside_down,
    whitening_of,
)
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.inference.familiarity import SIDE, Familiarity, frame_layout, frame_statistics
from deepfake_detection.sources.drawn.drawing import film

PEOPLE, FRAMES = 40, 3
GROUPS = np.repeat(np.arange(PEOPLE), FRAMES)


@pytest.fixture(scope="module")
def drawn() -> NDArray[np.uint8]:
    found = [film(who, number, 48, 42).filmed for who in range(PEOPLE) for number in range(FRAMES)]
    return np.stack([np.round(each * 255).astype(np.uint8) for each in found])


@pytest.fixture(scope="module")
def known(drawn: NDArray[np.uint8]) -> Familiarity:
    return fitted(drawn, GROUPS < 30)


def fitted(pixels: NDArray[np.uint8], rows: NDArray[np.bool_], share: float = 0.99) -> Familiarity:
    frames = FrameDataset(pixels[rows], pd.DataFrame({"label": np.zeros(rows.sum())}))
    return fit_familiarity(frames, pd.Series(GROUPS[: len(pixels)][rows]), share)


def flagged(known: Familiarity, pixels: NDArray[np.uint8]) -> float:
    return float((known(torch.from_numpy(np.ascontiguousarray(pixels))) > 1).float().mean())


def test_frames_of_other_people_are_familiar_and_other_material_is_not(
    drawn: NDArray[np.uint8], known: Familiarity
) -> None:
    others = drawn[GROUPS >= 30]
    assert flagged(known, others) <= 0.04
    rng = np.random.default_rng(0)
    for name, pixels in {
        "noise": rng.integers(0, 256, (9, 48, 48, 3)).astype(np.uint8),
        "black": np.zeros((1, 48, 48, 3), np.uint8),
        "smooth": np.stack([CORRUPTIONS["gaussian_blur"].apply(frame, 3.0, 0) for frame in others]),
        "grey": others.mean(axis=3, keepdims=True).repeat(3, axis=3).astype(np.uint8),
    }.items():
        assert flagged(known, pixels) > 0.9, name


def test_distances_are_mahalanobis_s_over_the_limit(drawn: NDArray[np.uint8], known: Familiarity) -> None:
    rows, statistics = GROUPS < 30, frame_statistics(torch.from_numpy(drawn)).double().numpy()
    fitted_on = statistics[rows]
    mean, scale = fitted_on.mean(axis=0), fitted_on.std(axis=0)
    precision = LedoitWolf(assume_centered=True).fit((fitted_on - mean) / scale).precision_
    by_hand = np.array([mahalanobis(row, mean, precision / np.outer(scale, scale)) for row in statistics])
    whitened = (torch.from_numpy(statistics) - known.mean) @ known.whitening.double()
    ratio = whitened.norm(dim=1).numpy() / by_hand
    assert ratio == pytest.approx(ratio[0], rel=1e-3)
    # a frame counts by what was fitted without its group, so the limit is beyond what the groups themselves reach
    within = np.linalg.norm((fitted_on - whitening_of(fitted_on)[0]) @ whitening_of(fitted_on)[1], axis=1)
    assert 1 / ratio[0] > bound_for_new_groups(within, GROUPS[rows], 0.99, 0.9)


def test_a_bound_counts_groups_and_not_frames() -> None:
    values, groups = np.array([1.0, 2.0, 4.0]), np.arange(3)
    by_table = values.mean() + 4.258 * values.std(ddof=1)  # the factor that tables give for 3, 90% and 90%
    assert bound_for_new_groups(values, groups, 0.9, 0.9) == pytest.approx(by_table, rel=1e-3)
    assert bound_for_new_groups(values.repeat(50), groups.repeat(50), 0.9, 0.9) == pytest.approx(by_table, rel=1e-3)
    many = np.random.default_rng(0).normal(size=3000)
    assert bound_for_new_groups(many, np.arange(3000), 0.99, 0.9) == pytest.approx(2.33, abs=0.15)


def test_the_bound_keeps_the_share_of_groups_with_its_confidence() -> None:
    draws = np.random.default_rng(1).normal(size=(300, 12))
    kept = [norm.cdf(bound_for_new_groups(draw, np.arange(12), 0.9, 0.9)) >= 0.9 for draw in draws]
    assert np.mean(kept) == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize("change", [upside_down, shuffled])
def test_a_layout_that_is_turned_or_shuffled_is_told(
    drawn: NDArray[np.uint8], change: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> None:
    face = np.zeros((SIDE, SIDE))
    face[3, [3, 4, 7, 8]] = face[8, 3:9] = -3  # eyes and a mouth
    layouts = np.random.default_rng(0).normal(face.ravel(), 0.5, (200, SIDE**2))
    weights, offset = layout_of(layouts[:100])
    upright, changed = layouts[100:] @ weights + offset, change(layouts[100:]) @ weights + offset
    assert upright.max() < 0 < np.quantile(changed, 0.05)


def test_tiles_are_shuffled_whole() -> None:
    layouts = np.arange(2.0 * SIDE**2).reshape(2, -1)
    found, side = shuffled(layouts), SIDE // TILES
    assert np.sort(found, axis=1).tolist() == layouts.tolist()
    assert found.tolist() != layouts.tolist()
    tile = found[0].reshape(SIDE, SIDE)[:side, :side]
    assert (tile - tile[0, 0]).tolist() == [[row * SIDE + column for column in range(side)] for row in range(side)]
    assert upside_down(layouts)[0, :SIDE].tolist() == layouts[0, -SIDE:].tolist()


def test_frames_upside_down_are_unfamiliar_where_people_are_framed_alike() -> None:
    rng, face = np.random.default_rng(0), np.full((48, 48, 3), 180)
    face[12:16, 12:20] = face[12:16, 28:36] = face[32:36, 12:36] = 60
    pixels = np.clip(face + rng.normal(0, 12, (120, 48, 48, 3)), 0, 255).astype(np.uint8)
    found = fitted(pixels, GROUPS < 30)
    assert flagged(found, pixels[GROUPS >= 30]) <= 0.04
    assert flagged(found, pixels[:, ::-1]) == 1
    assert frame_layout(torch.from_numpy(pixels)).shape == (120, SIDE**2)


def test_frames_that_are_all_alike_or_of_one_group_give_numbers(drawn: NDArray[np.uint8]) -> None:
    same = np.repeat(drawn[:1], 8, axis=0)
    assert fitted(same, np.ones(8, bool))(torch.from_numpy(drawn)).isfinite().all()
    assert fitted(drawn[:FRAMES], np.ones(FRAMES, bool))(torch.from_numpy(drawn)).isfinite().all()
