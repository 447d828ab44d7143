"""Which processors the tests run on: each process of pytest-xdist has its own, so none starts more for its work."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

EVERY = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def take_one() -> None:
    """Keeps this process of pytest-xdist, and those that it starts, to one processor."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and EVERY:
        os.sched_setaffinity(0, {EVERY[int(worker.removeprefix("gw")) % len(EVERY)]})


@contextmanager
def every_processor() -> Iterator[None]:
    """What is started in it has all processors, as a user's run has them."""
    before = os.sched_getaffinity(0) if EVERY else set[int]()
    if EVERY:
        os.sched_setaffinity(0, EVERY)
    try:
        yield
    finally:
        if EVERY:
            os.sched_setaffinity(0, before)
