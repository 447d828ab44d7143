"""The user's own folders and files are linked, and never changed."""

import shutil
from pathlib import Path

import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.sources.inputs import LINKED, WHOLE, link_inputs
from deepfake_detection.sources.layout import FRAMES, LISTS


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


def test_categories_that_are_links_have_links_of_their_own(tmp_path: Path, own: Path) -> None:
    for number in range(LINKED + 1):
        shutil.copytree(own / FRAMES / "Original", tmp_path / f"elsewhere-{number}")
        (own / FRAMES / f"Fakes-{number}").symlink_to(tmp_path / f"elsewhere-{number}")
    assert link_inputs({"frames": str(own), "weights": ""}, tmp_path / "inputs") == [tmp_path / f"elsewhere-{LINKED}"]
    for number in range(LINKED):
        assert (tmp_path / "inputs" / "linked" / str(number + 1)).samefile(tmp_path / f"elsewhere-{number}")
    for number in range(1, LINKED + 1):
        (own / FRAMES / f"Fakes-{number}").unlink()
    link_inputs({"frames": str(own), "weights": ""}, tmp_path / "inputs")
    assert (tmp_path / "inputs" / "linked" / "1").samefile(tmp_path / "elsewhere-0")
    assert (tmp_path / "inputs" / "linked" / "2").read_text() == "not used\n"


@pytest.mark.parametrize("way", ["", "link", "up", "through", "lists"])
def test_what_the_pipeline_writes_is_no_source(
    tmp_path: Path, own: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = tmp_path / "data" / "raw"
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    path = {"": "data/raw", "link": "linked", "up": "own/../data/raw", "through": "own", "lists": "own"}[way]
    if way in ("through", "lists"):
        (own / LISTS).mkdir()
        (own / LISTS).rename(raw) if way == "lists" else (own / FRAMES / "Original").rename(raw)
        (own / (LISTS if way == "lists" else f"{FRAMES}/Original")).symlink_to(raw)
    else:
        shutil.copytree(own, raw)
        Path("linked").symlink_to(raw)
    with pytest.raises(UserError, match=rf"^data\.local_dir: {path} leads.* into data/, where the pipeline removes"):
        link_inputs({"data.local_dir": path}, Path("inputs"), [Path("data")])
    assert not Path("inputs").exists()


def test_a_folder_in_another_layout_is_linked_whole_and_must_not_hold_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project" / "data").mkdir(parents=True)
    (tmp_path / "videos" / "real").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "videos" / "real" / "more").symlink_to(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path / "project")
    name = f"{WHOLE}/data.local_dir"
    assert link_inputs({"data.local_dir": "", name: "../videos"}, Path("data/inputs"), [Path("data")]) == []
    assert Path("data/inputs", name).samefile(tmp_path / "videos")
    assert Path("data/inputs/linked/1").samefile(tmp_path / "elsewhere")
    assert Path("data/inputs/data.local_dir").read_text() == "not used\n"
    with pytest.raises(UserError, match=r"^data\.local_dir: \.\. holds data/, where the pipeline writes files: move"):
        link_inputs({name: ".."}, Path("data/inputs"), [Path("data")])
    with pytest.raises(UserError, match=r"^data\.local_dir: no file or folder /no/such$"):
        link_inputs({name: "/no/such"}, Path("data/inputs"))
