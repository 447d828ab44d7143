"""A familiarity knows the frames that it was fitted on, and no others."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import LedoitWolf

from deepfake_detection.evaluation.corruptions import CORRUPTIONS
from deepfake_detection.evaluation.fit_familiarity import fit_familiarity
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.inference.familiarity import frame_statistics
from deepfake_detection.sources.drawn.drawing import film


def data_set(pixels: NDArray[np.uint8]) -> FrameDataset:
    return FrameDataset(pixels, pd.DataFrame({"label": np.zeros(len(pixels))}))


@pytest.fixture(scope="module")
def drawn() -> NDArray[np.uint8]:
    return np.stack([np.round(film(who, 0, 48, 42).filmed * 255).astype(np.uint8) for who in range(120)])


def test_a_share_of_the_frames_held_out_is_familiar_and_distances_are_mahalanobis_s(drawn: NDArray[np.uint8]) -> None:
    known, held_out = drawn[:80], drawn[80:]
    found = fit_familiarity(data_set(known), data_set(held_out), 0.9)
    distances = found(torch.from_numpy(held_out)).numpy()
    assert (distances <= 1 + 1e-5).sum() == 37  # the least number of 40 that is more than 90%, as no frame lies between
    statistics = frame_statistics(torch.from_numpy(drawn)).double().numpy()
    mean, scale = statistics[:80].mean(axis=0), statistics[:80].std(axis=0)
    precision = LedoitWolf(assume_centered=True).fit((statistics[:80] - mean) / scale).precision_
    by_hand = np.array([mahalanobis(row, mean, precision / np.outer(scale, scale)) for row in statistics[80:]])
    assert distances == pytest.approx(by_hand / by_hand[np.argsort(by_hand)[36]], rel=1e-4)


def test_other_material_is_unfamiliar(drawn: NDArray[np.uint8]) -> None:
    found = fit_familiarity(data_set(drawn[:80]), data_set(drawn[80:]), 0.99)
    rng = np.random.default_rng(0)
    for name, others in {
        "noise": rng.integers(0, 256, (9, 48, 48, 3)).astype(np.uint8),
        "black": np.zeros((1, 48, 48, 3), np.uint8),
        "smooth": np.stack([CORRUPTIONS["gaussian_blur"].apply(frame, 3.0, 0) for frame in drawn[80:]]),
    }.items():
        assert (found(torch.from_numpy(others)) > 1).float().mean() > 0.9, name


def test_frames_that_are_all_alike_give_numbers(drawn: NDArray[np.uint8]) -> None:
    same = np.repeat(drawn[:1], 8, axis=0)
    found = fit_familiarity(data_set(same), data_set(drawn[:8]), 0.99)
    assert found(torch.from_numpy(drawn)).isfinite().all()
