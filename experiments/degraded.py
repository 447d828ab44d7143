"""A copy of a data set in the Kaggle layout, as a messenger might deliver it.

``python -m experiments.degraded FROM TO`` writes it. Each frame is scaled to half its size and encoded as one H.264 key
frame at constant rate factor 36. Names and lists stay, so a copy that is evaluated beside its original has the same
videos.
"""

import shutil
from argparse import ArgumentParser
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from deepfake_detection.common.parallel import map_in_processes
from deepfake_detection.evaluation.corruptions import h264
from deepfake_detection.pictures.images import read_rgb
from deepfake_detection.sources.layouts.kaggle import FRAMES, LISTS
from stages import run

FACTOR, RATE = 2, 36


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("to", type=Path)
    options = parser.parse_args()
    shutil.copytree(options.source / LISTS, options.to / LISTS)
    frames = sorted((options.source / FRAMES).rglob("*.jpg"))
    for folder in {path.parent for path in frames}:
        (options.to / folder.relative_to(options.source)).mkdir(parents=True)
    write = partial(_write, options.source, options.to)
    list(map_in_processes(write, frames, len(frames), None, "degrading frames", "frame"))


def _write(source: Path, to: Path, path: Path) -> None:
    picture = Image.fromarray(read_rgb(path))
    small = picture.resize((picture.width // FACTOR, picture.height // FACTOR), Image.Resampling.LANCZOS)
    degraded = h264(np.asarray(small), RATE, 0)
    Image.fromarray(degraded).save(to / path.relative_to(source), quality=100, subsampling=0)


if __name__ == "__main__":
    run(main)
