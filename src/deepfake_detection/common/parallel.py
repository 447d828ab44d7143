"""The processors that this process may use, and work that is spread over them."""

import gc
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, islice, pairwise
from typing import TypeVar

from deepfake_detection.common.progress import progress

Item = TypeVar("Item")
Result = TypeVar("Result")

_MAX_SUBMITTED = 2048  # calls submitted at a time: the executor keeps a few kB for each waiting call


def cpu_count() -> int:
    """The number of granted processors. In a container or under taskset, the machine has more."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def spin_briefly() -> None:
    """Lets idle threads of OpenMP wait without taking a processor. Call it before torch or scikit-learn is loaded.

    By default they spin, which keeps beside other busy processes whoever has work from a processor: training is then 2
    to 9 times slower. On a quiet machine waiting costs up to 10%. A choice in the environment stays.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = "10000"


def map_in_processes(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    total: int,
    workers: int | None,
    title: str,
    unit: str,
    large: bool = False,
) -> Iterator[Result]:
    """Yields ``function`` of each of ``total`` items, in order, and shows a progress bar.

    ``workers`` is the number of processes (None: one per granted processor; 1: only this process). Pass many
    strings as an array of numpy's StringDType, which the processes share. In a list, each submitted string is
    copied, because its reference count changes. If single results are ``large``, at most four of a process wait to be
    taken. Raises what ``function`` raises.
    """
    workers = workers or cpu_count()
    if workers == 1:
        yield from progress(map(function, items), title, total, unit)
        return
    submitted, chunk = (2 * workers, 1) if large else (_MAX_SUBMITTED, max(1, min(16, total // (4 * workers))))
    waiting = iter(items)
    parts = iter(lambda: list(islice(waiting, submitted)), [])
    gc.collect()
    gc.freeze()  # otherwise the collector of each process writes to all shared memory and so copies it
    pool = ProcessPoolExecutor(workers)
    try:
        running = (pool.map(function, part, chunksize=chunk) for part in parts)
        # pairwise submits the next part before it waits for this one
        results = chain.from_iterable(part for part, _ in pairwise(chain(running, [()])))
        yield from progress(results, title, total, unit)
    finally:
        pool.shutdown(cancel_futures=True)  # after an error, do not wait for the submitted calls
        gc.unfreeze()
