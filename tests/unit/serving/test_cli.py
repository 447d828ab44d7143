"""The command line: what it takes, what it prints, how it ends."""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import pytest
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.text import percent
from deepfake_detection.serving.cli import listed
from tests.support.commands import command
from tests.unit.media.test_videos import film as write_video
from tests.unit.serving.test_detector import save


class Done(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Types a command in this process: torch is loaded once."""

    def typed(*words: object) -> Done:
        ending = command(*words)
        out, err = capsys.readouterr()
        return Done(1, out, f"{err}{ending}\n") if isinstance(ending, str) else Done(cast(int, ending) or 0, out, err)

    return typed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures, one of them in a folder below, a video, a text file named .jpg and one that is nothing of ours."""
    root = tmp_path_factory.mktemp("pictures")
    (root / "below").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "below/b.JPG"):
        Image.fromarray(rng.integers(0, 256, (80, 80, 3), np.uint8)).save(root / name)
    write_video(root / "c.mp4", 30)
    (root / "text.jpg").write_text("hello")
    (root / "notes.txt").write_text("hello")
    save(root / "best.pth")
    return root


def test_folders_and_patterns_are_searched_and_files_taken_as_named(folder: Path) -> None:
    names = [str(folder / name) for name in ("a.png", "below/b.JPG", "c.mp4", "text.jpg")]
    assert listed([str(folder)]) == names
    assert listed([str(folder / "*.*g")]) == [names[0], names[3]]
    assert listed([str(folder / "**" / "*.JPG")]) == [names[1]]
    assert listed([str(folder / "notes.txt"), "missing.png"]) == [str(folder / "notes.txt"), "missing.png"]
    with pytest.raises(UserError, match="no picture or video there"):
        listed([str(folder / "*.gif")])


def test_json_has_a_line_for_each_file_and_a_bad_one_stops_nothing(folder: Path, run: Run) -> None:
    done = run("predict", folder, "--checkpoint", folder / "best.pth", "--json", "--frames", 4)
    assert done.status == 1, done.err
    assert done.err.strip() == "1 of 4 files could not be read"
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [Path(row["path"]).name for row in rows] == ["a.png", "b.JPG", "c.mp4", "text.jpg"]
    assert [row["failed"] for row in rows] == [False, False, False, True]
    assert rows[3]["reason"] == "not an image in a known format"
    assert rows[0]["probability"] == pytest.approx(1 / (1 + np.exp(-rows[0]["logit"] / 2)))
    assert len(rows[2]["moments"]) == 4


def test_csv_and_the_table_say_the_same(folder: Path, run: Run) -> None:
    picture = folder / "a.png"
    as_csv = run("predict", picture, "--checkpoint", folder / "best.pth", "--csv")
    assert as_csv.status == 0, as_csv.err
    (row,) = csv.DictReader(io.StringIO(as_csv.out))
    assert list(row) == ["path", "verdict", "probability", "logit", "reason"]
    table = run("predict", picture, folder / "c.mp4", "--checkpoint", folder / "best.pth").out.splitlines()
    assert table[1].split() == [row["verdict"], percent(float(row["probability"])), str(picture)]
    assert re.search(r"\(\d+ of 30 frames fake, most suspicious at 0:0", table[2])


@pytest.mark.parametrize(
    ("probability", "words", "whole"),
    [
        (0.0, "<0.1%", "<1%"),
        (0.0004, "<0.1%", "<1%"),
        (0.0006, "0.1%", "<1%"),
        (0.006, "0.6%", "1%"),
        (0.5, "50.0%", "50%"),
        (0.9994, "99.9%", ">99%"),
        (0.9996, ">99.9%", ">99%"),
        (1.0, ">99.9%", ">99%"),
    ],
)
def test_no_percentage_is_certain(probability: float, words: str, whole: str) -> None:
    assert (percent(probability), percent(probability, 0)) == (words, whole)


def test_a_users_mistake_is_one_line(folder: Path, run: Run) -> None:
    for arguments, line in (
        (
            ("predict", folder / "a.png", "--checkpoint", folder / "none.pth"),
            f"error: {folder / 'none.json'}: not there",
        ),
        (("predict", folder / "below" / "*.gif", "--checkpoint", folder / "best.pth"), "no picture or video there"),
    ):
        done = run(*arguments)
        assert done.status == 1
        assert line in done.err
        assert len(done.err.splitlines()) == 1
        assert not done.out


def test_help_comes_without_torch(tmp_path: Path) -> None:
    code = "import sys, deepfake_detection.serving.cli; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    installed = str(Path(sys.executable).parent / "deepfake-detect")
    assert b"predict" in subprocess.run([installed, "--help"], capture_output=True, check=True).stdout
