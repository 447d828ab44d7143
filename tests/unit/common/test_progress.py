"""A log gets a line a minute and one at the end, a terminal gets tqdm's bar."""

import subprocess
import sys
from pathlib import Path

import pytest

from deepfake_detection.common.progress import progress
from tests.support.terminals import on_terminal

ROOT = Path(__file__).parents[3]

COUNT = """
import sys, time
from deepfake_detection.common import progress
progress.SECONDS = float(sys.argv[1])
with progress.progress(title="counting", total=300, unit="number") as bar:
    for number in range(300):
        time.sleep(0.002)
        bar.set_description(f"at {number}")
        bar.update()
"""
MAP = """
from deepfake_detection.common.parallel import map_in_processes
assert list(map_in_processes(abs, range(-5000, 0), 5000, 2, "counting", "number")) == list(range(5000, 0, -1))
"""


def in_log(tmp_path: Path, *arguments: str) -> list[str]:
    """The lines of stderr, a file."""
    log = tmp_path / "log"
    with log.open("w") as stderr:
        subprocess.run([sys.executable, *arguments], cwd=ROOT, stderr=stderr, check=True)
    text = log.read_bytes().decode()
    assert "\r" not in text
    assert text.endswith("\n")
    return text.splitlines()


def test_a_log_gets_one_line_at_the_end(tmp_path: Path) -> None:
    (line,) = in_log(tmp_path, "-c", COUNT, "60")
    assert line.startswith("at 299: 100%|")
    assert "300/300" in line
    (line,) = in_log(tmp_path, "-c", MAP)
    assert line.startswith("counting: 100%|")
    assert "5000/5000" in line


def test_a_log_gets_a_line_each_time_that_the_interval_is_over(tmp_path: Path) -> None:
    lines = in_log(tmp_path, "-c", COUNT, "0.2")  # 0.6 seconds or, on a busy machine, more
    assert 3 <= len(lines) < 30
    done = [int(line.partition("/")[0].rpartition(" ")[2]) for line in lines]
    assert done == sorted(done)
    assert 0 < done[0] < done[-1] == 300


def test_a_terminal_gets_a_bar() -> None:
    seen = on_terminal("-c", COUNT, "60", cwd=ROOT)
    assert seen.count("\r") > 5
    assert "100%|" in seen


def test_items_pass_through_and_what_is_not_left_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(iter("abc"), "letters", 3)) == ["a", "b", "c"]
    assert list(progress("abc", leave=False)) == ["a", "b", "c"]
    with pytest.raises(ZeroDivisionError):
        [1 / item for item in progress([2, 1, 0], "dividing")]
    letters, dividing = capsys.readouterr().err.splitlines()
    assert "3/3" in letters
    assert dividing.startswith("dividing: ")
