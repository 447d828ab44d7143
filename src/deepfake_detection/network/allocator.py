"""Sets how the process computes: the threads of torch, and what the C library's malloc does with freed memory.

On a CPU torch allocates its tensors with malloc. Each setting is one of the whole process. So only programs choose it:
stages, commands, the page's worker, benchmarks, and training. A Detector in somebody else's program leaves it alone.
"""

import ctypes
import sys
from typing import TYPE_CHECKING

from deepfake_detection.common.parallel import cpu_count

if TYPE_CHECKING:
    import torch

# from glibc's malloc.h, see mallopt(3)
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4


def keep_freed_memory(device: "torch.device | None" = None) -> None:
    """Makes the process keep freed memory for its next tensors. Its peak memory stays about the same.

    Does nothing if ``device``, where the tensors are, is not a CPU. Without it, torch's accelerator counts, if there is
    one.

    By default glibc returns large blocks to the kernel as soon as they are freed. In the next step it requests them
    again, page by page, and the kernel zeroes each page. This takes up to half of a step's time.
    """
    import torch  # imported here, because processes of the benchmarks import this module and do not need torch

    if device.type == "cpu" if device else not torch.accelerator.is_available():
        set_malloc({MMAP_MAX: 0, TRIM_THRESHOLD: -1})


def use_threads(number: int) -> None:
    """Sets the threads that torch computes with on a CPU. 0: one for each granted processor.

    Sums are added up in another order by another number of threads, so the last digits depend on it.
    """
    import torch

    torch.set_num_threads(number or cpu_count())


def set_malloc(options: dict[int, int]) -> None:
    """Sets options of mallopt(3); does nothing where the C library is not glibc."""
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        for option, value in options.items():
            mallopt(option, value)
