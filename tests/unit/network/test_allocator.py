"""Freed memory is kept: the kernel need not find and zero the same pages again for every tensor."""

import platform
import subprocess
import sys

import pytest

CODE = """
import resource, sys, torch
from deepfake_detection.network.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory(torch.device("cpu"))
def work():
    for _ in range(10):
        torch.ones(2**25)  # 128 MiB
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's malloc")
def test_pages_are_asked_for_once() -> None:
    faults = {
        how: int(subprocess.check_output([sys.executable, "-c", CODE, how], text=True)) for how in ("default", "keep")
    }
    assert faults["keep"] < 100
    assert faults["default"] > 500  # huge pages, where the system gives them, count as one
