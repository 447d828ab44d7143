"""Face detection: ours (YuNet) against OpenCV's Haar cascade, which most tutorials use, on one core.

``python -m benchmarks.faces FOLDER`` takes the frames below FOLDER, which is a folder such as ``datasets.own.path``
names. Each frame has one face. Without FOLDER, drawn faces are used. ``recall`` is the share of frames on which
something is found; ``more`` is the number of frames on which more than one face is found. Frames are then pasted
onto 1280x720 backdrops, one or three at a time. ``one of one`` and ``three of three`` are the shares of these
pictures on which exactly that many faces are found. The pictures without a face are rooms, noise, blurs,
rectangles and ellipses, drawn by code. ``ratio`` is Haar's time over ours on the 1280x720 pictures.
"""

from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import cv2.data
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from benchmarks import in_turn, machine
from deepfake_detection.common.errors import UserError
from deepfake_detection.pictures.faces import detect_faces
from deepfake_detection.pictures.images import read_rgb
from deepfake_detection.pictures.kinds import is_video
from deepfake_detection.serving.paths import find_files
from deepfake_detection.sources.drawn.drawing import film
from deepfake_detection.sources.drawn.portraits import draw_scene

Frame = NDArray[np.uint8]
Detector = Callable[[Frame], Sequence[object]]
WIDTH, HEIGHT = 1280, 720


def haar() -> Detector:
    """The cascade that OpenCV's own samples use, with its usual settings; on one core, like ours."""
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml")
    return lambda pixels: list(cascade.detectMultiScale(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), 1.1, 5))


def frames_of(folder: Path | None, count: int) -> list[Frame]:
    """Up to ``count`` frames, evenly spaced."""
    if folder is None:
        return [np.asarray(film(who, 0, 256, seed=1).filmed * 255, np.uint8) for who in range(min(count, 60))]
    paths = [path for path in find_files([str(folder)]).files if not is_video(path)]
    if not paths:
        raise UserError(f"{folder}: no picture there")
    return [read_rgb(Path(path)) for path in paths[:: -(-len(paths) // count)]]


def room(rng: np.random.Generator) -> Image.Image:
    backdrop = Image.fromarray(np.asarray(draw_scene(rng, 256).backdrop * 255, np.uint8))
    return backdrop.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)


def with_faces(frames: list[Frame], faces: int, number: int) -> Frame:
    """A room with ``faces`` of the frames side by side, each 160 to 360 pixels wide."""
    rng = np.random.default_rng([faces, number])
    picture = room(rng)
    for place, frame in enumerate(rng.choice(len(frames), faces, replace=False)):
        side = int(rng.integers(160, 360))
        picture.paste(Image.fromarray(frames[frame]).resize((side, side)), (20 + 420 * place, side))
    return np.asarray(picture)


def without_faces(number: int) -> Frame:
    rng = np.random.default_rng(number)
    width, height = ((256, 256), (640, 480))[number % 2]
    match number % 5:
        case 0:
            picture = room(rng).resize((width, height))
        case 1:
            picture = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        case 2:
            blobs = rng.integers(0, 256, (*rng.integers(3, 24, 2), 3), dtype=np.uint8)
            picture = Image.fromarray(blobs).resize((width, height), Image.Resampling.BICUBIC)
        case shape:
            picture = Image.new("RGB", (width, height), tuple(rng.integers(0, 256, 3).tolist()))
            draw = ImageDraw.Draw(picture)
            for _ in range(rng.integers(3, 40)):
                x, y = rng.integers(-40, (width, height)).tolist()
                across, down = rng.integers(3, 200, 2).tolist()
                paint = draw.rectangle if shape == 3 else draw.ellipse
                paint((x, y, x + across, y + down), tuple(rng.integers(0, 256, 3).tolist()))
    return np.asarray(picture)


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--quick", action="store_true", help="two cores, a minute")
    options = parser.parse_args()
    frames = frames_of(options.folder, 120 if options.quick else 100_000)
    composed, rounds = (10, 3) if options.quick else (40, 9)
    ones, threes = ([with_faces(frames, faces, number) for number in range(composed)] for faces in (1, 3))
    empty = [without_faces(number) for number in range(200)]
    detectors: dict[str, Detector] = {"ours": detect_faces, "Haar": haar()}
    detect_faces(frames[0])  # this call makes OpenCV use one core
    timed = frames[:: -(-len(frames) // 40)]
    works = [
        lambda detect=detect, pictures=pictures: [detect(picture) for picture in pictures]
        for pictures in (timed, ones[:5])
        for detect in detectors.values()
    ]
    took = np.reshape(in_turn(rounds, *works), (2, len(detectors)))
    rows = {}
    for (name, detect), small, large in zip(detectors.items(), *took * 1000, strict=True):
        found = np.array([len(detect(frame)) for frame in frames])
        rows[name] = {
            "recall": (found > 0).mean(),
            "more": (found > 1).sum(),
            "one of one": np.mean([len(detect(picture)) == 1 for picture in ones]),
            "three of three": np.mean([len(detect(picture)) == 3 for picture in threes]),
            "found in 200 without": sum(len(detect(picture)) for picture in empty),
            "ms": small / len(timed),
            f"ms at {WIDTH}x{HEIGHT}": large / 5,
        }
    height, width = frames[0].shape[:2]
    print(machine())
    print(f"{len(frames)} frames, the first {width}x{height}; OpenCV {cv2.__version__}\n")
    print(pd.DataFrame.from_dict(rows, orient="index").to_string(float_format="{:.4g}".format))
    print(f"ratio: {took[1][1] / took[1][0]:.2f}")


if __name__ == "__main__":
    main()
