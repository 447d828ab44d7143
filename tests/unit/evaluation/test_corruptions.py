"""Corruptions on a drawn face: same shape, stronger with severity, repeatable, input untouched."""

import numpy as np
import pytest

from deepfake_detection.evaluation.corruptions import CORRUPTIONS, contrast, h264, scaling
from deepfake_detection.frames.filters import Frame
from deepfake_detection.sources.drawn.drawing import film

FACE: Frame = np.round(film(3, 0, 96, 42).filmed * 255).astype(np.uint8)
ODD: Frame = FACE[10:65, 20:85][:, ::-1]  # 55 x 65, and not contiguous


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_severity_changes_the_frame_more(name: str) -> None:
    corruption = CORRUPTIONS[name]
    found = [corruption.apply(FACE, setting, 7) for setting in corruption.settings]
    assert {(frame.shape, frame.dtype) for frame in found} == {(FACE.shape, FACE.dtype)}
    changes = [np.abs(frame.astype(float) - FACE).mean() for frame in found]
    assert changes[0] > 1
    assert np.all(np.diff(changes) > 0), changes


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruption_repeats_and_leaves_its_input_alone_and_only_noise_depends_on_the_seed(name: str) -> None:
    corruption = CORRUPTIONS[name]
    frame = ODD.copy()
    frame.flags.writeable = False  # as prepared pixels are
    first, again, other = (corruption.apply(frame, corruption.settings[2], seed) for seed in (7, 7, 8))
    assert first.shape == ODD.shape
    assert np.array_equal(first, again)
    assert np.array_equal(first, other) == (name != "gaussian_noise")
    assert np.array_equal(frame, ODD)
    assert first.flags.writeable
    assert not np.shares_memory(first, frame)
    assert np.array_equal(first, corruption.apply(ODD, corruption.settings[2], 7)), "memory layout matters"


def test_noise_is_as_strong_as_its_setting_and_unbiased() -> None:
    grey = np.full((96, 96, 3), 128, np.uint8)
    change = CORRUPTIONS["gaussian_noise"].apply(grey, 0.1, 7).astype(float) - 128
    assert change.std() == pytest.approx(25.5, rel=0.03)
    assert abs(change.mean()) < 0.5


def test_contrast_draws_values_towards_the_mean_grey() -> None:
    halves = np.repeat(np.array([[[60] * 3, [140] * 3]], np.uint8), 16, axis=1).repeat(32, axis=0)
    assert np.unique(contrast(halves, 0.5)).tolist() == pytest.approx([80, 120], abs=1)  # torchvision rounds down


def test_scaling_removes_what_is_finer_than_its_grid_and_keeps_the_rest() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    assert scaling(stripes, 0.25)[8:-8, 8:-8].std() < 10
    flat = np.full((65, 63, 3), 77, np.uint8)
    assert np.array_equal(scaling(flat, 0.3), flat)


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_h264_keeps_colours_in_their_channels_up_to_the_edge(channel: int) -> None:
    frame = np.full((33, 47, 3), 60, np.uint8)
    frame[..., channel] = 190
    assert np.abs(h264(frame, 23).astype(int) - frame).max() <= 6
