"""``deepfake-detect predict`` on thousands of pictures: its frames/s beside the bare network's, and its peak memory.

``python -m benchmarks.predict`` writes 1,000 and 10,000 JPEGs of 256 pixels (``--quick``: 200 and 600), which are
variations of drawn faces. The command predicts each folder with the pipeline's checkpoint: it reads, decodes,
resizes, predicts and prints. The bare network takes 256 of the same frames, decoded and resized in advance, in
batches of the same size. It is timed before and after each run of the command. Memory is the peak of the command's
process (the kernel's maximum resident set size).

``ratio`` is the command's frames/s over the bare network's, on the larger folder. The command's start-up time is
left out; it is measured with one picture.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import machine, seconds
from deepfake_detection.network.allocator import keep_freed_memory
from deepfake_detection.serving.detector import BATCH, Detector
from deepfake_detection.sources.drawn.drawing import film
from stages import run

FACES, SIZE, BARE = 60, 256, 256


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two cores, under three minutes")
    parser.add_argument("--checkpoint", type=Path, default=Path("models/best_model_efficientnet_b7.pth"))
    parser.add_argument("--backend", default="torch", help="as of the command")
    options = parser.parse_args()
    print(machine())
    detector = Detector.load(options.checkpoint, options.backend)
    keep_freed_memory()  # as the command does
    faces = [np.round(film(who, 0, SIZE, seed=1).filmed * 255).astype(np.uint8) for who in range(FACES)]
    command = ["predict", "--csv", "--checkpoint", str(options.checkpoint), "--backend", options.backend]
    print(f"{options.checkpoint.name}, {detector.size} px, batches of {BATCH}, {options.backend}\n")
    print(f"{'files':>6}{'seconds':>9}{'frames/s':>10}{'bare network':>14}{'ratio':>7}{'memory MB':>11}")
    with tempfile.TemporaryDirectory() as name:
        folder, sizes = Path(name), (1, 200, 600) if options.quick else (1, 1_000, 10_000)
        write(folder / "bare", faces, BARE)
        crops = list(detector.crops(sorted((folder / "bare").iterdir())))
        bare = partial(detector.logits, crops)
        bare()
        start_up = 0.0
        for size in sizes:
            write(folder / str(size), faces, size)
            before = [seconds(bare), seconds(bare)]
            took, peak = judged([*command, str(folder / str(size))], size)
            alone = len(crops) / statistics.median([*before, seconds(bare), seconds(bare)])
            if size == 1:
                start_up = took
                print(f"{size:6}{took:9.1f}{'':31}{peak:11.0f}")
                continue
            rate = size / (took - start_up)
            print(f"{size:6}{took:9.1f}{rate:10.1f}{alone:14.1f}{rate / alone:7.2f}{peak:11.0f}")
    print(f"ratio: {rate / alone:.2f}")


def write(folder: Path, faces: list[NDArray[np.uint8]], count: int) -> None:
    """Writes ``count`` pictures. Each is a face, darkened at random and shifted."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        face = np.roll(faces[number % len(faces)], rng.integers(-16, 16, 2), (0, 1)) * rng.uniform(0.7, 1)
        Image.fromarray(face.astype(np.uint8)).save(folder / f"{number:05}.jpg", quality=85)


def judged(arguments: list[str], count: int) -> tuple[float, float]:
    """Seconds and peak MB of the command, which must print a header and a line for each of ``count`` files."""
    command = [str(Path(sys.executable).parent / "deepfake-detect"), *arguments]
    with tempfile.TemporaryFile() as out:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out)  # noqa: S603  our own code
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - start
        out.seek(0)
        lines = out.read().splitlines()
    if status or len(lines) != count + 1:
        sys.exit(f"{' '.join(command)}: status {status}, {len(lines)} lines")
    return took, usage.ru_maxrss / 1000


if __name__ == "__main__":
    run(main)
