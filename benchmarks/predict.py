"""``deepfake-detect predict`` on one picture, a folder and a video, each beside what its bare parts take.

``python -m benchmarks.predict`` writes a JPEG of 256 pixels, a folder of 1,000 (``--files``) and a film of 60 seconds
at 1280x720 (``--quick``: 200 files and 10 seconds). The pictures are variations of drawn faces, and the film shows one
that moves. The command judges each of the three in a process of its own.

The bare parts are: of one picture, a Python that imports torch and does nothing; of the folder, the network alone, on
frames that are decoded and resized in advance; of the film, decoding its frames, finding their faces and judging them,
each alone. Whatever is compared takes turns, and the least of all rounds counts. Seconds of the processors are those
of all threads: on a busy machine they say more than the seconds of the clock. Memory is the peak of the process.

``--against SRC`` names the ``src`` of another checkout, whose command then takes turns with this one's. ``ratio`` is
the command's frames/s on the folder, without the start that one picture takes, over the bare network's.
"""

import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import machine, seconds
from benchmarks.video import HEIGHT, RATE, WIDTH, encode
from deepfake_detection.network.allocator import keep_freed_memory
from deepfake_detection.pictures.faces import detect_faces
from deepfake_detection.serving.detector import BATCH, Detector
from deepfake_detection.sources.drawn.drawing import film
from deepfake_detection.videos.video import Video
from stages import run

FACES, SIZE, BARE = 60, 256, 256
FACE = 360  # pixels of the film's, whose middle is the face


class Took(NamedTuple):
    """Of a process: seconds of the clock, seconds of all processors, and its peak memory in MB."""

    seconds: float
    processors: float
    memory: float


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two cores, under three minutes")
    parser.add_argument("--checkpoint", type=Path, default=Path("models/best_model_efficientnet_b7.pth"))
    parser.add_argument("--backend", default="torch", help="as of the command")
    parser.add_argument("--files", type=int, default=1000, help="in the folder (quick: 200)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path, metavar="SRC", help="of another checkout")
    options = parser.parse_args()
    rounds, files, length = (1, 200, 10) if options.quick else (options.rounds, options.files, 60)
    detector = Detector.load(options.checkpoint, options.backend)
    keep_freed_memory()  # as the command does
    print(machine())
    print(f"{options.checkpoint.name}, {detector.size} px, batches of {BATCH}, {options.backend}, {rounds} rounds\n")
    sides = {"ours": None} | ({"theirs": options.against} if options.against else {})
    asked = ["predict", "--csv", "--checkpoint", str(options.checkpoint), "--backend", options.backend]
    tool = str(Path(sys.executable).parent / "deepfake-detect")
    with tempfile.TemporaryDirectory() as name:
        folder, movie = Path(name), Path(name) / "film.mp4"
        faces = [np.round(film(who, 0, SIZE, seed=1).filmed * 255).astype(np.uint8) for who in range(FACES)]
        for count in {1, files, BARE}:
            write(folder / str(count), faces, count)
        write_film(movie, faces[0], RATE * length)
        crops = list(detector.crops(sorted((folder / str(BARE)).iterdir())))
        network = partial(detector.logits, crops)
        shown = [frame.pixels for frame in Video(movie).frames()]
        whole_frames = detector.sidecar.crop == "none"
        of_film = list(detector.crops([pixels for pixels in shown if whole_frames or detect_faces(pixels)]))
        parts = {
            "decode": lambda: list(Video(movie).frames()),
            "faces": lambda: [detect_faces(pixels) for pixels in shown],
            "network": lambda: detector.logits(of_film),
        }
        if whole_frames:
            del parts["faces"]
        took: dict[tuple[str, str], list[Took]] = {}
        bare: dict[str, list[float]] = {}
        network()
        for _ in range(rounds):
            for what, path, count in (
                ("one picture", folder / "1", 1),
                (f"{files} pictures", folder / str(files), files),
                (f"{length} s of film", movie, 1),
            ):
                for side, source in sides.items():
                    command = [tool, *asked, str(path)]
                    took.setdefault((what, side), []).append(finished(command, source, lines=count + 1))
            start = finished([sys.executable, "-c", "import torch"], None, lines=0)
            bare.setdefault("import torch", []).append(start.seconds)
            bare.setdefault("of its processors", []).append(start.processors)
            bare.setdefault("network", []).append(seconds(network) / len(crops))
            for part, work in parts.items():
                bare.setdefault(f"film: {part}", []).append(seconds(work))
    print(f"{'':16}{'':8}{'seconds':>9}{'of processors':>15}{'memory MB':>11}")
    for (what, side), each in took.items():
        least = Took(*(min(values) for values in zip(*each, strict=True)))
        print(f"{what:16}{side:8}{least.seconds:9.2f}{least.processors:15.2f}{least.memory:11.0f}")
    least_bare = {part: min(values) for part, values in bare.items()}
    print(
        f"\nbare: import torch {least_bare['import torch']:.2f} s ({least_bare['of its processors']:.2f} of processors)"
    )
    print(f"bare: the network on {files} pictures {files * least_bare['network']:.2f} s")
    print("bare: " + ", ".join(f"{part} {least_bare[part]:.2f} s" for part in least_bare if part.startswith("film")))
    start_up, whole = (
        min(each.seconds for each in took[what, "ours"]) for what in ("one picture", f"{files} pictures")
    )
    print(f"ratio: {least_bare['network'] * (files - 1) / (whole - start_up):.2f}")


def write(folder: Path, faces: list[NDArray[np.uint8]], count: int) -> None:
    """Writes ``count`` pictures. Each is a face, darkened at random and shifted."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        face = np.roll(faces[number % len(faces)], rng.integers(-16, 16, 2), (0, 1)) * rng.uniform(0.7, 1)
        Image.fromarray(face.astype(np.uint8)).save(folder / f"{number:05}.jpg", quality=85)


def write_film(path: Path, face: NDArray[np.uint8], frames: int) -> None:
    """A face that goes to and fro before a coarse random pattern."""
    scene = np.random.default_rng(0).integers(0, 128, (HEIGHT // 8, WIDTH // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    top, left = (HEIGHT - FACE) // 2, (WIDTH - FACE) // 2
    scene[top : top + FACE, left : left + FACE] = np.asarray(Image.fromarray(face).resize((FACE, FACE)))
    ways = ((round(80 * np.sin(at / 20)), round(200 * np.sin(at / 33))) for at in range(frames))
    encode(path, (np.roll(scene, way, (0, 1)) for way in ways))


def finished(command: list[str], source: Path | None, lines: int) -> Took:
    """What a command took, which must print so many lines. It imports the library from ``source``, if that is given."""
    where = os.environ | ({"PYTHONPATH": str(source.absolute())} if source else {})
    with tempfile.TemporaryFile() as out:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, env=where)  # noqa: S603  our own code
        peak, done = 0.0, 0
        while not done:
            with suppress(OSError):  # it has just ended
                # the kernel's maximum for a process counts the memory of the one that started it, too
                lines_of = Path(f"/proc/{process.pid}/status").read_text().splitlines()
                peak = next((int(line.split()[1]) / 1000 for line in lines_of if line.startswith("VmHWM")), peak)
            time.sleep(0.01)
            done, status, usage = os.wait4(process.pid, os.WNOHANG)
        took = time.perf_counter() - start
        out.seek(0)
        printed = len(out.read().splitlines())
    if status or printed != lines:
        sys.exit(f"{' '.join(command)}: status {status}, {printed} lines")
    return Took(took, usage.ru_utime + usage.ru_stime, peak)


if __name__ == "__main__":
    run(main)
