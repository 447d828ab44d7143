"""Augmentation against torchvision's v2 transforms."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import binomtest, kstest
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from deepfake_detection.frames.dataset import Frame
from deepfake_detection.params.train_sections import Augment
from deepfake_detection.training.augment import Drawn, apply_augmentation, augment_frame, draw_augmentation
from tests.support.params import train as train_params

RECIPE = train_params().augment


def recipe(**changes: float) -> Augment:
    """The recipe's augmentation with other values."""
    return RECIPE.model_copy(update=changes)


PLAIN = Drawn(flip=False, angle=0.0, brightness=1.0, contrast=1.0, brightness_first=True)


def drawn_frame(height: int, width: int, seed: int = 0) -> Frame:
    """Smooth colours with noise, from black to white: jitter runs into both ends."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    return (smooth + rng.normal(0, 6, smooth.shape)).clip(0, 255).astype(np.uint8)


def by_torchvision(frame: Frame, drawn: Drawn) -> NDArray[np.int64]:
    """The same values through v2's functions, one after the other."""
    image = torch.from_numpy(frame).permute(2, 0, 1)
    if drawn.flip:
        image = functional.horizontal_flip(image)
    height, width = frame.shape[:2]
    moved = [width * drawn.across, height * drawn.down]
    if drawn.scale == 1 and not any(moved):
        image = functional.rotate(image, drawn.angle, v2.InterpolationMode.BILINEAR, fill=0)
    else:  # affine turns clockwise, rotate counter-clockwise
        image = functional.affine(image, -drawn.angle, moved, drawn.scale, [0.0], v2.InterpolationMode.BILINEAR)
    steps = [(functional.adjust_brightness, drawn.brightness), (functional.adjust_contrast, drawn.contrast)]
    for step, factor in steps if drawn.brightness_first else reversed(steps):
        image = step(image, factor)
    return np.asarray(image.permute(1, 2, 0), dtype=np.int64)


def covered(height: int, width: int, angle: float) -> NDArray[np.float64]:
    """How much of each pixel of a rotated frame is frame: 1 inside, 0 beyond its edge, between on its outline."""
    ones = torch.ones(1, height, width)
    # without fill: with it, v2 multiplies the outline by this very share, a second time
    return np.asarray(functional.rotate(ones, angle, v2.InterpolationMode.BILINEAR)[0], dtype=np.float64)


@pytest.mark.parametrize("size", [(96, 96), (37, 64), (64, 51)])
@pytest.mark.parametrize("brightness_first", [True, False])
@pytest.mark.parametrize("flip", [True, False])
def test_pixels_are_torchvisions_to_two_levels(size: tuple[int, int], brightness_first: bool, flip: bool) -> None:
    for seed, (angle, brightness, contrast) in enumerate(
        [(0, 1.1, 0.9), (0, 1, 1), (5, 0.9, 1.1), (-3.3, 1.1, 1.1), (2, 1, 0.93), (-1, 1.07, 1), (180, 1, 1)]
    ):
        drawn = Drawn(flip, angle, brightness, contrast, brightness_first)
        frame = drawn_frame(*size, seed)
        found, expected = apply_augmentation(frame.copy(), drawn).astype(np.int64), by_torchvision(frame, drawn)
        cover = covered(*size, angle)
        inside = (cover > 0.999) | (cover == 0)
        difference = abs(found - expected)[inside]
        # a rounding the other way in the rotation is stretched by the jitter
        assert difference.max() <= 2, (seed, drawn)
        assert difference.mean() < 0.25, (seed, drawn)
        # v2 fades the outline once more, and there alone it is further off
        assert (~inside).mean() < 0.09
        assert (abs(found - expected).max(axis=2) <= 255 * 1.21 * (cover - cover**2) + 3).all()
        assert found.shape == frame.shape


@pytest.mark.parametrize("moved", [(0, 0), (8, -3)])
@pytest.mark.parametrize("scale", [0.8, 1.0, 1.25])
def test_a_scaled_and_shifted_frame_is_torchvisions_to_one_level(scale: float, moved: tuple[int, int]) -> None:
    frame = drawn_frame(61, 80)
    for angle in (0.0, 4.0, -30.0):
        for flip in (False, True):
            drawn = PLAIN._replace(flip=flip, angle=angle, scale=scale, across=moved[0] / 80, down=moved[1] / 61)
            found = apply_augmentation(frame.copy(), drawn)
            ones = torch.ones(1, 61, 80)
            ones = functional.affine(ones, -angle, [*moved], scale, [0.0], v2.InterpolationMode.BILINEAR)
            cover = np.asarray(ones[0])
            difference = abs(found.astype(np.int64) - by_torchvision(frame, drawn))
            assert difference[cover > 0.999].max() <= 1
            assert found[cover == 0].max(initial=0) == 0


