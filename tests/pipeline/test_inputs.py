"""A plain `dvc repro` sees that the user's own frames, weights or lists have changed."""

import json
import shutil
from pathlib import Path

import pytest

from deepfake_detection.network.model import build_model
from deepfake_detection.network.weights import save_tensors
from deepfake_detection.sources.drawn.drawing import generate
from tests.pipeline.conftest import Project, make_project
from tests.support.miniatures import folders
from tests.support.miniatures.drawing import film

pytestmark = pytest.mark.slow


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A user's folder with frames in two categories, a list for one of them, and more."""
    folder = tmp_path / "my pictures"
    generate(folder, ["Original", "Deepfakes"], identities=8, frames=2, size=64, seed=1)
    (folder / "CSVs" / "Deepfakes.csv").unlink()
    (folder / "videos").mkdir()
    return folder


@pytest.fixture
def project(tmp_path: Path, own: Path) -> Project:
    """A project that has indexed the user's frames."""
    project = make_project(tmp_path / "project")
    project.set_params(data__categories__unseen=[], data__source="local", data__local_dir=str(own))
    assert project.stages_run("dvc", "repro", "index") == ["inputs", "download", "index"]
    return project


def frames(project: Project) -> int:
    return len((project.path / "data" / "index.csv").read_text().splitlines()) - 1


def test_frames_that_are_added_replaced_or_removed(project: Project, own: Path, tmp_path: Path) -> None:
    assert project.stages_run("dvc", "repro", "index") == []
    assert frames(project) == 32
    fakes = own / "FF++C32-Frames" / "Deepfakes"
    fakes.symlink_to(fakes.rename(tmp_path / "fakes"))
    first, second = sorted(fakes.iterdir())[:2]
    first.symlink_to(first.rename(tmp_path / "frame.jpg"))
    assert project.stages_run("dvc", "repro", "index") == ["download"]

    other = tmp_path / "other"
    generate(other, ["Deepfakes"], identities=8, frames=3, size=64, seed=1)
    (added,) = other.rglob(first.name.replace("_f0", "_f2"))
    shutil.copy(added, fakes)
    assert "modified:           data/inputs/linked/1" in project.run("dvc", "status", "download").stdout
    assert project.stages_run("dvc", "repro", "index") == ["download", "index"]
    assert frames(project) == 33

    second.unlink()
    shutil.copy(added, second)  # a new file under an old name
    project.run("dvc", "repro", "download")
    laid_out = project.path / "data" / "raw" / "FF++C32-Frames" / "Deepfakes"
    assert (laid_out / second.name).read_bytes() == added.read_bytes()

    content = bytearray(first.read_bytes())
    content[-3] ^= 1
    first.write_bytes(content)  # in place, through the links, and as long as before
    assert project.stages_run("dvc", "repro", "download") == ["download"]
    assert (laid_out / first.name).read_bytes() == content

    (fakes / added.name).unlink()
    second.unlink()
    assert project.stages_run("dvc", "repro", "download") == ["download"]
    assert not (laid_out / second.name).exists()

    shutil.copy(project.path / "params.yaml", own / "videos")  # nothing that the pipeline reads
    first.touch()
    assert project.stages_run("dvc", "repro", "download") == []
    assert "up to date" in project.run("dvc", "status", "download").stdout


def test_a_list_that_is_added(project: Project, own: Path) -> None:
    names = sorted(path.name for path in (own / "FF++C32-Frames" / "Deepfakes").iterdir())
    (own / "CSVs" / "Deepfakes.csv").write_text("filename,label\n" + "".join(f"{name},fake\n" for name in names))
    assert project.stages_run("dvc", "repro", "download") == ["download"]
    assert (project.path / "data" / "raw" / "CSVs" / "Deepfakes.csv").exists()
    (own / "conversion_dict.json").write_text('{"000": "interview 0"}')
    assert project.stages_run("dvc", "repro", "download") == ["download"]
    assert json.loads((project.path / "data" / "raw" / "recordings.json").read_text()) == {"000": "interview"}


