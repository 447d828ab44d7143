"""What the C library's malloc does with memory that is freed: on a CPU torch gets its tensors from there."""

import ctypes
import sys

# of glibc's malloc.h, see mallopt(3)
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4


def keep_freed_memory() -> None:
    """Has the process keep freed memory for its next tensors; the most that it holds stays about the same.

    By default glibc gives large blocks back to the kernel as soon as they are freed, and gets them again, page by page
    and each page zeroed, in the next step: up to half of a step's time.
    """
    set_malloc({MMAP_MAX: 0, TRIM_THRESHOLD: -1})


def set_malloc(options: dict[int, int]) -> None:
    """Sets options of mallopt(3); does nothing where the C library is not glibc."""
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        for option, value in options.items():
            mallopt(option, value)
