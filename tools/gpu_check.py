"""Everything that needs a GPU, in ten minutes at most: ``make gpu-check``, or ``python -m tools.gpu_check``.

It runs the tests marked gpu, trains twice and once more with a kill in between, and times training steps. What it finds
is Markdown on stdout, with the table for docs/performance.md. The exit status is 1 when a check fails or cannot run.
"""

import argparse
import gc
import hashlib
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
LIMIT = 600  # seconds
RESERVE = 60  # seconds that one entry of the table may take
ARCH, SIZES, BATCHES = "efficientnet_b7", (224, 380, 600), (16, 64, 256)
STEPS = {"steps": 10, "warm_up": 5, "rounds": 1}
HEAD = """| px | batch | what | frames/s | against the recipe | of the bare step | no kernel runs | GiB |
|---|---|---|---|---|---|---|---|"""
NO_GPU = (
    "gpu-check: no CUDA device here. Where there is one, this runs the tests marked gpu, trains twice and with a kill, "
    "and times training steps"
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, metavar="FOLDER", help="only one of the short runs, with its state there")
    folder = parser.parse_args().train
    source = str(ROOT / "src")  # the project need not be installed
    sys.path.insert(0, source)
    os.environ["PYTHONPATH"] = os.pathsep.join([source, *filter(None, [os.environ.get("PYTHONPATH")])])
    try:  # here, because a machine with a GPU may lack packages, of which most are not needed
        import torch

        if not folder and not torch.cuda.is_available():
            print(NO_GPU, file=sys.stderr)
            return 1
        import benchmarks.train
    except ModuleNotFoundError as error:
        print(f"gpu-check: the package {error.name} is missing", file=sys.stderr)
        return 1
    if folder:
        print(short_run(folder))
        return 0
    end = time.monotonic() + LIMIT
    print(f"{benchmarks.machine()}\n", flush=True)
    failed = [check.__name__ for check in (tests_pass, training_repeats) if not check()]
    print(f"\n{HEAD}", flush=True)
    for row in table(end - RESERVE):
        print(row, flush=True)
    print(f"\n{', '.join(failed) or 'nothing'} failed, in {LIMIT - end + time.monotonic():.0f} s")
    return 1 if failed else 0


def tests_pass() -> bool:
    """Runs the tests marked gpu. Other modules are not imported, because they may need packages that are missing."""
    tests = sorted((ROOT / "tests" / "unit").rglob("test_*.py"))
    modules = [str(path.relative_to(ROOT)) for path in tests if "mark.gpu" in path.read_text(encoding="utf-8")]
    command = ["-m", "pytest", "-m", "gpu", "--continue-on-collection-errors", *modules]
    print(f"$ python {' '.join(command)}", flush=True)
    try:
        return subprocess.run([sys.executable, *command], cwd=ROOT, timeout=LIMIT / 3).returncode == 0
    except subprocess.TimeoutExpired:
        print(f"stopped after {LIMIT / 3:.0f} s")
        return False


def training_repeats() -> bool:
    """Whether two short runs, and a third that is killed after an epoch and goes on, end with the same weights."""
    with tempfile.TemporaryDirectory() as name:
        first, again, killed = (Path(name, each) for each in ("first", "again", "killed"))
        ends = [said(start(folder)).split()[-1:] for folder in (first, again)]
        run, until = start(killed), time.monotonic() + RESERVE
        while run.poll() is None and time.monotonic() < until and not (killed / "last.ckpt").exists():
            time.sleep(0.005)
        run.kill()
        was_killed = run.wait() == -signal.SIGKILL
        rest = said(start(killed))
    repeats = ends[0] == ends[1] != []
    resumes = was_killed and "going on from" in rest and rest.split()[-1:] == ends[0]
    print(f"\n- two runs end with the same weights, to the byte: {'yes' if repeats else 'no'}")
    print(f"- so does one that was killed and went on: {'yes' if resumes else 'no'}", flush=True)
    return repeats and resumes


