"""Side-by-side timings, run as ``python -m benchmarks.NAME [--quick]`` from the project's root.

Each prints the machine, one table, and as its last line ``ratio: X``. The ratio is our speed over the reference's,
so higher is better. The two sides take turns, so that other load on the machine affects both.

``coverage``, ``compare_null``, ``evidence``, ``false_alarms`` and ``second_opinion`` time nothing: they check the
numbers that are said of a network.
"""

import os
import platform
import statistics
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from deepfake_detection.common.parallel import cpu_count
from deepfake_detection.common.tables import COLUMNS
from deepfake_detection.frames.preparing import prepare_frames
from deepfake_detection.network.allocator import (
    MMAP_MAX,
    MMAP_THRESHOLD,
    TRIM_THRESHOLD,
    keep_freed_memory,
    set_malloc,
)
from deepfake_detection.params.load import Params


def arguments(description: str | None, **numbers: int) -> Namespace:
    """Parses the command line: ``--quick``, and an integer for each of ``numbers``, which gives its default."""
    parser = ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="two cores, under three minutes")
    for name, default in numbers.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    return parser.parse_args()


def seconds(work: Callable[[], object]) -> float:
    """The wall-clock seconds of one call, including work in the accelerator's queue."""
    import torch  # imported here, because child processes import this module and do not need torch

    start = time.perf_counter()
    work()
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
    return time.perf_counter() - start


def in_turn(rounds: int, *works: Callable[[], object]) -> list[float]:
    """The median seconds of each of ``works``, called in turn for ``rounds`` rounds after one warm-up call each."""
    for work in works:
        work()
    times = [[seconds(work) for work in works] for _ in range(rounds)]
    return [statistics.median(each) for each in zip(*times, strict=True)]


@contextmanager
def default_malloc() -> Iterator[None]:
    """Code inside the block gives freed memory back, as in a process that never called keep_freed_memory.

    The thresholds are those that glibc reaches by itself after large blocks have been freed.
    """
    set_malloc({MMAP_MAX: 65536, MMAP_THRESHOLD: 2**25, TRIM_THRESHOLD: 2**26})
    try:
        yield
    finally:
        keep_freed_memory()


def machine() -> str:
    """Processor, available cores and accelerator, in one line."""
    import torch  # imported here for the same reason as above

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


def parameters(**chosen: str) -> Params:
    """The parameters of conf/, composed in the same way as by DVC, because a training machine may lack DVC.

    ``chosen`` names a file of a group, such as ``profile="ffpp"``, where it is not the group's default.
    """

    def merge(below: Any, above: Any) -> Any:
        if not (isinstance(below, dict) and isinstance(above, dict)):
            return above
        return below | {key: merge(below.get(key), value) for key, value in above.items()}

    tree = yaml.safe_load(Path("conf/config.yaml").read_text())
    groups = {group: name for default in tree.pop("defaults") if default != "_self_" for group, name in default.items()}
    groups |= chosen
    for default in yaml.safe_load(Path("conf/profile", f"{groups['profile']}.yaml").read_text()).get("defaults", []):
        groups |= {group.removeprefix("override /"): name for group, name in default.items()}
    for group, name in (groups | chosen).items():
        text = Path("conf", group, f"{name}.yaml").read_text()
        values = {key: value for key, value in (yaml.safe_load(text) or {}).items() if key != "defaults"}
        tree = merge(tree, values if "@package _global_" in text else {group: values})
    return Params.model_validate(tree)


def prepare(paths: list[Path], labels: list[int], to: Path, size: int, workers: int | None = None) -> pd.DataFrame:
    """Prepares picture files, as the pipeline does: pixels to ``to`` with the suffix .npy. Returns their rows."""
    raw = Path(os.path.commonpath([path.absolute().parent for path in paths]))
    names = [path.absolute().relative_to(raw).as_posix() for path in paths]
    index = to.with_name(f"{to.name}-index.csv")
    rows = pd.DataFrame({"path": names, "label": labels}).reindex(columns=list(COLUMNS), fill_value=0)
    rows.to_csv(index, index=False)
    prepare_frames(index, raw, to, size, workers)
    return rows
