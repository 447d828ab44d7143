"""`deepfake-detect remember` and `recheck`: a checkpoint that loses what another had right does not pass."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deepfake_detection.common.files import sha256_of
from tests.support.checkpoints import network_with_statistics, save_checkpoint, sidecar
from tests.unit.serving.test_cli import Run
from tests.unit.serving.test_cli import run as run


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with two pictures, and two checkpoints: all is fake for one, and all is original for the other."""
    for number, name in enumerate(("a.png", "b.png")):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    network = network_with_statistics(dropout=0.2)
    for name, bias in (("fake", 50.0), ("original", -50.0)):
        with torch.no_grad():
            [*network.parameters()][-1].fill_(bias)
        save_checkpoint(tmp_path / f"{name}.pth", network, sidecar())
    return tmp_path


def test_a_new_checkpoint_is_told_what_it_lost_and_what_it_won(run: Run, place: Path) -> None:
    memory, was, new = place / "memory", place / "fake.pth", place / "original.pth"
    where = ("--folder", memory, "--checkpoint")
    done = run("remember", place / "a.png", "--label", "real", "--note", "my own", *where, was)
    assert done.out == f"real, judged fake, which is not right: {place / 'a.png'}\n"
    assert not run("remember", place / "b.png", "--label", "fake", *where, was).status
    rows = [json.loads(line) for line in (memory / "remembered.jsonl").read_text().splitlines()]
    assert [row["sha256"] for row in rows] == [sha256_of(place / name) for name in ("a.png", "b.png")]
    assert (rows[0]["note"], rows[0]["verdict"], rows[0]["kept"]) == ("my own", "fake", "")
    assert [path.name for path in memory.iterdir()] == ["remembered.jsonl"]  # no picture

    done = run("recheck", *where, was)
    assert (done.status, done.err) == (0, "1 still not right, 1 still right\n")
    assert run("recheck", *where, was, "--require-all").status == 1
    done = run("recheck", *where, new, "--accept")
    assert (done.status, done.err) == (1, "1 was not right, is right, 1 was right, is not\n")
    assert [line.split() for line in done.out.splitlines()[1:]] == [
        ["was", "not", "right,", "is", "right", "real", "fake", "original", str(place / "a.png")],
        ["was", "right,", "is", "not", "fake", "fake", "original", str(place / "b.png")],
    ]
    assert run("recheck", *where, was).status == 0  # what did not pass was not accepted

    (place / "b.png").unlink()
    done = run("recheck", *where, new, "--accept")
    assert (done.status, done.err) == (0, "1 was not right, is right, 1 file gone\n")
    assert run("recheck", *where, new, "--require-all").status == 1
    assert run("recheck", *where, was).err == "1 was right, is not, 1 file gone\n"  # the accepted one had it right
    (place / "a.png").write_bytes(b"another")
    assert "none of the 2 files is where it was" in run("recheck", *where, was).err


def test_what_is_kept_is_found_when_the_file_is_gone_and_a_mistake_is_one_line(run: Run, place: Path) -> None:
    memory, network = place / "memory", place / "fake.pth"
    where = ("--folder", memory, "--checkpoint", network)
    assert "nothing is remembered there" in run("recheck", *where).err
    assert not memory.exists()
    assert run("remember", place / "b.png", "--label", "real", *where).status == 0
    assert run("remember", place / "*.png", "--label", "fake", "--keep", *where).status == 0
    digest = sha256_of(place / "b.png")
    (place / "b.png").unlink()
    done = run("recheck", *where, "--require-all")
    assert (done.status, done.err) == (0, "2 still right\n")  # and the second label of a file counts
    assert sha256_of(memory / f"{digest}.png") == digest
    (place / "text.jpg").write_text("hello")
    lines = memory / "remembered.jsonl"
    before = lines.read_text()
    assert "text.jpg: a text file" in run("remember", place / "text.jpg", "--label", "fake", *where).err
    assert lines.read_text() == before
    lines.write_text(before + '{"sha256": "1"}\n')
    assert "line 3 is not as `deepfake-detect remember` writes it" in run("recheck", *where).err
