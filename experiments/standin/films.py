"""Films people who do not exist, and manipulates the films: ``python -m experiments.standin.films PORTRAITS FOLDER``.

PORTRAITS has pictures of one face each. FOLDER becomes like FaceForensics++ as its authors' script downloads it, which
``datasets`` and ``experiments.genuine`` read. Of every pair of people there are both originals, Deepfakes in both
directions, and each other manipulation in one. All films, the originals too, are compressed twice: as if for a video
portal, and then as FaceForensics++'s c23. A killed run goes on with the next pair.
"""

from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from io import BytesIO
from itertools import starmap
from pathlib import Path
from typing import Any

import av
import numpy as np

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing
from deepfake_detection.common.progress import progress
from experiments.standin.filming import RATE, Scene
from experiments.standin.manipulations import MANIPULATIONS, Take
from experiments.standin.people import Person, Picture, read_people
from stages import run

PORTAL, C23 = (18, 26), 23  # quality (CRF) of H.264; each film draws the first
BOTH_WAYS = "Deepfakes"
KEY = 25  # frames from one key frame to the next, at most


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("portraits", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", type=int, default=48, help="in pairs (default: 48)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each film (default: 2)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.people < 2 or options.people % 2:
        raise UserError("--people: an even number, for they are swapped in pairs")
    if not 0 < options.seconds <= 60:
        raise UserError("--seconds: more than 0, and at most 60")
    people = read_people(options.portraits, options.people, np.random.default_rng(options.seed))
    frames = max(1, round(options.seconds * RATE))
    for pair in progress(range(0, len(people), 2), "filming", len(people) // 2, "pair"):
        film_pair(options.folder, pair, people[pair : pair + 2], frames, options.seed)


def film_pair(folder: Path, first: int, people: Sequence[Person], frames: int, seed: int) -> None:
    """Writes all films of two people, who are numbers ``first`` and ``first`` + 1. What is there is not written again.

    Raises UserError if PyAV has no H.264 encoder.
    """
    names = [f"{first + number:03d}" for number in range(2)]
    paths = [folder / f"original_sequences/youtube/c23/videos/{name}.mp4" for name in names]
    fakes = {
        (made, target): folder / f"manipulated_sequences/{made}/c23/videos/{names[target]}_{names[1 - target]}.mp4"
        for made in MANIPULATIONS
        for target in range(2)
        if target == 0 or made == BOTH_WAYS
    }
    if all(path.exists() for path in [*paths, *fakes.values()]):
        return
    rngs = [np.random.default_rng([seed, first + number]) for number in range(2)]
    scenes = [Scene.drawn(person, frames, rng) for person, rng in zip(people, rngs, strict=True)]
    takes = list(starmap(filmed, zip(scenes, rngs, strict=True)))
    for path, take in zip(paths, takes, strict=True):
        write_film(path, take.frames)
    for number, ((made, target), path) in enumerate(fakes.items()):
        rng = np.random.default_rng([seed, first, number])
        write_film(path, MANIPULATIONS[made](takes[target], scenes[1 - target], rng))


def filmed(scene: Scene, rng: np.random.Generator) -> Take:
    """A scene with its frames as a video portal has them."""
    quality = int(rng.integers(*PORTAL, endpoint=True))
    memory = BytesIO()
    encode(memory, scene.filmed(rng), quality)
    memory.seek(0)
    return Take(scene, list(decode(memory)))


def write_film(path: Path, frames: Iterable[Picture]) -> None:
    """Writes the film whole or not at all."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as (part,):
        encode(part, frames, C23)


def encode(to: Path | BytesIO, frames: Iterable[Picture], quality: int) -> None:
    """An MP4 of H.264 with RATE frames a second, of frames of even width and height."""
    with av.open(to if isinstance(to, BytesIO) else str(to), "w", format="mp4") as container:
        stream: Any = None
        for number, frame in enumerate(frames):
            if stream is None:
                stream = container.add_stream("libx264", rate=RATE)
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt, stream.codec_context.thread_count, stream.gop_size = "yuv420p", 1, KEY
                stream.options = {"crf": str(quality), "preset": "veryfast"}
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def decode(film: BytesIO) -> Iterator[Picture]:
    with av.open(film, "r") as container:
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


if __name__ == "__main__":
    run(main)
