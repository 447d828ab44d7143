"""An output is the old one or the new one, whole, whatever happens in between."""

import errno
import math
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing, write_csv, write_json
from tests.support.disks import file_size_limit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which ``file`` and ``folder/inside`` are the earlier outputs."""
    (tmp_path / "out" / "folder").mkdir(parents=True)
    (tmp_path / "out" / "file").write_text("old")
    (tmp_path / "out" / "folder" / "inside").write_text("old")
    return tmp_path / "out"


def content(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


REPLACED = {"file": "old", "folder/inside": "old"}


def renew(file: Path, folder: Path) -> None:
    file.write_text("new")
    folder.mkdir()
    (folder / "other").write_text("new")


def test_a_file_and_a_folder_are_replaced_when_both_are_written(folder: Path) -> None:
    with replacing(folder / "file", folder / "folder") as (file, inside):
        assert {file.parent, inside.parent} == {folder}
        renew(file, inside)
        assert content(folder).items() >= REPLACED.items()
    assert content(folder) == {"file": "new", "folder/other": "new"}


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(1)])
def test_what_fails_leaves_the_old_and_nothing_else(folder: Path, error: BaseException) -> None:
    def fail() -> None:
        with replacing(folder / "file", folder / "folder") as (file, inside):
            renew(file, inside)
            raise error

    with pytest.raises(type(error)):
        fail()
    assert content(folder) == REPLACED


def test_neither_of_two_changes_when_the_second_is_not_written(folder: Path) -> None:
    outputs = replacing(folder / "file", folder / "folder" / "other")
    with pytest.raises(FileNotFoundError, match="folder/other"), outputs as (file, _):
        file.write_text("new")
    assert content(folder) == REPLACED


KILLED = """
import os, signal, sys
from pathlib import Path
from deepfake_detection.common.files import replacing
with replacing(*map(Path, sys.argv[1:])) as (file, folder):
    file.write_text("half")
    folder.mkdir()
    (folder / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_leaves_the_old_and_its_leftovers_are_replaced(folder: Path) -> None:
    paths = folder / "file", folder / "folder"
    done = subprocess.run([sys.executable, "-c", KILLED, *map(str, paths)], check=False)
    assert done.returncode == -signal.SIGKILL
    left = content(folder)
    assert left.items() >= REPLACED.items()
    assert all(name.startswith(".part-") for name in left.keys() - REPLACED)
    with replacing(*paths) as (file, inside):
        renew(file, inside)
    assert content(folder) == {"file": "new", "folder/other": "new"}


@pytest.mark.parametrize("name", [".part-file", "file"])  # planted, and as DVC may keep an output
def test_a_link_is_replaced_not_written_through(folder: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "elsewhere").write_text("old")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / "elsewhere")
    write_json(folder / "file", 1)
    assert (tmp_path / "elsewhere").read_text() == "old"
    assert (folder / "file").read_text() == "1\n"


def test_a_new_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write_json(tmp_path / "new" / "file", 1)
    assert (tmp_path / "new" / "file").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_full_disk_names_the_output_not_the_temporary_file(folder: Path) -> None:
    table = pd.DataFrame({"a": range(100_000)})
    with file_size_limit(1000), pytest.raises(OSError, match=r"/out/file'$") as caught:
        write_csv(folder / "file", table)
    assert caught.value.errno == errno.EFBIG

    def fill() -> None:
        with replacing(folder / "folder") as (part,):
            part.mkdir()
            (part / "fits").write_text("new")
            (part / "too large").write_bytes(bytes(10_000))

    with file_size_limit(1000), pytest.raises(OSError, match=r"/out/folder'$"):
        fill()
    assert content(folder) == REPLACED


def test_an_error_of_another_file_keeps_its_name(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match="'elsewhere'"), replacing(folder / "file"):
        Path("elsewhere").read_text()


def test_a_number_that_json_lacks_is_one_line(folder: Path) -> None:
    with pytest.raises(UserError, match=r"file: not written, a number"):
        write_json(folder / "file", {"loss": math.nan})
    assert content(folder) == REPLACED
