"""Draws films of people, some of whom are swapped for a while: ``python -m experiments.people.films FOLDER``."""

from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepfake_detection.common.files import write_csv
from deepfake_detection.common.parallel import map_in_processes
from deepfake_detection.sources.drawn.manipulations import MANIPULATIONS, Take
from deepfake_detection.sources.drawn.portraits import (
    Scene,
    add_sensor_noise,
    draw_identity,
    draw_scene,
    draw_shot,
    render,
)
from stages import run

SEED = 42
RATE = 5  # pictures a second in the file; a person is drawn anew for each second
TRAINED, SECONDS, SIZES = 200, 8, (128, 192, 256)  # people to train on, the length of their films, and their size
SWAP = "Deepfakes"
STILLNESS = 0.4


@dataclass(frozen=True)
class Part:
    """A person in a film: their number, where they are in pixels, and when they are on show and swapped, in seconds.

    ``start`` and ``end`` bound when they are on show, ``swapped`` when they have the face of the other of
    their pair: 0 and 1, 2 and 3.
    """

    who: int
    left: int
    top: int
    size: int
    start: int = 0
    end: int = 10**6
    swapped: tuple[int, int] = (0, 0)


def write_film(path: Path, parts: Sequence[Part], seconds: int, width: int = 1280, height: int = 720) -> None:
    """Writes an H.264 film of ``seconds`` in which each part is on show for its time."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options, stream.codec_context.thread_count = {"crf": "18"}, 1
        for second in range(seconds):
            board = np.full((height, width, 3), 70, np.uint8)
            for part in parts:
                if part.start <= second < part.end:
                    rows, columns = slice(part.top, part.top + part.size), slice(part.left, part.left + part.size)
                    board[rows, columns] = draw(part, second)
            for _ in range(RATE):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(board, format="rgb24")))
        container.mux(stream.encode())


def draw(part: Part, second: int) -> NDArray[np.uint8]:
    """The person in this second, uint8 of shape (size, size, 3)."""
    take = _take(part.who, second, part.size)
    picture = take.filmed
    if part.swapped[0] <= second < part.swapped[1]:
        source = _take(part.who ^ 1, second, part.size)
        picture = MANIPULATIONS[SWAP](take, source, np.random.default_rng([SEED, part.who]))
    return np.round(picture * 255).astype(np.uint8)


@cache
def _scene(who: int, size: int) -> Scene:
    return draw_scene(np.random.default_rng([SEED, 2, who]), size)


def _take(who: int, second: int, size: int) -> Take:
    """As in the embedded data set, whose frames are far apart in time, but from second to second a head moves less."""
    person, scene = draw_identity(np.random.default_rng([SEED, 1, who])), _scene(who, size)
    rng = np.random.default_rng([SEED, 3, who, second])
    shot = draw_shot(rng)
    pose = {name: STILLNESS * getattr(shot, name) for name in ("x", "y", "roll", "yaw")}
    shot = replace(shot, scale=1 + STILLNESS * (shot.scale - 1), **pose)
    return Take(person, scene, shot, add_sensor_noise(render(person, scene, shot, size).picture, scene.noise, rng))


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="gets the films to train on, and manifest.csv")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    draw_both = partial(_film_to_train_on, folder)
    rows = map_in_processes(draw_both, range(TRAINED), TRAINED, None, "drawing films", "person")
    write_csv(folder / "manifest.csv", pd.DataFrame([row for pair in rows for row in pair]))
    print(folder / "manifest.csv")


def _film_to_train_on(folder: Path, who: int) -> list[dict[str, Any]]:
    """One person's film, and the same with a swapped face."""
    source, size = who ^ 1, SIZES[who // 2 % len(SIZES)]
    rows = []
    for label, swapped in enumerate([(0, 0), (0, SECONDS)]):
        name = f"{who:04d}-{'fake' if label else 'real'}.mp4"
        write_film(folder / name, [Part(who, 64, 32, size, swapped=swapped)], SECONDS, 384, 320)
        group = f"pair{who // 2}"
        rows.append({"path": name, "label": label, "video": f"{who:04d}", "source": f"{source:04d}", "group": group})
    return rows


if __name__ == "__main__":
    run(main)
