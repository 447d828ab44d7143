"""The embedded data set: videos like those of FaceForensics++, drawn by our own code without the internet."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.parallel import map_in_processes
from deepfake_detection.sources.drawn.manipulations import MANIPULATIONS, Take
from deepfake_detection.sources.drawn.portraits import (
    Array,
    Identity,
    Scene,
    add_sensor_noise,
    draw_identity,
    draw_scene,
    draw_shot,
    render,
)
from deepfake_detection.sources.layouts.kaggle import FRAMES, LISTS

ORIGINAL = "Original"
CATEGORIES = [ORIGINAL, *MANIPULATIONS]


@dataclass(frozen=True)
class Style:
    """How a data set is drawn. Two styles share no person if their numbers of people do not overlap.

    ``first`` is the number of the first person. ``develop`` is what a camera and an editor make of a finished frame, an
    array of shape (size, size, 3), RGB in 0..1.
    """

    identity: Callable[[np.random.Generator], Identity] = draw_identity
    scene: Callable[[np.random.Generator, int], Scene] = draw_scene
    develop: Callable[[Array, np.random.Generator], Array] | None = None
    first: int = 0


EMBEDDED = Style()


def generate(
    root: Path,
    categories: list[str],
    identities: int,
    frames: int,
    size: int,
    seed: int,
    workers: int | None = None,
    style: Style = EMBEDDED,
) -> None:
    """Draws every video of the given categories into ``root``, in the layout of the Kaggle data set.

    Frames go to ``FF++C32-Frames/<Category>/``, lists to ``CSVs/<Category>.csv``. Each identity
    has one original video and is paired with one other identity. Both directions of a pair are
    manipulated (005_010 and 010_005), as in FaceForensics++. The same arguments give the same
    bytes, whatever the number of workers. Raises UserError for a category that cannot be drawn.
    """
    for category in categories:
        if category != ORIGINAL and category not in MANIPULATIONS:
            known = ", ".join([ORIGINAL, *MANIPULATIONS])
            raise UserError(f"{category} cannot be drawn, only {known}: correct real, fake and unseen")
    for category in categories:
        (root / FRAMES / category).mkdir(parents=True, exist_ok=True)
    (root / LISTS).mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng([seed, 0]).permutation(identities)
    pairs = [(int(a), int(b)) for a, b in zip(style.first + order[0::2], style.first + order[1::2], strict=True)]
    draw = partial(_draw_pair, root=root, categories=categories, frames=frames, size=size, seed=seed, style=style)
    names = sorted(chain.from_iterable(map_in_processes(draw, pairs, len(pairs), workers, "drawing videos", "pair")))
    for category in categories:
        with (root / LISTS / f"{category}.csv").open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["filename", "label"])
            rows.writerows((name, label) for label, name in names if label == category)


def _draw_pair(
    pair: tuple[int, int], root: Path, categories: list[str], frames: int, size: int, seed: int, style: Style
) -> list[tuple[str, str]]:
    names = []
    for frame in range(frames):
        takes = {who: film(who, frame, size, seed, style) for who in pair}
        for target, source in (pair, pair[::-1]):
            for category in categories:
                if category == ORIGINAL:
                    name, picture = f"{target:03d}_f{frame}.jpg", takes[target].filmed
                else:
                    rng = np.random.default_rng([seed, 4, target, *category.encode()])
                    picture = MANIPULATIONS[category](takes[target], takes[source], rng)
                    name = f"{target:03d}_{source:03d}_f{frame}.jpg"
                if style.develop:  # the same for all frames of a recording, manipulated or not
                    picture = style.develop(picture, np.random.default_rng([seed, 5, target]))
                pixels = Image.fromarray(np.round(picture * 255).astype(np.uint8))
                pixels.save(root / FRAMES / category / name, quality=takes[target].scene.quality)
                names.append((category, name))
    return names


def film(who: int, frame: int, size: int, seed: int, style: Style = EMBEDDED) -> Take:
    """Draws one frame of an identity's original video, not yet developed."""
    person = style.identity(np.random.default_rng([seed, 1, who]))
    scene = style.scene(np.random.default_rng([seed, 2, who]), size)
    rng = np.random.default_rng([seed, 3, who, frame])
    shot = draw_shot(rng)
    picture = render(person, scene, shot, size).picture
    return Take(person, scene, shot, add_sensor_noise(picture, scene.noise, rng))
