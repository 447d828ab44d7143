"""Effects: each alone does what its name says, with its probability, and nothing where it is off."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from deepfake_detection.frames.filters import Frame
from deepfake_detection.params.train_sections import Augment
from deepfake_detection.sources.drawn.drawing import film
from deepfake_detection.training.augment import augment_frame
from deepfake_detection.training.effects import apply_effects, erase_part
from tests.support.params import train

FACE: Frame = np.round(film(3, 0, 96, 42).filmed * 255).astype(np.uint8)
POINTS = np.array([(36, 40), (60, 40), (48, 54), (38, 66), (58, 66)], np.float32)
RANGES = {"hue": (0.04, 0.05), "blur": (2.0, 3.0), "noise": (0.1, 0.15), "scaling": (0.25, 0.3), "jpeg": (10, 15)}


def alone(effect: str, probability: float = 1.0) -> Augment:
    """No augmentation but one effect, with strengths that show."""
    nothing: dict[str, Any] = dict.fromkeys(("flip", "rotation", "scale", "brightness", "contrast"), 0.0)
    effects = train().augment.model_dump()
    for name, (low, high) in RANGES.items():
        effects[name] = {"p": 0.0, "range": [low, high]}
    if effect in RANGES:
        effects[effect]["p"] = probability
    else:
        effects[effect] = probability
    return Augment.model_validate(effects | nothing)


def applied(effect: str, seed: int = 0, probability: float = 1.0) -> Frame:
    return augment_frame(alone(effect, probability), FACE.copy(), np.random.default_rng(seed), POINTS)


def detail(frame: Frame) -> float:
    """How much neighbouring pixels differ."""
    return float(np.abs(np.diff(frame.astype(float), axis=1)).mean())


@pytest.mark.parametrize("effect", [*RANGES, "grey", "social", "erase"])
def test_an_effect_comes_as_often_as_its_probability(effect: str) -> None:
    changed = [not np.array_equal(applied(effect, seed, 0.3), FACE) for seed in range(150)]
    assert binomtest(sum(changed), 150, 0.3).pvalue > 1e-4
    assert np.array_equal(applied(effect, 1, 0.0), FACE)
    assert np.array_equal(applied(effect, 5), applied(effect, 5))


def test_each_does_what_its_name_says() -> None:
    assert (np.ptp(applied("grey"), axis=2) == 0).all()
    assert detail(applied("blur")) < 0.6 * detail(FACE)
    assert detail(applied("noise")) > 2 * detail(FACE)
    hue = applied("hue").astype(float)
    assert np.abs(hue - FACE).mean() > 2
    assert np.ptp(hue, axis=2).mean() == pytest.approx(np.ptp(FACE, axis=2).mean(), rel=0.05)
    for effect in ("scaling", "jpeg", "social"):
        change = np.abs(applied(effect).astype(float) - FACE).mean()
        assert 2 < change < 30
    kernels = {np.abs(np.diff(applied("scaling", seed).astype(int), axis=1)).mean().round(1) for seed in range(20)}
    assert len(kernels) > 5, "the kernels differ"


def test_erasing_covers_one_part_of_the_face() -> None:
    places = {}
    for seed in range(60):
        changed = np.argwhere((erase_part(FACE, POINTS, np.random.default_rng(seed)) != FACE).any(axis=2))
        top, left = changed.min(0)
        bottom, right = changed.max(0)
        assert (bottom - top + 1) * (right - left + 1) < 0.25 * 96 * 96
        middle = (top + bottom) / 2
        places[seed] = min({"eyes": 40, "nose": 54, "mouth": 66}.items(), key=lambda part: abs(part[1] - middle))[0]
    assert set(places.values()) == {"eyes", "nose", "mouth"}
    nowhere = np.full((5, 2), np.nan, np.float32)
    assert erase_part(FACE, nowhere, np.random.default_rng(0)) is FACE
    assert np.array_equal(augment_frame(alone("erase"), FACE.copy(), np.random.default_rng(0)), FACE)


def test_what_is_off_draws_nothing() -> None:
    """So that the recipe's frames are what they were before there were effects."""
    rng = np.random.default_rng(4)
    assert apply_effects(train().augment, FACE, rng) is FACE
    assert rng.random() == np.random.default_rng(4).random()
