"""The stages download, index and prepare on videos, as they read them where they lie, against decoding all of them.

``python -m benchmarks.videos`` writes 40 films of 300 frames at 1280x720, in which a drawn face moves: originals and
as many fakes of them (``--quick``: 4 films). It takes crops of the face of 32 frames of each and prints seconds a video
and core of each stage, its highest memory, and what lies in data/ then. ``plain`` decodes a whole film with PyAV on one
thread; ``ratio`` is its time over that of the slower of index and prepare. At last both are killed in the middle and
run again, which is exit status 1 if the files are not those of a run that nothing disturbed.
"""

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks import arguments, machine
from benchmarks.scale import ROOT, family, memory
from benchmarks.video import HEIGHT, WIDTH, encode
from deepfake_detection.common.parallel import map_in_processes
from deepfake_detection.sources.drawn.drawing import film

FRAMES, FACE, SIZE = 300, 256, 224
STAGES = ("download", "index", "prepare")
WORK = {"index": "data/.part-index/own", "prepare": "data/.part-prepared/own"}  # what a killed run goes on with


def write(path: Path, target: int, who: int) -> None:
    """A film of a moving background, that of ``target``, and in front of it the face of ``who``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    encode(path, pictures(target, who))


def pictures(target: int, who: int) -> Iterator[NDArray[np.uint8]]:
    """The frames of such a film, of shape (HEIGHT, WIDTH, 3)."""
    face = np.round(film(who, 0, FACE, 42).filmed * 255).astype(np.uint8)
    coarse = np.random.default_rng(target).integers(0, 96, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    pattern = coarse.repeat(8, 0).repeat(8, 1)
    for number in range(FRAMES):
        pixels = np.roll(pattern, (2 * number, 3 * number), (0, 1))
        left, top = 480 + number // 3, 200 + int(40 * np.sin(number / 30))
        pixels[top : top + FACE, left : left + FACE] = face
        yield pixels


def decode(path: Path) -> float:
    """The processor's seconds for decoding every frame on one thread."""
    start = time.process_time()
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "NONE"
        for _ in container.decode(video=0):
            pass
    return time.process_time() - start


def decoded(films: list[Path]) -> list[float]:
    """As ``decode``, on all processors at once, as the stages do: two of them may share one core."""
    return list(map_in_processes(decode, films, len(films), None, "decoding", "video"))


def project(folder: Path, films: Path) -> Path:
    """A folder to run stages in."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["datasets"] = {"own": {"path": str(films), "use": "train"}}
    params["prepare"] |= {"crop": "face", "image_size": SIZE}
    folder.mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    return folder


def started(stage: str, folder: Path) -> "subprocess.Popen[bytes]":
    """A stage in a session of its own, to be killed as a whole."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    command = [sys.executable, "-m", f"stages.{stage}", "own"]
    environment = os.environ | {"PYTHONPATH": paths}
    return subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True)  # noqa: S603


def measured(stage: str, folder: Path) -> tuple[float, float]:
    """Runs a stage. Returns its processors' seconds, and the highest memory of all its processes in MB."""
    before, process, peak = os.times(), started(stage, folder), 0.0
    while process.poll() is None:
        peak = max(peak, sum(memory(pid, folder) for pid in family(process.pid)))
        time.sleep(0.1)
    if process.returncode:
        sys.exit(f"error: {stage} failed")
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4]), peak


def killed(stage: str, folder: Path, least: int) -> None:
    """Kills a stage when it keeps ``least`` bytes for a further run, and runs it again."""
    process = started(stage, folder)
    while sum(path.stat().st_size for path in (folder / WORK[stage]).glob("[!.]*")) < least:
        if process.poll() is not None:
            sys.exit(f"error: {stage} ended before it was killed")
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    started(stage, folder).wait()


def hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file of the index and of the prepared pixels."""
    files = [path for part in ("faces", "hashes", "index", "prepared") for path in folder.rglob(f"data/{part}/**/*.*")]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def main() -> None:
    pairs = 2 if arguments(__doc__).quick else 20
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        films, count = Path(name) / "films", 2 * pairs
        for who in range(pairs):
            write(films / "real" / f"{who:03d}.mp4", who, who)
            write(films / "fake" / f"{who:03d}_{(who + 1) % pairs:03d}.mp4", who, 1000 + who)
        some = sorted(films.rglob("*.mp4"))[:: max(1, count // 8)]
        undisturbed = project(Path(name) / "undisturbed", films)
        plain = decoded(some)
        costs = {stage: measured(stage, undisturbed) for stage in STAGES}
        plain += decoded(some)
        once = sum(plain) / len(plain)
        print(f"{count} films of {FRAMES} frames\n{'':10}{'s a video and core':>20}{'memory MB':>11}")
        print(f"{'plain':10}{once:20.2f}")
        for stage, (seconds, peak) in costs.items():
            print(f"{stage:10}{seconds / count:20.2f}{peak:11.0f}")
        for part in ("raw", "prepared"):
            files = [path for path in (undisturbed / "data" / part).rglob("*") if path.is_file()]
            print(f"data/{part}: {len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB")
        again = project(Path(name) / "again", films)
        started("download", again).wait()
        killed("index", again, 1)
        killed("prepare", again, 3 * SIZE**2 * 32 * count // 2)
        same = hashes(again) == hashes(undisturbed)
    print(f"killed in index and prepare, and run again: {'the same' if same else 'NOT the same'} files")
    print(f"ratio: {once * count / max(costs[stage][0] for stage in WORK):.2f}")
    if not same:
        sys.exit("error: the files differ from those of an undisturbed run")


if __name__ == "__main__":
    main()
