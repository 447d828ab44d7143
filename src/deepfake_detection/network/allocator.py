"""Tells the C library's malloc what to do with freed memory. On a CPU torch allocates its tensors with malloc."""

import ctypes
import sys

# from glibc's malloc.h, see mallopt(3)
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4


def keep_freed_memory() -> None:
    """Makes the process keep freed memory for its next tensors. Its peak memory stays about the same.

    By default glibc returns large blocks to the kernel as soon as they are freed. In the next step it requests them
    again, page by page, and the kernel zeroes each page. This takes up to half of a step's time.
    """
    set_malloc({MMAP_MAX: 0, TRIM_THRESHOLD: -1})


def set_malloc(options: dict[int, int]) -> None:
    """Sets options of mallopt(3); does nothing where the C library is not glibc."""
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        for option, value in options.items():
            mallopt(option, value)
