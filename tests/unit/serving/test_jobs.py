"""Long lists: shares are the same everywhere, and a killed run goes on without losing or repeating a line."""

import json
import multiprocessing
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.serving.lines import UNFINISHED, left_to_do, require_whole, resumed, summary
from deepfake_detection.serving.outputs import alone
from deepfake_detection.serving.paths import in_shard
from tests.support.commands import command
from tests.unit.serving.test_detector import save

JOB = {"checkpoint": "abc"}


def test_shares_are_disjoint_and_whole_and_depend_on_nothing_else() -> None:
    files = [f"folder/{number}.jpg" for number in range(1000)]
    shares = [in_shard(files, f"{part}/4") for part in range(1, 5)]
    assert sorted(chain.from_iterable(shares)) == sorted(files)
    assert all(200 < len(share) < 300 for share in shares)
    fewer = files[::3]
    assert in_shard(fewer, "2/4") == [file for file in fewer if file in set(shares[1])]
    assert in_shard(files, "1/1") == files


@pytest.mark.parametrize("shard", ["0/4", "5/4", "4", "1/0", "a/b", "-1/4", "1/4/2"])
def test_what_is_no_share_is_one_line(shard: str) -> None:
    with pytest.raises(UserError, match="give a number and how many there are, such as 2/4"):
        in_shard([], shard)


def test_a_file_is_done_as_often_as_it_is_named() -> None:
    assert left_to_do(["a", "b", "a", "c"], Counter(a=1, c=2)) == ["b", "a"]


def test_outcomes_are_counted_in_one_line() -> None:
    assert summary(Counter(fake=2, unreadable=1, original=1200)) == "1203 files: 1200 original, 2 fake, 1 unreadable"
    assert summary(Counter({"none": 1})) == "1 file: 1 none"


def line(name: str, verdict: str = "fake") -> str:
    return json.dumps({"path": name, "verdict": verdict, "failed": verdict == "none"}) + "\n"


