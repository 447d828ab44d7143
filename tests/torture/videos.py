"""Mutated videos of four containers through the detector: ``python -m tests.torture.videos [--files 2000]``.

Prints how many got which verdict, the reasons of those that got none, and the longest time for one. The detector runs
in processes of their own. A crash, an answer that takes longer than LONGEST, an exception other than a reason in one
line, or a verdict without a number ends it with exit status 1.
"""

import multiprocessing
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from tqdm import tqdm

from deepfake_detection.network.model import Network
from deepfake_detection.serving.detector import Detector
from deepfake_detection.sources.drawn.drawing import film
from tests.support.checkpoints import sidecar
from tests.torture.images import mutated

LONGEST = 10.0  # seconds that one video may take
VERDICTS = ("original", "fake", "partly fake", "uncertain", "none")
PROCESSES = 2
SAVED = ((".mp4", "libx264"), (".mkv", "libx264"), (".webm", "libvpx"), (".avi", "mpeg4"), (".ts", "libx264"))


class Brightness(torch.nn.Module):
    """Takes bright frames for fakes."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.mean((1, 2, 3))[:, None]


def originals(folder: Path) -> list[Path]:
    """A drawn face of 96 px that moves for 1.5 seconds, with a key frame every half second, in each container."""
    face = np.round(film(0, 0, 96, 42).filmed * 255).astype(np.uint8)
    files = []
    for suffix, codec in SAVED:
        files.append(folder / f"original{suffix}")
        options = {"movflags": "faststart"} if suffix == ".mp4" else {}
        with av.open(str(files[-1]), "w", options=options) as container:
            stream: Any = container.add_stream(codec, rate=20)
            stream.width, stream.height, stream.pix_fmt, stream.gop_size = 96, 96, "yuv420p", 10
            stream.codec_context.thread_count = 1
            for number in range(30):
                moved = np.roll(face, number, 1)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
            container.mux(stream.encode())
    return files


def work(connection: Connection) -> None:
    """Answers each path that it is sent, until that is None: the verdict and a line, or the name of an exception."""
    torch.set_num_threads(1)
    detector = Detector(Network(Brightness()), sidecar(arch="efficientnet_b0", input_size=[32, 32]))
    connection.send("ready")
    while path := connection.recv():
        try:
            found = detector.video(path, frames=8)
            wrong = (found.verdict == "none") != (found.probability is None) or "\n" in found.reason
            connection.send(("wrong prediction" if wrong else found.verdict, found.reason if found.failed else ""))
        except Exception as error:  # what must not happen
            connection.send(("exception", f"{type(error).__name__}: {error}"))


class Worker:
    """A process that judges videos, and another one when it crashed or hangs."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=work, args=(other,), daemon=True)
        self.process.start()
        other.close()
        self.connection.recv()

    def judge(self, path: Path) -> tuple[str, str]:
        self.connection.send(path)
        try:
            if self.connection.poll(LONGEST):
                answer: tuple[str, str] = self.connection.recv()
                return answer
            answer = ("hang", str(path))
        except EOFError:
            answer = ("crash", str(path))
        self.process.kill()
        self.start()
        return answer

    def end(self) -> None:
        self.connection.send(None)
        self.process.join()


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="Folder for what was answered wrongly, and for the slowest.")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as name:
        sources = originals(Path(name))
        files = []
        for number in range(options.files):
            source = sources[number % len(sources)]
            files.append(Path(name) / f"{number}{source.suffix}")
            files[-1].write_bytes(mutated(source.read_bytes(), rng))
        answers: list[tuple[Path, str, str, float]] = []
        with tqdm(total=len(files), desc="judging", unit="file") as bar:

            def judge_all(share: list[Path]) -> None:
                worker = Worker()
                for file in share:
                    start = time.perf_counter()
                    answers.append((file, *worker.judge(file), time.perf_counter() - start))
                    bar.update()
                worker.end()

            with ThreadPoolExecutor(PROCESSES) as pool:
                list(pool.map(judge_all, [files[number::PROCESSES] for number in range(PROCESSES)]))
        bad = [answer for answer in answers if answer[1] not in VERDICTS]
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            for file, *_ in [*bad, max(answers, key=lambda answer: answer[3])]:
                (options.keep / file.name).write_bytes(file.read_bytes())
    verdicts = Counter(verdict for _, verdict, _, _ in answers)
    print(f"mutated videos {len(answers)}, " + ", ".join(f"{name} {count}" for name, count in verdicts.most_common()))
    for reason, count in Counter(reason for _, _, reason, _ in answers if reason).most_common():
        print(f"  {count:6} {reason}")
    print(f"longest time for one: {max(seconds for *_, seconds in answers):.3f} s")
    if bad or not verdicts["none"] or len(verdicts) < 3:
        sys.exit("error: a video was not answered as it should be, or nothing was tried")


if __name__ == "__main__":
    main()
