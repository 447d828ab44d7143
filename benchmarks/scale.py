"""Time and peak memory of download, index, split, prepare and the reading of one epoch, as the frames grow tenfold.

``python -m benchmarks.scale`` draws 1,000, 10,000 and 100,000 frames (``--quick``: without the last) of 64 x 64
pixels in the Kaggle layout. Half of them are fakes, and each video has five. Each step runs as a process of its
own: first the four stages, as the pipeline runs them, then ``read``, which reads every training frame once,
augmented, in two loader processes, without a network. The times include the start of the process.

Memory is the peak of all processes of a step together, sampled every 50 ms. It includes heap and libraries; pages
that processes share are counted once (the kernel's proportional set size). Only pages of mapped data files, the
pixels of ``read``, are left out: they belong to the page cache, which gives them up whenever memory is short.
Memory should grow by 20% at most from 10,000 to 100,000 frames.

``ratio`` is the growth of the frames over the growth of the time, between the last two sizes, for the step where it
is lowest. 1 means linear; higher is better.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from benchmarks import arguments, machine
from deepfake_detection.sources.layouts.kaggle import FRAMES

ROOT = Path(__file__).parents[1]
SIZES = 1_000, 10_000, 100_000
STEPS = {
    "download": "from stages.download import main; main('own')",
    "index": "from stages.index import main; main('own')",
    "split": "from stages.split import main; main()",
    "prepare": "from stages.prepare import main; main('own')",
    "read": "from benchmarks.scale import read; read()",
}
A_VIDEO = 5  # frames per video
Cost = tuple[float, float]  # seconds, MB


def main() -> None:
    quick = arguments(__doc__).quick
    print(machine())
    print(f"{'frames':>7}  {'step':8}{'seconds':>9}{'ms/frame':>10}{'memory MB':>11}{'time':>8}{'memory':>8}")
    before: dict[str, Cost] = {}
    for size in SIZES[:2] if quick else SIZES:
        with tempfile.TemporaryDirectory() as folder:
            draw(Path(folder), size)
            costs = {step: measure(code, Path(folder)) for step, code in STEPS.items()}
        for step, (seconds, memory) in costs.items():
            growth = f"{f'x{seconds / before[step][0]:.1f}':>8}{memory / before[step][1] - 1:+8.0%}" if before else ""
            print(f"{size:7}  {step:8}{seconds:9.1f}{1000 * seconds / size:10.3f}{memory:11.0f}{growth}")
        slowest = max((costs[step][0] / before[step][0] for step in before), default=0.0)
        before = costs
    print(f"ratio: {10 / slowest:.2f}")


def draw(root: Path, frames: int) -> None:
    """Draws frames of as many videos as needed. Writes params.yaml: the repository's parameters, but at 32 pixels."""
    for category in ("Original", "Deepfakes"):
        (root / "mine" / FRAMES / category).mkdir(parents=True)
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(draw_video, root / "mine" / FRAMES), range(frames // (2 * A_VIDEO)), chunksize=16))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["prepare"]["image_size"] = 32
    params["datasets"] = {"own": {"path": "mine", "use": "train"}}
    (root / "params.yaml").write_text(yaml.safe_dump(params))


def draw_video(folder: Path, video: int) -> None:
    """Draws a pattern for each video, and a variation of it for each frame and fake.

    Perceptual hashes are then spread as they are on real frames.
    """
    rng = np.random.default_rng(video)
    pattern = rng.uniform(40, 215, (8, 8, 3))
    for frame in range(A_VIDEO):
        for name in (f"Original/{video:05d}_f{frame}.jpg", f"Deepfakes/{video:05d}_{video ^ 1:05d}_f{frame}.jpg"):
            pixels = np.uint8(pattern + rng.uniform(-20, 20, pattern.shape))
            Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC).save(folder / name, quality=75)


def read() -> None:
    """Reads every training frame once, augmented, as an epoch does."""
    # imported here, because these load torch and the other steps are measured without it
    from deepfake_detection.frames.dataset import frame_loader
    from deepfake_detection.frames.prepared import open_prepared
    from deepfake_detection.params.load import load_params
    from deepfake_detection.training.training_frames import TrainingFrames

    params = load_params()
    pixels, rows = open_prepared(Path("data/prepared/train"), Path("data/splits_trained.csv"))
    train = rows[rows["split"] == "train"].sample(frac=1, random_state=params.train.seed)
    frames = TrainingFrames(pixels, train, params.train.augment)
    count = sum(len(labels) for _, labels in frame_loader(frames, 64, 2))
    assert count == len(train), f"{count} of {len(train)} frames were read"  # noqa: S101


def measure(code: str, folder: Path) -> Cost:
    """Seconds and peak memory of a fresh interpreter that runs ``code`` in ``folder``."""
    start = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603  our own code
            [sys.executable, "-c", code], cwd=folder, env=environment, stdout=log, stderr=log
        )
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, sum(memory(pid, folder) for pid in family(process.pid)))
            time.sleep(0.05)
        if process.returncode:
            log.seek(0)
            sys.exit(f"{code}: {log.read().decode()[-2000:]}")
    return time.perf_counter() - start, peak


def family(pid: int) -> list[int]:
    """A process and its descendants that are still running (Linux)."""
    try:
        lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return [pid]
    return [pid, *(other for text in lists for child in text.split() for other in family(int(child)))]


def memory(pid: int, data: Path) -> float:
    """The proportional set size of a process in MB, without mapped files in the folder ``data``."""
    try:
        text = Path(f"/proc/{pid}/smaps").read_bytes()
    except OSError:  # the process has ended
        return 0.0
    mappings = re.findall(
        rb"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+ *(.*)\n(?:[A-Z].*\n)*?Pss: +(\d+)", text, re.MULTILINE
    )
    return sum(int(size) for name, size in mappings if not name.startswith(bytes(data))) / 1000


if __name__ == "__main__":
    main()
