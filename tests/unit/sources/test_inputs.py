"""The user's own folders and files are linked, and never changed."""

import shutil
from pathlib import Path

import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.sources.inputs import link_inputs
from deepfake_detection.sources.layout import FRAMES


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A user's folder with one frame."""
    (tmp_path / "own" / FRAMES / "Original").mkdir(parents=True)
    (tmp_path / "own" / FRAMES / "Original" / "005_f4.jpg").write_bytes(b"picture")
    return tmp_path / "own"


def test_links_lead_to_the_paths_and_may_change(tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "weights.pth").write_bytes(b"weights")
    monkeypatch.chdir(tmp_path / "project")
    folder = Path("data/inputs")
    assert link_inputs({"frames": str(own), "weights": "../weights.pth", "lists": ""}, folder) == []
    assert (folder / "frames").samefile(own)
    assert (folder / "weights").samefile(tmp_path / "weights.pth")
    assert (folder / "lists").read_text() == "not used\n"
    link_inputs({"frames": "", "weights": str(own), "lists": "../weights.pth"}, folder)
    assert (folder / "frames").read_text() == "not used\n"
    assert not (folder / "frames").is_symlink()
    assert (folder / "weights").samefile(own)
    assert (folder / "lists").samefile(tmp_path / "weights.pth")
    assert [path.read_bytes() for path in own.rglob("*.jpg")] == [b"picture"]
    assert (tmp_path / "weights.pth").read_bytes() == b"weights"


def test_relative_links_are_right_where_data_lies_on_another_disk(
    tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep" / "disk" / "data").mkdir(parents=True)
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "data").symlink_to(tmp_path / "deep" / "disk" / "data")
    monkeypatch.chdir(tmp_path / "project")
    link_inputs({"frames": "../own"}, Path("data/inputs"))
    assert Path("data/inputs/frames").samefile(own)


def test_a_path_to_nothing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^data\.local_dir: no file or folder /no/such$"):
        link_inputs({"data.local_dir": "/no/such"}, tmp_path)


def test_folders_that_dvc_does_not_look_into_are_named(tmp_path: Path, own: Path) -> None:
    shutil.copytree(own / FRAMES / "Original", tmp_path / "elsewhere")
    (own / FRAMES / "Deepfakes").symlink_to(tmp_path / "elsewhere")
    assert link_inputs({"frames": str(own), "weights": ""}, tmp_path / "inputs") == [tmp_path / "elsewhere"]
