"""How many processors this process may use, and work spread over them."""

import gc
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, islice, pairwise
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")

_AT_ONCE = 2048  # calls handed out: the executor keeps a few kB for each that waits


def cpu_count() -> int:
    """The processors granted, fewer than the machine's in a container or under taskset."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_process(function: Callable[..., Result], *arguments: object) -> Result:
    """What ``function`` returns or raises, called in a process whose memory goes with it."""
    with ProcessPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result()


def map_in_processes(
    function: Callable[[Item], Result], items: Iterable[Item], total: int, workers: int | None, title: str, unit: str
) -> Iterator[Result]:
    """``function`` of each of ``total`` items, in order, under a progress bar; raises what ``function`` raises.

    ``workers`` is the number of processes (None: one a processor granted; 1: none but this one). Many strings
    are best given as an array of numpy's StringDType: the processes share it, while of a list each string that
    is handed out becomes a copy (its reference count changes).
    """
    workers = workers or cpu_count()
    if workers == 1:
        yield from tqdm(map(function, items), title, total, unit=unit)
        return
    chunk = max(1, min(16, total // (4 * workers)))
    waiting = iter(items)
    parts = iter(lambda: list(islice(waiting, _AT_ONCE)), [])
    gc.collect()
    gc.freeze()  # else the collector in each process writes to, and so copies, all that it shares with this one
    pool = ProcessPoolExecutor(workers)
    try:
        running = (pool.map(function, part, chunksize=chunk) for part in parts)
        # in pairs, so that the next part is handed out before this one is awaited
        results = chain.from_iterable(part for part, _ in pairwise(chain(running, [()])))
        yield from tqdm(results, title, total, unit=unit)
    finally:
        pool.shutdown(cancel_futures=True)  # an error shall not wait for what was handed out
        gc.unfreeze()
