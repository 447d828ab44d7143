"""The command line: what it takes, what it prints, how it ends."""

import csv
import io
import json
import os
import re
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import pytest
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.text import percent
from deepfake_detection.network.sidecar import Sidecar
from deepfake_detection.pictures.faces import Box
from deepfake_detection.serving.lines import print_csv, print_json, print_line
from deepfake_detection.serving.outputs import named_after
from deepfake_detection.serving.results import Face, Moment, Prediction, VideoPrediction
from tests.support.commands import command
from tests.support.disks import file_size_limit
from tests.support.tested import save_tested
from tests.unit.serving.test_detector import save
from tests.unit.videos.test_damaged_videos import textured, zeroed
from tests.unit.videos.test_video import film as write_video


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
    """Two pictures, one of them in a folder below, a video, a text file named .jpg, one .txt, and a checkpoint."""
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


def test_json_has_a_line_for_each_file_and_a_bad_one_stops_nothing(folder: Path, run: Run) -> None:
    done = run("predict", folder, "--checkpoint", folder / "best.pth", "--json", "--frames", 4)
    assert done.status == 1, done.err
    rows = [json.loads(line) for line in done.out.splitlines()]
    verdicts = Counter(row["verdict"] for row in rows)
    counts = [f"{verdicts[name]} {name}" for name in ("original", "fake") if verdicts[name]]
    assert done.err.splitlines() == [
        "left out: 1 .json, 1 .pth, 1 .txt",
        f"4 files: {', '.join(counts)}, 1 unreadable",
        "1 of 4 files could not be read",
    ]
    assert [Path(row["path"]).name for row in rows] == ["a.png", "b.JPG", "c.mp4", "text.jpg"]
    assert [row["failed"] for row in rows] == [False, False, False, True]
    assert rows[3]["reason"] == "a text file, neither a picture nor a video"
    assert rows[0]["probability"] == pytest.approx(1 / (1 + np.exp(-rows[0]["logit"] / 2)))
    assert len(rows[2]["moments"]) == 4


def test_what_was_not_seen_of_a_video_is_said(folder: Path, tmp_path: Path, run: Run) -> None:
    part = zeroed(textured(tmp_path / "part.avi", 100), 4.0)
    most = zeroed(textured(tmp_path / "most.avi", 100), 1.0)
    command = ("predict", part, most, "--checkpoint", folder / "best.pth", "--frames", 10)
    done = run(*command)
    assert done.status == 0
    assert re.fullmatch("2 files: 1 (original|fake), 1 uncertain\n", done.err)
    ways = {part: ("(original|fake)", "0:01.0", "9"), most: ("uncertain", "0:04.0", "10")}
    for line, (path, (verdict, lost, frames)) in zip(done.out.splitlines()[1:], ways.items(), strict=True):
        assert f"  {path}: {lost} of 0:10.0 damaged or missing  (" in line
        assert re.search(rf"^{verdict} +[<>\d.]+%  .+  \({frames} frames, most suspicious from", line)
    as_csv = run(*command, "--csv").out
    assert "uncertain" in as_csv.splitlines()[2]
    assert as_csv.count("damaged or missing") == 2


def test_json_names_the_fields_of_a_box() -> None:
    out, box = io.StringIO(), Box(1, 2, 3, 4, 0.5)
    face = Face(box, 0.0, 0.5, "fake")
    print_json(VideoPrediction("a.mp4", "fake", 0.5, 0.0, moments=(Moment(1.5, face),)), first=True, out=out, about={})
    print_json(Prediction("a.png", "fake", 0.5, 0.0, faces=(face,)), first=False, out=out, about={})
    video, picture = map(json.loads, out.getvalue().splitlines())
    for shown in (video["moments"][0]["face"], picture["faces"][0]):
        assert list(shown["box"].items()) == [*{"left": 1, "top": 2, "right": 3, "bottom": 4, "score": 0.5}.items()]


