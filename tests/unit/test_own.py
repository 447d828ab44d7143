"""A stage replaces what a stage wrote or DVC has, and nothing else."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from dvc.repo import Repo

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing
from stages.own import noting, remove_former, require_own

RAW = Path("data/raw")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)


def write(files: dict[str, str], path: Path = RAW) -> None:
    """As a stage does."""
    with replacing(path) as (part,), noting(path, part):
        part.mkdir()
        for name, text in files.items():
            (part / name).write_text(text)


def test_what_a_stage_wrote_is_replaced() -> None:
    write({"a": "1", "b": "2"})
    write({"a": "3", "c": "4"})
    assert {path.name: path.read_text() for path in RAW.iterdir()} == {"a": "3", "c": "4"}
    (RAW / "a").unlink()
    (RAW / ".DS_Store").touch()
    (RAW / "empty").mkdir()
    write({})
    assert list(RAW.iterdir()) == []


@pytest.mark.parametrize("change", ["new", "in place", "renamed", "folder", "link", "all"])
def test_what_no_stage_wrote_stops_it_and_stays(change: str, tmp_path: Path) -> None:
    if change != "all":
        write({"a": "1", "b": "2"})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine").write_text("mine")
    match change:
        case "new":
            (RAW / "mine").write_text("1")
        case "in place":
            (RAW / "b").write_text("3")
        case "renamed":
            (RAW / "b").rename(RAW / "c")
        case "folder":
            shutil.copytree(elsewhere, RAW / "folder")
        case "link":
            (RAW / "linked").symlink_to(elsewhere)
        case "all":
            shutil.copytree(elsewhere, RAW)
    before = sorted((path, path.is_file() and path.read_text()) for path in RAW.rglob("*"))
    with pytest.raises(UserError, match=r"^data/raw holds 1 file, e\.g\. data/raw/.*, that the pipeline did not write"):
        write({"a": "5"})
    assert sorted((path, path.is_file() and path.read_text()) for path in RAW.rglob("*")) == before
    assert (elsewhere / "mine").read_text() == "mine"


def test_a_single_file_is_guarded_too() -> None:
    path = Path("models/best.pth")
    path.parent.mkdir()
    path.write_bytes(b"from somebody")
    with pytest.raises(UserError, match=r"^models/best\.pth is a file that the pipeline did not write"):
        require_own(path)
    path.unlink()
    require_own(path)


def test_a_stage_killed_before_the_exchange_can_run_again() -> None:
    write({"a": "1"})
    part = Path("data/.part-raw")
    with noting(RAW, part):
        part.mkdir()
        (part / "a").write_text("2")
    write({"a": "3"})  # it never came into place
    assert (RAW / "a").read_text() == "3"
    with noting(RAW, part):
        part.mkdir()
        (part / "a").write_text("4")
    shutil.rmtree(RAW)
    part.rename(RAW)  # it did, and nothing else happened
    write({"a": "5"})
    assert (RAW / "a").read_text() == "5"


def test_without_its_notes_a_stage_asks_dvc_and_stops() -> None:
    write({"a": "1"})
    Path("data/.written/data-raw.json").write_text("damaged")
    with pytest.raises(UserError, match="holds 1 file"):
        write({})


def test_what_dvc_can_bring_back_is_replaced() -> None:
    subprocess.run(["git", "init", "--quiet"], check=True)
    with Repo.init() as repo:
        RAW.mkdir(parents=True)
        (RAW / "a").write_text("pulled")
        repo.add(str(RAW))
        write({"a": "2"})
        (RAW / "mine").write_text("pulled, and one more")
        with pytest.raises(UserError, match="holds 1 file"):
            write({})


FORMER = [
    *("data/index/old.csv", "data/scores/old.csv", "data/prepared/train/old.npy", "data/prepared/test/old.csv"),
    *("data/raw/old/frames.csv", "data/prepared/test/own.npy"),  # own is trained on now
]
WANTED = [
    *("data/index/own.csv", "data/scores/own.csv", "data/prepared/train/own.npy", "data/prepared/unseen/own.csv"),
    *("data/raw/own/frames.csv", "data/index/.part-own.csv", "data/notes/mine.txt"),
]


def fill(known: list[str]) -> None:
    """Writes all of them; ``known`` are in dvc.lock."""
    for name in [*FORMER, *WANTED]:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    Path("dvc.lock").write_text("\n".join(hashlib.md5(name.encode()).hexdigest() for name in known))  # noqa: S324


def test_what_no_data_set_needs_is_removed_if_dvc_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    remove_former({"own": "train"})  # of an empty project
    fill(FORMER)
    remove_former({"own": "train"})
    assert sorted(path.as_posix() for path in Path("data").rglob("*") if path.is_file()) == sorted(WANTED)
    assert not Path("data/raw/old").exists()
    out = capsys.readouterr().out
    assert all(f"{Path(name)}" in out for name in FORMER if not name.startswith("data/raw"))
    remove_former({"own": "train"})


@pytest.mark.parametrize("name", FORMER)
def test_what_is_the_users_stops_it_and_stays(name: str) -> None:
    fill([each for each in FORMER if each != name])
    with pytest.raises(UserError, match="the pipeline did not write"):
        remove_former({"own": "train"})
    assert Path(name).read_text() == name
