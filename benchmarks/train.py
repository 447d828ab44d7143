"""Whole training steps on JPEGs of 1280x720: the original recipe, `ffpp`'s settings, and the bare model step.

The recipe (benchmarks/recipe.py) decodes every frame in every step and trains in float32. Ours is the train stage's
`fit` on prepared pixels with the settings of conf/profile/ffpp.yaml, including loader, augmentation, metrics and
progress bar. The pure step is the same model, precision, memory format and optimiser on one batch that is already
on the device, and captured if ours is. The three take turns within one run of `fit`, `--rounds` times. Each turn times
`--steps` steps, after steps that warm up a new loader's workers, the optimiser's state, compilation and a trimmed heap.

Peak memory is the device's on CUDA. Elsewhere it is what this process holds beyond what it held before, without its
workers. On CUDA `idle` is the share of a profiled window in which no kernel runs. The ratio is for the first of
`--sizes`. On a GPU run: python -m benchmarks.train --sizes 224 380 600, and the same with a larger --batch-size,
more --num-workers and --compile graph. `make gpu-check` does that and more.
"""

import argparse
import contextlib
import ctypes
import math
import resource
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torchvision.models import get_model

from benchmarks import default_malloc, machine, parameters, prepare, seconds
from benchmarks.recipe import BATCH_SIZE, LR, recipe_loader, recipe_step, write_frames
from deepfake_detection.network.model import build_model
from deepfake_detection.params.load import Params
from deepfake_detection.params.train_sections import Train
from deepfake_detection.training.classifier import FrameClassifier
from deepfake_detection.training.fit import fit
from deepfake_detection.training.loader import Batch, FrameBatches

FILES = 64


class TimedBatches(FrameBatches):
    """FrameBatches that sees each batch on its way to the model, and runs the other sides between two batches."""

    def __init__(self, *args: Any, recipe: Callable[[], tuple[float, float]], options: argparse.Namespace) -> None:
        super().__init__(*args)
        self.recipe, self.options = recipe, options
        self.took: dict[str, list[float]] = defaultdict(list)  # seconds per frame of each side, one value per round
        self.peak: dict[str, float] = {}
        self.idle = math.nan
        self.held, self.script = reset_peak(), self._script()

    def on_after_batch_transfer(self, batch: Batch, _: int) -> Batch:
        if cast(pl.Trainer, self.trainer).training:
            self.batch = batch
            next(self.script)
        return batch

    def _script(self) -> Iterator[None]:
        """Each yield is one step of the whole pipeline."""
        warm_up, steps = self.options.warm_up, self.options.steps
        self.peak["ours"] = peak() - self.held if torch.cuda.is_available() else 0.0  # of a capture, which comes first
        for _ in range(self.options.rounds):
            reset_peak()  # also trims freed memory, which the warm-up steps get back
            yield from [None] * warm_up
            synchronise()
            start = time.perf_counter()
            yield from [None] * steps
            synchronise()
            frames = steps * len(self.batch[1])
            self.took["ours"].append((time.perf_counter() - start) / frames)
            self.peak["ours"] = max(self.peak["ours"], peak() - self.held)
            self._pure_steps(2)
            self.took["pure step"].append(seconds(lambda: self._pure_steps(steps)) / frames)
            with default_malloc():
                took, self.peak["recipe"] = self.recipe()
            self.took["recipe"].append(took)
        if torch.cuda.is_available():
            yield from [None] * warm_up
            synchronise()
            with profile(activities=[ProfilerActivity.CUDA]) as profiler:
                start = time.perf_counter()
                yield from [None] * steps
                synchronise()
                window = time.perf_counter() - start
            self.idle = 1 - busy_seconds(profiler) / window
        while True:
            yield

    def _pure_steps(self, steps: int) -> None:
        trainer = cast(pl.Trainer, self.trainer)
        classifier, (optimizer,) = cast(FrameClassifier, trainer.lightning_module), trainer.optimizers
        network = classifier.captured or classifier.model
        frames, labels = self.batch
        for _ in range(steps):
            optimizer.zero_grad()
            with trainer.precision_plugin.forward_context():
                loss = nn.functional.binary_cross_entropy_with_logits(network(frames), labels)
            torch.autograd.backward(loss)
            optimizer.step()
        optimizer.zero_grad()


def time_recipe(model: nn.Module, paths: list[Path], size: int, options: argparse.Namespace) -> tuple[float, float]:
    """Seconds per frame and peak memory; both are nan if the device runs out of memory."""
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic
    # the write-up sets only cudnn's switch; the one that Lightning sets selects other kernels
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = True
    held = reset_peak()
    try:
        model.to(torch.accelerator.current_accelerator(check_available=True) or "cpu").train()
        optimizer = torch.optim.Adam(model.parameters(), lr=LR)
        count = BATCH_SIZE * (options.warm_up + options.steps)
        batches = iter(recipe_loader([paths[number % len(paths)] for number in range(count)], size))
        for _ in range(options.warm_up):
            recipe_step(model, optimizer, next(batches))
        took = seconds(lambda: [recipe_step(model, optimizer, batch) for batch in batches])
        return took / options.steps / BATCH_SIZE, peak() - held
    except torch.OutOfMemoryError:
        return math.nan, math.nan
    finally:
        model.zero_grad()
        model.cpu()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.deterministic = before[1]