def test_a_video_that_is_added(tmp_path: Path) -> None:
    folders.make(tmp_path / "own")
    project = make_project(tmp_path / "project")
    project.set_params(data__source="local", data__local_dir=str(tmp_path / "own"), data__frames=1)
    project.set_params(data__categories={"real": ["real"], "fake": ["fake"], "unseen": []})
    assert project.stages_run("dvc", "repro", "index") == ["inputs", "download", "index"]
    assert frames(project) == 10
    (tmp_path / "own" / "real" / ".DS_Store").write_text("a system's own")
    assert project.stages_run("dvc", "repro", "index") == []
    film(tmp_path / "own" / "real" / "new.mp4", 99, False)
    assert project.stages_run("dvc", "repro", "index") == ["download", "index"]
    assert frames(project) == 11


def test_weights_that_are_replaced(tmp_path: Path) -> None:
    project, mine = make_project(tmp_path / "project"), tmp_path / "mine.pth"
    mine.write_bytes(b"first")
    project.set_params(model__weights=str(mine))
    assert project.stages_run("dvc", "repro", "download") == ["inputs", "download"]
    mine.write_bytes(b"second")
    assert project.stages_run("dvc", "repro", "download") == ["download"]
    assert (project.path / "data" / "weights" / "mine.pth").read_bytes() == b"second"
    assert project.stages_run("dvc", "repro", "download") == []


def test_official_lists_that_are_changed(tmp_path: Path) -> None:
    lists = tmp_path / "lists"
    lists.mkdir()
    for number, name in enumerate(("train", "val", "test")):
        (lists / f"{name}.json").write_text(json.dumps([[f"{number:03d}", f"{number + 3:03d}"]]))
    project = make_project(tmp_path / "project")
    project.set_params(split__strategy="official", split__official_dir=str(lists))
    assert project.stages_run("dvc", "repro", "download") == ["inputs", "download"]
    (lists / "notes.txt").write_text("not read")
    assert project.stages_run("dvc", "repro", "download") == []
    (lists / "val.json").write_text(json.dumps([["001", "007"]]))
    assert project.stages_run("dvc", "repro", "download") == ["download"]


def test_another_folder_then_none(project: Project, own: Path, tmp_path: Path) -> None:
    shutil.copytree(own, tmp_path / "copy")
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message", "My pictures")
    project.set_params(data__local_dir="../copy")
    assert project.stages_run("dvc", "repro", "download") == ["inputs", "download"]
    next((tmp_path / "copy" / "FF++C32-Frames" / "Original").iterdir()).unlink()
    assert project.stages_run("dvc", "repro", "download") == ["download"]
    project.run("git", "checkout", "--quiet", ".")  # back to the first folder
    project.run("dvc", "checkout", "download", "index")
    project.run("dvc", "repro", "download")
    next((own / "FF++C32-Frames" / "Original").iterdir()).unlink()
    assert project.stages_run("dvc", "repro", "download") == ["download"]

    shutil.rmtree(own)
    project.set_params(data__source="embedded")
    assert project.stages_run("dvc", "repro", "download") == ["inputs", "download"]
    assert "up to date" in project.run("dvc", "status", "download").stdout


def test_a_folder_that_is_gone_is_named(project: Project, own: Path) -> None:
    own.rename(own.with_name("elsewhere"))
    done = project.run("dvc", "repro", "download", succeed=False)
    assert done.returncode != 0
    assert "No such file or directory" in done.stdout
    assert "data/inputs/data.local_dir" in done.stdout
    line = project.stage_fails_with_one_line("inputs")  # which `make repro` runs first
    assert line == f"error: data.local_dir: no file or folder {own}"
    assert (project.path / "data" / "raw" / "FF++C32-Frames").is_dir()  # what was laid out is still there


def test_unused_files_beside_the_weights_do_not_train_again(built: Project, tmp_path: Path) -> None:
    project, mine = built, tmp_path / "mine.pth"
    weights = build_model("efficientnet_b0", 0.2).efficientnet.state_dict()
    save_tensors(weights, mine)
    project.set_params(model__weights=str(mine))
    project.run("dvc", "repro", "train")
    by_hand = project.path / "data" / "weights" / "efficientnet_b7_lukemelas-c5b4e57e.pth"
    by_hand.write_bytes(b"for later")
    assert "train" not in project.stages_run("dvc", "repro", "train")
    assert by_hand.read_bytes() == b"for later"
    save_tensors(weights | {"classifier.1.bias": weights["classifier.1.bias"] + 1}, mine)
    assert project.stages_run("dvc", "repro", "download") == ["download"]
    assert "modified:           data/weights/source.json" in project.run("dvc", "status", "train").stdout