def test_output_replaces_a_file_only_if_told_and_never_one_that_is_read(folder: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "verdicts.csv"
    command = ("predict", folder / "a.png", "--checkpoint", folder / "best.pth", "--csv", "--output")
    assert run(*command, out).status == 0
    first = out.read_text()
    out.write_text("mine")
    done = run(*command, out)
    assert done.err == f"error: {out} is there already: name another file with --output, or replace it with --force\n"
    assert out.read_text() == "mine"
    assert run(*command, out, "--force").status == 0
    assert out.read_text() == first
    for read in (folder / "a.png", folder / "best.pth", folder / "best.json"):
        before = read.read_bytes()
        assert "is one of the files that are read" in run(*command, read, "--force").err
        assert read.read_bytes() == before


def test_a_csv_holds_no_formulas_and_its_paths_stay_paths(
    folder: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [
        "=cmd|' -C calc'!A1.png",
        "+1.png",
        "-1.png",
        "@SUM(A1).png",
        "\t=1.png",
        "a;=1+1;.png",
        "\uff1d1.png",
        "b.png",
    ]
    for name in names:
        (tmp_path / name).write_bytes((folder / "a.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    done = run("predict", "--checkpoint", folder / "best.pth", "--csv", "--", *names)
    assert done.status == 0, done.err
    paths = [row["path"] for row in csv.DictReader(io.StringIO(done.out))]
    assert not [path for path in paths if not (path[0].isalpha() or path.startswith("./"))]
    assert [Path(path).name for path in paths] == names
    assert paths[-1] == "b.png"
    cells = [cell for row in csv.reader(io.StringIO(done.out), delimiter=";") for cell in row]
    assert not [cell for cell in cells if cell.startswith("=")]


def test_a_name_that_is_too_long_to_be_written_is_refused_before_the_work(
    folder: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for out in (Path("a" * 242 + ".csv"), Path("a" * 300)):
        done = run("predict", folder / "a.png", "--checkpoint", "no.pth", "--csv", "--output", out)
        assert done.err.startswith(f"error: {'a' * 30}...: this name has {len(out.name)} bytes, and at most 244 can be")
    assert named_after(Path("x/b.jpg"), "-explained.png") == Path("b-explained.png")
    for stem in ("a" * 251, "\u00e9" * 125, "x" + "\u00e9" * 125):
        name = named_after(Path(f"{stem}.png"), "-explained.png").name
        assert stem.startswith(name.removesuffix("-explained.png"))
        assert 242 < len(os.fsencode(name)) <= 244


def test_an_output_that_cannot_be_written_leaves_nothing(folder: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "verdicts.json"
    with file_size_limit(100):
        done = run("predict", folder / "a.png", "--checkpoint", folder / "best.pth", "--json", "--output", out)
    assert done.status == 1
    assert done.err == f"error: {out}: File too large; check free disk space and limits\n"
    assert list(tmp_path.iterdir()) == []


def test_version_is_that_of_the_package(run: Run) -> None:
    assert run("--version") == Done(0, f"deepfake-detect {version('deepfake-detection')}\n", "")


def test_debug_shows_where_an_error_comes_from(folder: Path, run: Run) -> None:
    with pytest.raises(UserError, match="not there") as caught:
        run("--debug", "predict", folder / "a.png", "--checkpoint", folder / "none.pth")
    assert "FileNotFoundError" in "".join(traceback.format_exception(caught.value))


def test_info_says_what_a_checkpoint_is(folder: Path, tmp_path: Path, run: Run) -> None:
    rules = {"youden": 0.41, "fpr@0.05": 0.93}
    known = {"unavailable": {"fpr@0.01": "it needs 299 independent originals"}, "groups": 75}
    path = save(
        tmp_path / "best.pth", crop="face", margin=0.3, frame={"temperature": 2.0, "thresholds": rules, **known}
    )
    digest = sha256(path.read_bytes()).hexdigest()
    found = json.loads(run("info", path, "--json").out)
    assert found["path"] == str(path)
    assert (found["bytes"], found["sha256"]) == (path.stat().st_size, digest)
    assert {name: found[name] for name in Sidecar.model_fields} == json.loads(path.with_suffix(".json").read_text())
    lines = run("info", path).out.splitlines()
    there = [f"SHA-256 {digest}", "efficientnet_b0, 4,008,829 parameters", "64 x 64 pixels", "originals: Original"]
    there += ["deepfakes: Deepfakes", "sigmoid(logit / 2 + 0), is 0.5 or more", "0.3 of the face"]
    for words in there:
        assert sum(words in line for line in lines) == 1, words
    assert [line[12:] for line in lines[-4:-1]] == [
        "youden     0.41",
        "fpr@0.05   0.93 (75 independent originals)",
        "fpr@0.01   not there: it needs 299 independent originals",
    ]
    assert lines[-1] == "tested      not known: no file with its test results lies beside the checkpoint"
    assert found["tested"] is None
    results = save_tested(path)
    assert json.loads(run("info", path, "--json").out)["tested"] == results.model_dump(mode="json")
    said = run("info", path).out
    for name in ("FaceSwap", "NeuralTextures"):
        (one,) = [each for each in results.unseen() if each.name == name]
        assert f"AUROC {one.frame['auroc']}: {one.name}, not trained on" in said
        assert f"]: {name}, not trained on\n" in said
    assert "]: embedded_shifted, not trained on\n" in said
    described = path.with_suffix(".json")
    described.write_text(described.read_text() + "\n")  # as after another calibration
    done = run("info", path)
    assert done.status == 0
    assert "the test results of another best.json, by its SHA-256" in done.err
    assert "tested      not known" in done.out
    path.unlink()
    assert run("info", path).err == f"error: {path}: no such checkpoint, only its JSON file is there\n"


def test_home_is_found_where_no_shell_does_so(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    done = run("predict", "~/a.p*", "--checkpoint=~/best.pth", "--csv")
    assert (done.status, done.err) == (0, "")
    assert str(folder / "a.png") in done.out


def test_csv_and_the_table_say_the_same(folder: Path, run: Run) -> None:
    picture = folder / "a.png"
    as_csv = run("predict", picture, "--checkpoint", folder / "best.pth", "--csv")
    assert as_csv.status == 0, as_csv.err
    (row,) = csv.DictReader(io.StringIO(as_csv.out))
    assert list(row)[:7] == ["path", "verdict", "probability", "logit", "reason", "unfamiliarity", "failed"]
    assert (row["failed"], row["faces"], row["model"], row["threshold"]) == ("False", "1", "best.pth", "0.5")
    both = run("predict", folder / "c.mp4", folder / "text.jpg", "--checkpoint", folder / "best.pth", "--csv").out
    video, unreadable = csv.DictReader(io.StringIO(both))
    assert (video["frames"], len(video["moments"].split()), unreadable["failed"]) == ("30", 3, "True")
    assert 0 <= float(video["stretch_start"]) < float(video["stretch_end"]) <= 3
    table = run("predict", picture, folder / "c.mp4", "--checkpoint", folder / "best.pth").out.splitlines()
    assert table[1].split() == [row["verdict"], percent(float(row["probability"])), str(picture)]
    assert re.search(r"\(30 frames, most suspicious from 0:0\S+ to 0:0\S+: \S+% by itself\)", table[2])


NO_CUDA_99 = "device 'cuda:99': not on this machine, which has cpu"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("predict", "a.png", "--checkpoint", "none.pth"), "none.json: not there"),
        (("predict", "a.png", "--json", "--csv"), "--json and --csv: choose one of them"),
        (("predict", "below/*.gif", "--checkpoint", "best.pth"), "no picture or video there"),
        (("predict", "a.png", "--checkpoint", "best.pth", "--device", "cuda:99"), NO_CUDA_99),
        (("explain", "a.png", "--checkpoint", "best.pth", "--device", "cuda:99"), NO_CUDA_99),
        pytest.param(
            ("serve", "--port", 0, "--checkpoint", "best.pth", "--device", "cuda:99"),
            NO_CUDA_99,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_users_mistake_is_one_line(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[object, ...], said: str
) -> None:
    monkeypatch.chdir(folder)
    done = run(*words)
    assert (done.status, done.out) == (1, "")
    (line,) = [each for each in done.err.splitlines() if not each.startswith("loading ")]
    assert line.startswith("error: ")
    assert said in line


@pytest.mark.parametrize(("name", "needs"), [("explain", "explain"), ("report", "case.write"), ("serve", "web")])
def test_a_command_whose_extra_is_not_installed_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, needs: str
) -> None:
    monkeypatch.setitem(sys.modules, f"deepfake_detection.serving.{needs}", None)
    done = run(name, *["a.jpg"] * (name != "serve"))
    assert done.status == 1
    assert re.fullmatch(f"error: {name}: .+ is not installed; run make env, or pip install .+\n", done.err)


def test_an_argument_that_gives_nothing_is_a_line_and_the_others_are_judged(
    folder: Path, tmp_path: Path, run: Run
) -> None:
    picture, checkpoint = folder / "a.png", ("--checkpoint", folder / "best.pth", "--csv")
    done = run("predict", tmp_path, picture, tmp_path / "*.jpg", *checkpoint)
    assert done.status == 1
    said = [f"error: {each}: no picture or video there" for each in (tmp_path, tmp_path / "*.jpg")]
    assert done.err.splitlines() == said
    assert [row["path"] for row in csv.DictReader(io.StringIO(done.out))] == [str(picture)]
    assert run("predict", tmp_path, *checkpoint) == Done(1, "", said[0] + "\n")


@pytest.fixture(scope="module")
def odd_names(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures whose names are not UTF-8, break a line or control a terminal, and a plain one that comes last."""
    odd = tmp_path_factory.mktemp("odd")
    for name in (b"caf\xe9.png", b"new\nline.png", b"red\x1b[31m.png", b"z.png"):
        (odd / os.fsdecode(name)).write_bytes((folder / "a.png").read_bytes())
    return odd


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("form", ["", "--csv", "--json"])
def test_a_name_of_any_bytes_stops_no_writer(
    odd_names: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, encoding: str
) -> None:
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding=encoding, newline="\n"))
    assert "error: no?such?.json: " in str(command("predict", odd_names, "--checkpoint", "no\nsuch\x1b.pth"))
    asked = ["predict", odd_names, "--checkpoint", folder / "best.pth", *filter(None, [form])]
    assert not command(*asked)
    sys.stdout.flush()
    written = tmp_path / "new" / "verdicts"
    assert not command(*asked, "--output", written)
    assert [path.name for path in written.parent.iterdir()] == ["verdicts"]
    assert written.read_bytes() == printed.getvalue()
    names = (b"caf\xe9.png", b"new\nline.png", b"red\x1b[31m.png", b"z.png")
    if form == "--json":
        found = [os.fsencode(Path(json.loads(line)["path"]).name) for line in written.read_text().splitlines()]
    elif form == "--csv":
        text = written.read_text(encoding="utf-8", errors="surrogateescape")
        found = [os.fsencode(Path(row["path"]).name) for row in csv.DictReader(io.StringIO(text))]
    else:
        names = (b"caf?.png", b"new?line.png", b"red?[31m.png", b"z.png")
        found = [line.rpartition(b"/")[2] for line in written.read_bytes().splitlines()[1:]]
    assert sorted(found) == sorted(names)


def test_a_terminal_gets_no_control_characters() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for print_it in (print_csv, print_line):
        out = Terminal()
        print_it(Prediction("a\x1b[31m\n.jpg", "none", reason="truncated"), first=False, out=out, about={})
        assert "\x1b" not in out.getvalue()
        assert len(out.getvalue().splitlines()) == 1


def test_help_comes_without_torch(tmp_path: Path) -> None:
    code = "import sys, deepfake_detection.serving.cli; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    installed = str(Path(sys.executable).parent / "deepfake-detect")
    assert b"predict" in subprocess.run([installed, "--help"], capture_output=True, check=True).stdout
