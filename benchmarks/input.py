"""Frames per second and core, from the disk to the normalised float32 batch: the original recipe against ours.

The recipe decodes a 1280x720 JPEG for every sample. Its text can be read in two ways, and benchmarks/recipe.py has
both; the ratio is against the literal one. Ours maps pixels that the prepare stage has decoded and resized once,
augments them as bytes and normalises whole batches. It is measured in one process with one torch thread, with the
files in the page cache, at 224 px. The last lines say how long the parts of ours take, and after how many epochs
preparing the frames has paid off.
"""

import collections
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

from benchmarks import arguments, in_turn, machine, parameters, prepare, seconds
from benchmarks.recipe import BATCH_SIZE, RecipeFrames, Transform, literal, pil_first, write_frames
from deepfake_detection.frames.dataset import derive_seed, frame_loader
from deepfake_detection.network.normalise import Normalise
from deepfake_detection.training.augment import apply_augmentation, draw_augmentation
from deepfake_detection.training.effects import apply_effects
from deepfake_detection.training.training_frames import TrainingFrames

AUGMENT = parameters().train.augment
STURDY = parameters(augment="sturdy").train.augment


def run_through(made: Iterable[object]) -> None:
    """Runs through an iterable and keeps none of its items."""
    collections.deque(made, maxlen=0)


def main() -> None:
    options = arguments(__doc__, image_size=224, frames=64, rounds=15)
    normalise = Normalise()
    rounds = 5 if options.quick else options.rounds
    torch.set_num_threads(1)
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        paths = write_frames(Path(folder), options.frames)
        prepared, labels = Path(folder) / "prepared", [0, 1] * (len(paths) // 2)
        preparing = seconds(lambda: prepare(paths, labels, prepared, options.image_size, workers=1))
        rows = pd.DataFrame({"label": labels})
        frames = TrainingFrames(np.load(prepared.with_suffix(".npy"), mmap_mode="r"), rows, AUGMENT)

        def recipe(transform: Transform) -> Callable[[], None]:
            loader = DataLoader(RecipeFrames(paths, transform), BATCH_SIZE)
            return lambda: run_through(loader)

        def ours() -> None:
            run_through(normalise(batch) for batch, _ in frame_loader(frames, BATCH_SIZE))

        stored = [frames.pixels[row].copy() for row in frames.rows]
        drawn = [draw_augmentation(AUGMENT, np.random.default_rng(item)) for item in range(len(stored))]
        turned = [values._replace(brightness=1.0, contrast=1.0) for values in drawn]
        coloured = [values._replace(flip=False, angle=0.0) for values in drawn]
        batch = torch.from_numpy(np.stack(stored[:BATCH_SIZE]))
        count = range(len(stored))
        parts: dict[str, Callable[[], None]] = {
            "read": lambda: run_through(frames.pixels[row].copy() for row in frames.rows),
            "draw": lambda: run_through(
                draw_augmentation(AUGMENT, np.random.default_rng(derive_seed(0, 0, item))) for item in count
            ),
            "flip and rotate": lambda: run_through(apply_augmentation(stored[item], turned[item]) for item in count),
            "colours": lambda: run_through(apply_augmentation(stored[item], coloured[item]) for item in count),
            "effects of sturdy": lambda: run_through(
                apply_effects(STURDY, stored[item], np.random.default_rng(item)) for item in count
            ),
            "normalise": lambda: run_through(normalise(batch) for _ in count[::BATCH_SIZE]),
        }
        names = ["recipe, literal", "recipe, resized by Pillow first", "ours"]
        took = in_turn(rounds, recipe(literal(options.image_size)), recipe(pil_first(options.image_size)), ours)
        shares = in_turn(rounds, *parts.values())
        kilobytes = sum(path.stat().st_size for path in paths) / len(paths) / 1000

    milliseconds = [each * 1000 / len(paths) for each in took]
    print(f"{len(paths)} JPEGs of 1280x720, {kilobytes:.0f} kB each, to {options.image_size} px\n")
    print(f"{'':34}{'ms a frame':>12}{'frames/s a core':>17}{'times literal':>15}")
    for name, each in zip(names, milliseconds, strict=True):
        print(f"{name:34}{each:12.2f}{1000 / each:17.0f}{milliseconds[0] / each:15.1f}")
    of_parts = zip(parts, shares, strict=True)
    print("\nours, ms a frame: " + ", ".join(f"{name} {each * 1000 / len(paths):.2f}" for name, each in of_parts))
    once = preparing * 1000 / len(paths)
    print(
        f"prepare: {once:.1f} ms a frame, once, the start of its process included; paid after "
        f"{once / (milliseconds[0] - milliseconds[2]):.1f} epochs against literal, "
        f"{once / (milliseconds[1] - milliseconds[2]):.1f} against Pillow first"
    )
    print(f"ratio: {milliseconds[0] / milliseconds[2]:.2f}")


if __name__ == "__main__":
    main()
