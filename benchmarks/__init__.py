"""Side-by-side timings, run as ``python -m benchmarks.NAME [--quick]`` from the project's root.

Each prints the machine, one table, and as its last line ``ratio: X``: ours over the reference,
higher is better. The two sides take turns, so that what else the machine does hits both.
"""

import os
import platform
import statistics
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from deepfake_detection.allocator import (
    MMAP_MAX,
    MMAP_THRESHOLD,
    TRIM_THRESHOLD,
    keep_freed_memory,
    set_malloc,
)
from deepfake_detection.cpus import cpu_count
from deepfake_detection.prepare import prepare_frames


def arguments(description: str | None, **numbers: int) -> Namespace:
    """The command line: ``--quick``, and a whole number for each of ``numbers`` with its default."""
    parser = ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="two cores, under three minutes")
    for name, default in numbers.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    return parser.parse_args()


def seconds(work: Callable[[], object]) -> float:
    """The wall-clock seconds of one call, the accelerator's queue included."""
    import torch  # here, because what a child process imports of these modules does not need it

    start = time.perf_counter()
    work()
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
    return time.perf_counter() - start


def in_turn(rounds: int, *works: Callable[[], object]) -> list[float]:
    """The median seconds of each work, called one after the other ``rounds`` times after one call to warm up."""
    for work in works:
        work()
    times = [[seconds(work) for work in works] for _ in range(rounds)]
    return [statistics.median(each) for each in zip(*times, strict=True)]


@contextmanager
def default_malloc() -> Iterator[None]:
    """What runs inside gives freed memory back, as in a process that never called keep_freed_memory.

    The thresholds are those that glibc settles at by itself once large blocks have been freed.
    """
    set_malloc({MMAP_MAX: 65536, MMAP_THRESHOLD: 2**25, TRIM_THRESHOLD: 2**26})
    try:
        yield
    finally:
        keep_freed_memory()


def machine() -> str:
    """Processor, cores granted and accelerator, in one line."""
    import torch  # see above

    names = [
        line.partition(":")[2].strip()
        for line in (Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else [])
        if line.startswith("model name")
    ]
    parts = [
        names[0] if names else platform.processor() or platform.machine(),
        f"{cpu_count()} of {os.cpu_count()} cores",
    ]
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    return f"{', '.join(parts)}; torch {torch.__version__}"


def prepare(paths: list[Path], labels: list[int], folder: Path, size: int, workers: int | None = None) -> pd.DataFrame:
    """Prepares picture files as the pipeline does, into ``folder``; their rows, with ``path`` and ``label``."""
    raw = Path(os.path.commonpath([path.absolute().parent for path in paths]))
    rows = pd.DataFrame({"path": [path.absolute().relative_to(raw).as_posix() for path in paths], "label": labels})
    index = folder.with_suffix(".csv")
    rows.to_csv(index, index=False)
    prepare_frames(index, raw, folder, size, workers)
    return rows