def start(folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tools.gpu_check", "--train", str(folder)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def said(run: "subprocess.Popen[str]") -> str:
    """What a run says; nothing if it takes too long."""
    try:
        return run.communicate(timeout=RESERVE)[0]
    except subprocess.TimeoutExpired:
        run.kill()
        return ""


def short_run(folder: Path) -> str:
    """Trains B0 with dropout as the profile ffpp-fast does, for a few epochs. Returns a hash of its weights."""
    import numpy as np
    import pandas as pd
    from pytorch_lightning import seed_everything

    from benchmarks import parameters
    from deepfake_detection.network.model import build_model
    from deepfake_detection.training.fit import fit
    from deepfake_detection.training.loader import FrameBatches

    params = parameters(profile="ffpp-fast").train
    params = params.model_copy(update={"epochs": 8, "warmup_epochs": 1.0, "batch_size": 16, "num_workers": 2})
    rows = pd.DataFrame({"label": np.arange(88) % 2, "split": ["train"] * 72 + ["val"] * 16})
    pixels = np.random.default_rng(0).integers(0, 255, (len(rows), 96, 96, 3), dtype=np.uint8)
    pixels[rows["label"] == 1] //= 2
    folder.mkdir(exist_ok=True)
    seed_everything(params.seed, workers=True, verbose=False)
    trained = fit(build_model("efficientnet_b0", 0.5), FrameBatches(pixels, rows, params, 0), params, state=folder)
    digest = hashlib.sha256()
    for value in trained[0].values() if trained else ():
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def table(until: float) -> Iterator[str]:
    """The rows, one by one. Nothing more is measured from ``until`` on, a value of time.monotonic."""
    from benchmarks.recipe import write_frames
    from benchmarks.train import FILES

    recipes: dict[int, float] = {}  # seconds a frame, by size
    with tempfile.TemporaryDirectory() as name:
        paths = write_frames(Path(name), FILES)
        for batch, size, (how, what) in product(BATCHES, SIZES, (("none", "ours without graphs"), ("graph", "ours"))):
            if time.monotonic() > until:
                yield line(size, batch, f"{what}: not measured, the time is over")
                continue
            found = measured(size, batch, how, Path(name), paths, recipe=size not in recipes)
            if found is None:
                yield line(size, batch, f"{what}: out of memory")
                continue
            if size not in recipes:
                recipes[size] = found.seconds["recipe"]
                yield line(size, 16, "recipe", recipes[size], 1, peak=found.peak["recipe"])
            ours, bare, recipe = found.seconds["ours"], found.seconds["pure step"], recipes[size]
            what += ", not captured" * (how == "graph" and not found.captured)
            yield line(size, batch, what, ours, recipe / ours, bare / ours, found.idle, found.peak["ours"])
            yield line(size, batch, f"the bare step of {what}", bare, recipe / bare)


class Measured(NamedTuple):
    """What one run of the benchmark found; seconds a frame and peak memory in MiB by side."""

    seconds: dict[str, float]
    peak: dict[str, float]
    idle: float
    captured: bool


def measured(size: int, batch: int, how: str, folder: Path, paths: list[Path], recipe: bool) -> Measured | None:
    """Times B7 with ``train.compile`` as ``how`` says. None: the device's memory is too small."""
    import torch

    from benchmarks import parameters
    from benchmarks.train import measure
    from deepfake_detection.common.parallel import cpu_count

    params = parameters(profile="ffpp-fast")
    workers = max(1, cpu_count() - 1)
    own = {"batch_size": batch, "compile": how, "num_workers": workers, "arch": ARCH, **STEPS}
    options = argparse.Namespace(precision=params.train.precision, deterministic=params.train.deterministic, **own)
    try:
        batches = measure(params, size, options, folder, paths, recipe)
        captured = batches.trainer.lightning_module.captured is not None  # type: ignore[union-attr]
        return Measured({side: min(took) for side, took in batches.took.items()}, batches.peak, batches.idle, captured)
    except torch.OutOfMemoryError:
        return None
    finally:
        batches = None  # type: ignore[assignment]
        gc.collect()  # a Trainer and its network hold each other, and the graphs
        torch.cuda.empty_cache()


def line(
    size: int,
    batch: int,
    what: str,
    seconds: float = math.nan,
    ratio: float = math.nan,
    of_bare: float = math.nan,
    idle: float = math.nan,
    peak: float = math.nan,
) -> str:
    """A row of the table, from seconds a frame and the peak memory in MiB; what is not a number stays empty."""
    values = f"{1 / seconds:.0f}", f"{ratio:.2f}", f"{of_bare:.0%}", f"{idle:.0%}", f"{peak / 1024:.1f}"
    cells = [str(size), str(batch), what, *("" if "nan" in value else value for value in values)]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
