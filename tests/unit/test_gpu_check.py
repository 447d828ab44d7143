"""``make gpu-check`` says in one line why it does not run; where it does, its table has what was measured."""

import subprocess
import sys
import time

import pytest
import torch

from tests.support.modules import ROOT
from tools import gpu_check


def said(*command: str) -> tuple[int, str]:
    """The exit status, and all that the command says."""
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="what it says without a CUDA device")
def test_without_a_gpu_one_line_says_what_it_would_do() -> None:
    assert said("-m", "tools.gpu_check") == (1, gpu_check.NO_GPU + "\n")


@pytest.mark.parametrize("package", ["torch", pytest.param("pandas", marks=pytest.mark.slow)])
def test_a_missing_package_is_one_line(package: str) -> None:
    run = "runpy.run_module('tools.gpu_check', run_name='__main__')"
    arguments = ["--train", "a folder"]  # for which no GPU is looked for
    missing = f"import runpy, sys; sys.modules[{package!r}] = None; sys.argv[1:] = {arguments}; {run}"
    assert said("-c", missing) == (1, f"gpu-check: the package {package} is missing\n")


def test_a_row_has_what_was_measured_and_nothing_else() -> None:
    cells = gpu_check.line(224, 64, "ours", seconds=1 / 1000, ratio=7.9365, of_bare=0.953, idle=0.0721, peak=20480)
    assert cells == "| 224 | 64 | ours | 1000 | 7.94 | 95% | 7% | 20.0 |"
    assert gpu_check.line(600, 256, "ours: out of memory") == "| 600 | 256 | ours: out of memory |  |  |  |  |  |"
    assert cells.count("|") == gpu_check.HEAD.splitlines()[0].count("|")


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU the whole command does it")
def test_the_table_says_what_was_not_captured_and_what_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"ARCH": "efficientnet_b0", "SIZES": (32,), "BATCHES": (4, 8), "STEPS": dict.fromkeys(gpu_check.STEPS, 1)}
    for name, value in small.items():
        monkeypatch.setattr(gpu_check, name, value)
    rows = gpu_check.table(time.monotonic() + 600)
    found = [[cell.strip() for cell in next(rows).split("|")[1:-1]] for _ in range(5)]
    bare = "the bare step of ours"
    whats = ["recipe", "ours without graphs", f"{bare} without graphs", "ours, not captured", f"{bare}, not captured"]
    assert [row[:3] for row in found] == [["32", "16" if what == "recipe" else "4", what] for what in whats]
    assert all(float(row[3]) > 0 for row in found)
    assert found[0][4] == "1.00"
    assert found[1][6] == ""  # there are no kernels
    assert list(gpu_check.table(0)) == [
        gpu_check.line(32, batch, f"{what}: not measured, the time is over")
        for batch in (4, 8)
        for what in ("ours without graphs", "ours")
    ]
