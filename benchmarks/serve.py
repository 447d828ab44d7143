"""The server under 100 uploads at once, and after a judgement that took too much memory.

``python -m benchmarks.serve [--checkpoint FILE]`` starts ``deepfake-detect serve``, sends 100 JPEG files of 10 MB in
parallel (``--quick``: 20 of 1 MB) and prints how many got each status. Memory is the peak of all of the server's
processes together, sampled every 50 ms, as in benchmarks.scale. Then a second server, which allows little memory,
gets a picture that needs more. The table says how long its sender waited, and how long the next one.
"""

import re
import subprocess
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import requests
from PIL import Image

from benchmarks import machine
from benchmarks.scale import family, memory

PREDICT = "api/v1/predict"
LITTLE = 400  # MB that a judgement of the second server may take
LARGE = 11_000  # pixels along each side of a picture that takes more


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=Path("models/best_model_efficientnet_b7.pth"))
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    count, size = (20, 1_000_000) if options.quick else (100, 10_000_000)
    print(machine())
    with serving(options.checkpoint) as (address, pid):
        content = noise(size)
        before = peak = total(pid)
        running = True

        def watch() -> None:
            nonlocal peak
            while running:
                peak = max(peak, total(pid))
                time.sleep(0.05)

        watcher = threading.Thread(target=watch)
        watcher.start()
        start = time.perf_counter()
        with ThreadPoolExecutor(count) as pool:
            statuses = Counter(pool.map(lambda _: sent(address, content)[0], range(count)))
        took, running = time.perf_counter() - start, False
        watcher.join()
        print(f"{count} uploads of {len(content) / 1e6:.1f} MB at once: {took:.1f} s")
        print("".join(f"  {number} got {status}\n" for status, number in sorted(statuses.items())), end="")
        print(f"  memory: {before:.0f} MB before, at most {peak:.0f} MB")
    with serving(options.checkpoint, "--max-memory-mb", LITTLE) as (address, _):
        file = BytesIO()
        Image.new("RGB", (LARGE, LARGE)).save(file, "JPEG")
        small = noise(100_000)
        time.sleep(20)  # the process in reserve loads
        for name, content in (
            ("a small picture", small),
            ("one that takes too much", file.getvalue()),
            ("next", small),
        ):
            status, seconds, words = sent(address, content)
            print(f"{name}: {status} after {seconds:.2f} s{words and ': ' + words}")


@contextmanager
def serving(checkpoint: Path, *options: object) -> Iterator[tuple[str, int]]:
    command = [str(Path(sys.executable).with_name("deepfake-detect")), "serve", "--port", "0"]
    command += ["--checkpoint", str(checkpoint), *map(str, options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:  # noqa: S603
        try:
            found = re.match(r"(http://\S+/) is ready", process.stdout.readline() if process.stdout else "")
            if not found:
                sys.exit("error: the server did not start")
            yield found[1], process.pid
        finally:
            process.terminate()


def noise(size: int) -> bytes:
    """A JPEG of about ``size`` bytes."""
    side = round((size / 0.9) ** 0.5)
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def sent(address: str, content: bytes) -> tuple[int, float, str]:
    start = time.perf_counter()
    found = requests.post(address + PREDICT, data=content, timeout=600)
    return found.status_code, time.perf_counter() - start, found.json().get("detail", "")


def total(pid: int) -> float:
    with tempfile.TemporaryDirectory() as nowhere:
        return sum(memory(each, Path(nowhere)) for each in family(pid))


if __name__ == "__main__":
    main()
