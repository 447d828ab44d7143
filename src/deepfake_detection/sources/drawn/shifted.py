"""The data set ``embedded_shifted``: other people, light, skin, background and camera than those of ``embedded``.

It is drawn with the same faces and manipulations, but nothing that a camera or a place gives a picture is the same. A
detector that was trained on ``embedded`` and judges it shows what it has learnt of the manipulations, and what of the
pictures. It is evaluated and never trained on.
"""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from deepfake_detection.sources.drawn.drawing import Style
from deepfake_detection.sources.drawn.portraits import (
    Array,
    Identity,
    Scene,
    band_noise,
    draw_identity,
    draw_scene,
    pixel_grid,
)

FIRST = 500  # the number of the first person: no person is in both sets

_UNDERTONE = np.array([[1.08, 0.96, 0.86], [0.94, 1.0, 1.06], [1.05, 0.94, 0.98]])  # of skin: golden, cool, rosy


def draw_shifted_identity(rng: np.random.Generator) -> Identity:
    """A person with another undertone of skin, and skin that is either smooth or blotchy."""
    person = draw_identity(rng)
    skin = np.clip(person.skin * _UNDERTONE[rng.integers(len(_UNDERTONE))], 0.08, 0.97)
    return replace(person, skin=skin, mottle=float(rng.choice([0.03, 0.16])))


def draw_shifted_scene(rng: np.random.Generator, size: int) -> Scene:
    """A place outdoors: sky, something green or brown under it, spots of light out of focus, and one coloured light.

    The face is smaller in the picture, and light reaches round it as from a wide source, into coloured shadows.
    """
    y, x = pixel_grid(size)
    horizon = rng.uniform(-0.5, 0.6)
    sky = np.array([0.50, 0.64, 0.82]) * rng.uniform(0.7, 1.15) + rng.normal(0, 0.05, 3)
    ground = np.array([0.30, 0.34, 0.20]) * rng.uniform(0.6, 1.3) + rng.normal(0, 0.05, 3)
    ground = ground + 0.10 * band_noise(rng, size, 6)[..., None] + 0.06 * band_noise(rng, size, 14)[..., None]
    below = np.clip(0.5 + 4 * (y - horizon + 0.08 * band_noise(rng, size, 20)), 0, 1)[..., None]
    backdrop = sky * (1 - below) * (1.1 - 0.2 * (y[..., None] + 1)) + ground * below
    for _ in range(rng.integers(3, 12)):
        across, down, radius = rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0.04, 0.16)
        spot = np.clip((radius - np.hypot(x - across, y - down)) / 0.02, 0, 1)[..., None]
        backdrop = backdrop + 0.35 * spot * rng.uniform(0.2, 1.0, 3)
    backdrop = ndimage.gaussian_filter(backdrop, (rng.uniform(1.0, 3.5),) * 2 + (0,))
    warm = rng.uniform(-0.14, 0.14)
    return replace(
        draw_scene(rng, size),
        backdrop=np.clip(backdrop, 0, 1),
        light_height=rng.uniform(-0.3, 1.6),
        light_strength=rng.uniform(0.65, 0.95),
        ambient=rng.uniform(0.12, 0.28),
        tint=np.array([1 + warm, 1.0, 1 - warm]),
        noise=rng.uniform(0.002, 0.015),
        focus=rng.uniform(0.3, 1.0),
        scale=rng.uniform(0.42, 0.56),
        quality=int(rng.integers(45, 76)),
        wrap=rng.uniform(0.3, 0.8),
        shadow=np.clip(np.array([0.8, 0.95, 1.3]) + rng.normal(0, 0.1, 3), 0.5, 1.6),
        gloss=rng.uniform(0.20, 0.40),
    )


def develop(picture: Array, rng: np.random.Generator) -> Array:
    """What a telephone makes of a picture: a tone curve, stronger colours, sharpened edges, darker corners."""
    y, x = pixel_grid(picture.shape[0])
    toned = np.clip(picture, 0, 1) ** rng.uniform(0.75, 1.2)
    grey = toned.mean(-1, keepdims=True)
    coloured = grey + rng.uniform(0.8, 1.35) * (toned - grey)
    soft = ndimage.gaussian_filter(coloured, (1.0, 1.0, 0))
    sharpened = coloured + rng.uniform(0.3, 0.9) * (coloured - soft)
    corners = 1 - rng.uniform(0.05, 0.25) * np.clip(x**2 + y**2 - 0.5, 0, 1)
    developed: Array = np.clip(sharpened * corners[..., None], 0, 1)
    return developed


SHIFTED = Style(draw_shifted_identity, draw_shifted_scene, develop, FIRST)