@pytest.mark.parametrize("level", [0, 17, 128, 250, 255])
def test_jitter_of_a_flat_frame_and_at_full_strength(level: int) -> None:
    for frame in (np.full((20, 31, 3), level, np.uint8), drawn_frame(40, 40, level)):
        for brightness, contrast in ((0.0, 1.0), (1.0, 0.0), (2.0, 2.0), (2.0, 0.0), (0.5, 2.0)):
            for first in (True, False):
                drawn = Drawn(False, 0.0, brightness, contrast, first)
                found = apply_augmentation(frame.copy(), drawn).astype(np.int64)
                # the mean grey is known to half a level, and may be doubled by what comes after
                assert abs(found - by_torchvision(frame, drawn)).max() <= 2


def test_nothing_drawn_changes_nothing() -> None:
    frame = drawn_frame(33, 20)
    nothing = recipe(flip=0.0, rotation=0.0, rotate_p=1.0, scale=0.0, brightness=0.0, contrast=0.0)
    rng = np.random.default_rng(0)
    for _ in range(20):
        drawn = draw_augmentation(nothing, rng)
        assert drawn[:4] == PLAIN[:4]
        assert drawn.scale == 1
        assert np.array_equal(apply_augmentation(frame.copy(), drawn), frame)
    always = draw_augmentation(nothing.model_copy(update={"flip": 1.0}), rng)
    assert np.array_equal(apply_augmentation(frame.copy(), always), frame[:, ::-1])


def test_values_are_drawn_from_torchvisions_distributions() -> None:
    rng, count = np.random.default_rng(3), 4000
    for augment in (RECIPE, recipe(flip=0.2, rotation=90.0, rotate_p=1.0, scale=0.3, brightness=1.0, contrast=0.4)):
        drawn = [draw_augmentation(augment, rng) for _ in range(count)]
        torch.manual_seed(5)
        rotation = v2.RandomRotation(augment.rotation)
        jitter = v2.ColorJitter(augment.brightness, augment.contrast)
        affine = v2.RandomAffine(0, scale=(1 - augment.scale, 1 + augment.scale))
        scales = [affine.make_params([torch.zeros(3, 9, 9)])["scale"] for _ in range(count)]
        angles = [rotation.make_params([])["angle"] for _ in range(count)]
        jitters = [jitter.make_params([]) for _ in range(count)]
        assert kstest([one.angle for one in drawn], angles).pvalue > 0.001
        assert kstest([one.scale for one in drawn], scales).pvalue > 0.001
        assert kstest([one.brightness for one in drawn], [one["brightness_factor"] for one in jitters]).pvalue > 0.001
        assert kstest([one.contrast for one in drawn], [one["contrast_factor"] for one in jitters]).pvalue > 0.001
        assert binomtest(sum(one.flip for one in drawn), count, augment.flip).pvalue > 0.001
        assert binomtest(sum(one.brightness_first for one in drawn), count, 0.5).pvalue > 0.001
        # what is drawn of one says nothing about another
        values = np.array(drawn, dtype=float)[:, : 6 if augment.scale else 5]
        assert abs(np.corrcoef(values.T) - np.eye(values.shape[1])).max() < 0.07


def test_a_frame_that_is_not_rotated_is_left_untouched() -> None:
    frame = drawn_frame(45, 64)
    turned = recipe(flip=0.0, rotation=5.0, rotate_p=0.3, scale=0.0, brightness=0.0, contrast=0.0)
    found = [augment_frame(turned, frame.copy(), np.random.default_rng(seed)) for seed in range(600)]
    untouched = sum(np.array_equal(one, frame) for one in found)
    assert binomtest(untouched, 600, 0.7).pvalue > 0.001
    flipped = turned.model_copy(update={"flip": 1.0, "rotate_p": 0.0})
    mirror = augment_frame(flipped, frame.copy(), np.random.default_rng(0))
    assert np.array_equal(mirror, frame[:, ::-1])
    assert mirror.flags.c_contiguous


def test_probability_of_a_rotation_scale_and_shift_change_nothing_else() -> None:
    for seed in range(200):
        always, rarely = (
            draw_augmentation(RECIPE.model_copy(update={"rotate_p": share}), np.random.default_rng(seed))
            for share in (1.0, 0.2)
        )
        assert rarely in (always, always._replace(angle=0.0))
        scaled = draw_augmentation(RECIPE.model_copy(update={"scale": 0.1}), np.random.default_rng(seed))
        assert scaled == always._replace(scale=scaled.scale)
        assert 0.9 <= scaled.scale <= 1.1
        shifted = draw_augmentation(RECIPE.model_copy(update={"shift": 0.1}), np.random.default_rng(seed))
        assert shifted == always._replace(across=shifted.across, down=shifted.down)
        assert max(abs(shifted.across), abs(shifted.down)) <= 0.1
        rng = np.random.default_rng(seed)  # the order of the recipe's draws, which decides the bytes of a training
        by_hand = (rng.random() < 0.5, *rng.uniform([-5, 0.9, 0.9], [5, 1.1, 1.1]), rng.random() < 0.5, 1.0, 0.0, 0.0)
        assert always == pytest.approx(by_hand, abs=1e-12)