def synchronise() -> None:
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def reset_peak() -> float:
    """Makes peak() start again from now; returns the MiB held now."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    elif sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)  # so that memory that another side has freed is not counted
            Path("/proc/self/clear_refs").write_text("5")  # resets the peak, see proc_pid_clear_refs(5)
    return peak()


def peak() -> float:
    """The most MiB held since reset_peak()."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def busy_seconds(profiler: profile) -> float:
    """The time in which at least one kernel runs. Kernels of several streams may overlap."""
    kernels = sorted(
        (event.time_range.start, event.time_range.end)
        for event in cast(Any, profiler).events()
        if event.device_type.name == "CUDA" and not event.name.startswith(("Memcpy", "Memset"))
    )
    busy = until = 0.0
    for start, end in kernels:
        busy += max(0.0, end - max(start, until))
        until = max(until, end)
    return busy / 1e6


def measure(
    params: Params, size: int, options: argparse.Namespace, folder: Path, paths: list[Path], recipe: bool = True
) -> TimedBatches:
    """Runs the three sides at one image size, or only ours and the pure step. ``folder`` is for files in between."""
    prepare(paths, [0] * FILES, folder / "prepared", size)
    # random weights in a file, because with weights the model is built as for fine-tuning
    torch.save(get_model(options.arch, weights=None).state_dict(), folder / "weights.pth")
    ours, theirs = (build_model(options.arch, params.model.dropout, folder / "weights.pth") for _ in range(2))
    theirs.to(memory_format=torch.contiguous_format)
    given = ("batch_size", "precision", "compile", "deterministic", "num_workers")
    train = params.train.model_copy(update={"epochs": 1} | {name: getattr(options, name) for name in given})
    # enough frames for every round, the profiled window and one spare step; then one validation frame of each class
    count = options.batch_size * ((options.rounds + 1) * (options.warm_up + options.steps) + 1)
    rows = pd.DataFrame({"label": np.arange(count) % 2, "split": "train"}, index=np.arange(count) % FILES)
    rows = pd.concat([rows, rows[:2].assign(split="val")])
    batches = TimedBatches(
        np.load(folder / "prepared.npy", mmap_mode="r"),
        rows,
        train,
        params.train.seed,
        recipe=lambda: time_recipe(theirs.efficientnet, paths, size, options) if recipe else (math.nan, math.nan),
        options=options,
    )
    with contextlib.redirect_stdout(sys.stderr):  # only the table goes to stdout
        fit(ours, batches, train)
    return batches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="B0 at 96 px: two cores, under three minutes")
    quick = "--quick" in sys.argv  # read before parsing, because other defaults depend on it
    params = parameters(profile="ffpp")
    given = params.train.batch_size
    parser.add_argument("--arch", default="efficientnet_b0" if quick else params.model.arch)
    parser.add_argument("--image-size", "--sizes", dest="sizes", type=int, nargs="+", default=[96 if quick else 224])
    parser.add_argument("--batch-size", type=int, default=given if isinstance(given, int) else BATCH_SIZE, help="ours")
    for name in ("precision", "compile"):
        choices = get_args(Train.model_fields[name].annotation)
        default = getattr(params.train, name)
        parser.add_argument(f"--{name}", choices=choices, default=default, help="of ours and the pure step")
    parser.add_argument("--deterministic", action=argparse.BooleanOptionalAction, default=params.train.deterministic)
    parser.add_argument("--num-workers", type=int, default=params.train.num_workers)
    parser.add_argument("--steps", type=int, default=10 if quick else 30)
    waits = "more than the batches that wait in a loader's queue, and till a CPU's heap has grown: 6"
    parser.add_argument("--warm-up", type=int, default=6, help=waits)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    found = {}
    with tempfile.TemporaryDirectory() as name:
        paths = write_frames(Path(name), FILES)
        for size in options.sizes:
            found[size] = measure(params, size, options, Path(name), paths)
    print(f"{machine()}\n{options.arch}, {options.steps} steps, {options.rounds} rounds\n")
    print(f"{'px':>4} {'':10}{'batch':>6}{'frames/s':>10}{'ms a step':>11}{'peak MiB':>10}{'of pure':>9}{'idle':>7}")
    ratios = []
    for size, batches in found.items():
        took = {side: statistics.median(times) for side, times in batches.took.items()}
        for side in ("recipe", "ours", "pure step"):
            batch_size = BATCH_SIZE if side == "recipe" else options.batch_size
            held = f"{batches.peak[side]:.0f}" if side in batches.peak else ""
            idle = f"{batches.idle:.1%}" if side == "ours" and torch.cuda.is_available() else ""
            print(
                f"{size:4} {side:10}{batch_size:6}{1 / took[side]:10.1f}{took[side] * batch_size * 1000:11.1f}"
                f"{held:>10}{took['pure step'] / took[side]:9.1%}{idle:>7}"
            )
        ratios.append(took["recipe"] / took["ours"])
    print(f"ratio: {ratios[0]:.2f}")


if __name__ == "__main__":
    main()
