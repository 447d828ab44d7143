"""How many processors this process may use."""

import os


def cpu_count() -> int:
    """The processors granted, fewer than the machine's in a container or under taskset."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