def test_lines_are_kept_whole_through_kills(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.jsonl"
    part = path.with_name(path.name + UNFINISHED)

    def killed(*lines: str) -> tuple[Counter[str], Counter[str]]:
        with suppress(KeyboardInterrupt), resumed(path, JOB) as (out, done, outcomes):
            out.writelines(lines)
            raise KeyboardInterrupt
        return done, outcomes

    assert killed(line("a"), line("b", "none"), line("c")[:7]) == ({}, {})
    assert not path.exists()
    assert killed(line("c", "original")) == (Counter("ab"), Counter(fake=1, unreadable=1))
    with resumed(path, JOB) as (out, done, outcomes):
        assert done == Counter("abc")
        assert outcomes == Counter(fake=1, unreadable=1, original=1)
        out.write(line("d"))
    assert path.read_text() == line("a") + line("b", "none") + line("c", "original") + line("d")
    assert not part.exists()


def test_a_header_that_was_cut_off_begins_anew_and_another_job_s_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    part = path.with_name(path.name + UNFINISHED)
    part.write_text('{"check')
    with resumed(path, JOB) as (out, done, _):
        assert not done
        out.write(line("a"))
    assert path.read_text() == line("a")
    part.write_text('{"checkpoint": "other"}\n' + line("a"))
    before = part.read_bytes()
    with pytest.raises(UserError, match="of another checkpoint or with other options"), resumed(path, JOB):
        pass
    assert part.read_bytes() == before


@pytest.mark.parametrize("tail", [b"\0" * 4096, b"\0" * 100 + b"\n" + line("c").encode(), b'{"path": "c"}\n', b"[]\n"])
def test_what_a_power_cut_left_behind_the_last_whole_line_is_cut_off(tail: bytes, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    header = json.dumps(JOB).encode() + b"\n"
    part = path.with_name(path.name + UNFINISHED)
    part.write_bytes(header + line("a").encode() + tail)
    with resumed(path, JOB) as (out, done, _):
        assert done == Counter("a")
        out.write(line("b"))
    assert path.read_text() == line("a") + line("b")
    part.write_bytes(b"\0" * 100 + b"\n" + tail)  # of the header nothing is left
    with resumed(path, JOB) as (_, done, _):
        assert not done


def test_a_finished_file_is_whole_if_every_file_has_its_lines(tmp_path: Path) -> None:
    (path := tmp_path / "out.jsonl").write_text(line("a") + line("b", "none"))
    require_whole(path, ["b", "a"])
    with pytest.raises(UserError, match="2 of 4 files have no line in it, such as a: judge them into another --output"):
        require_whole(path, ["a", "b", "a", "c"])
    Image.new("RGB", (64, 64)).save(tmp_path / "c.png")
    resume = ["predict", tmp_path, "--checkpoint", tmp_path / "b0.pth", "--json", "--output", path, "--resume"]
    assert f"{path} is there already, and 1 of 1 files have no line" in str(command(*resume))
    path.write_text(line(str(tmp_path / "c.png")))
    assert command(*resume) == 0


def write_lines(path: Path, files: list[str]) -> None:
    """What ``predict --resume`` does, without a network."""
    try:
        with alone(path):
            if path.exists():
                return
            with resumed(path, JOB) as (out, done, _):
                for file in left_to_do(files, done):
                    print(line(file), end="", file=out, flush=True)
                    time.sleep(0.001)
    except UserError:
        sys.exit(1)


def test_two_runs_at_once_killed_twenty_times_give_each_file_one_line(tmp_path: Path) -> None:
    path, files = tmp_path / "out.jsonl", [str(number) for number in range(300)]
    rng, fork = random.Random(0), multiprocessing.get_context("fork")  # noqa: S311
    refused = 0
    for kill in range(21):
        runs = [fork.Process(target=write_lines, args=(path, files)) for _ in range(2)]
        for run in runs:
            run.start()
        if kill < 20:
            for run in rng.sample(runs, 2):
                time.sleep(rng.uniform(0, 0.02))
                run.kill()
        for run in runs:
            run.join(60)
        refused += [run.exitcode for run in runs].count(1)
    assert refused
    assert path.read_text() == "".join(map(line, files))
    assert list(tmp_path.iterdir()) == [path]


def test_who_comes_second_is_told_before_the_work(tmp_path: Path) -> None:
    path = tmp_path / "out"
    Image.new("RGB", (64, 64)).save(tmp_path / "c.png")
    words = f"{path}.png: another run writes there: let it end, or name another file"
    with alone(path.with_suffix(".png"), path.with_suffix(".json")):
        with pytest.raises(UserError, match="another run writes there"), alone(path, path.with_suffix(".json")):
            pass
        for typed in (["predict", tmp_path, "--output"], ["explain", tmp_path / "c.png", "--out"]):
            assert command(*typed, f"{path}.png", "--checkpoint", "gone.pth") == f"error: {words}"
    with alone(path.with_suffix(".png")):
        assert len(list(tmp_path.glob(".part-lock-*"))) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["c.png"]


@pytest.mark.slow
def test_killed_and_resumed_shares_give_the_lines_of_one_run(tmp_path: Path) -> None:
    checkpoint, pictures = save(tmp_path / "b0.pth"), tmp_path / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    for number in range(100):
        Image.fromarray(rng.integers(0, 256, (300, 300, 3), np.uint8)).save(pictures / f"{number}.png")
    (pictures / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    asked = ["predict", str(pictures), "--checkpoint", str(checkpoint), "--json", "--batch-size", "1"]
    assert command(*asked, "--output", tmp_path / "one.jsonl") == 1  # a file cannot be read
    first, out = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    command(*asked, "--shard", "1/2", "--output", first)
    share = [*asked, "--shard", "2/2", "--output", str(out), "--resume"]
    unfinished = out.with_name(out.name + UNFINISHED)
    run = [sys.executable, "-m", "deepfake_detection.serving.cli", *share]
    process = subprocess.Popen(run, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not (unfinished.exists() and unfinished.read_bytes().count(b"\n") > 5) and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    kept = unfinished.read_bytes().splitlines(keepends=True)[1:]
    command(*share)
    assert out.read_bytes().splitlines(keepends=True)[: len(kept) - 1] == kept[:-1]
    assert not unfinished.exists()
    merged, whole = (
        sorted(map(json.loads, "".join(path.read_text() for path in paths).splitlines()), key=lambda row: row["path"])
        for paths in ((first, out), (tmp_path / "one.jsonl",))
    )
    assert len(merged) == len(whole) == 101
    assert [(row["path"], row["verdict"]) for row in merged] == [(row["path"], row["verdict"]) for row in whole]
    logits = [[row["logit"] for row in rows if not row["failed"]] for rows in (merged, whole)]
    assert logits[0] == pytest.approx(logits[1], rel=1e-3)
    # a finished share has nothing left to do, and another checkpoint does not go on with it
    assert not command(*share)
    save(checkpoint, margin=0.2)
    unfinished.write_text('{"checkpoint": "another"}\n')
    out.unlink()
    assert "of another checkpoint" in str(command(*share))


def test_resume_needs_lines_and_a_file(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    for options in (["--resume"], ["--resume", "--json"], ["--resume", "--output", tmp_path / "a.csv", "--csv"]):
        assert command("predict", tmp_path, *options) == (
            "error: --resume goes on with a file of JSON lines: give --json and --output too"
        )
