"""Freed memory is kept: the kernel need not find and zero the same pages again for every tensor."""

import platform
import subprocess
import sys

import pytest

from tests.support.page_faults import COUNT_FAULTS

SETTING = """
import sys, torch
from deepfake_detection.network.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory(torch.device("cpu"))
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's malloc")
def test_pages_are_asked_for_once() -> None:
    faults = {
        how: int(subprocess.check_output([sys.executable, "-c", SETTING + COUNT_FAULTS, how], text=True))
        for how in ("default", "keep")
    }
    assert faults["keep"] < 100
    assert faults["default"] > 500  # huge pages, where the system gives them, count as one
