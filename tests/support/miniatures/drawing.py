"""Draws the tiny pictures and videos of the miniatures. Nobody is shown: a face is an oval."""

import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.support.films import write_film


def picture(path: Path, who: int, fake: bool, frame: int = 0, size: int = 64) -> None:
    """A frame of a person in front of a wall, in the format of the suffix. In a fake, the face has an edge."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(_draw(path, who, fake, frame, size)).save(path, quality=90)


def film(path: Path, who: int, fake: bool, frames: int = 4, size: int = 64) -> None:
    """A video of such frames, ten a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_film(path, [_draw(path, who, fake, frame, size) for frame in range(frames)], preset="ultrafast")


def _draw(path: Path, who: int, fake: bool, frame: int, size: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(who)
    wall, skin = rng.uniform(40, 200, 3), rng.uniform(90, 230, 3)
    # by their coarse structure people are told apart, so two must not have the same
    wall = wall + np.kron(rng.uniform(-40, 40, (4, 4, 1)), np.ones((size // 4, size // 4, 1)))
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    distance = np.hypot((x - 0.02 * frame) / 0.45, y / 0.6)
    drawn = np.where(distance[..., None] < 1, skin, wall + 30 * y[..., None])
    if fake:
        drawn = np.where(np.abs(distance[..., None] - 0.8) < 0.08, drawn * 0.6, drawn)
    own = zlib.crc32("/".join(path.parts[-2:]).encode())  # no two files are equal
    noise = np.random.default_rng([who, frame, own])
    return np.clip(drawn + noise.normal(0, 3, drawn.shape), 0, 255).astype(np.uint8)
