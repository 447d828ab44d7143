"""A user's own data, and a user's mistakes, with the real commands: a mistake is one line and exit status 1."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from deepfake_detection.sources.drawn.drawing import generate
from stages import index, run
from tests.pipeline.conftest import Project, make_project
from tests.support.kaggle_server import Kaggle, zipped
from tests.support.miniatures import faceforensics
from tests.support.permissions import open_folder, unprivileged

pytestmark = pytest.mark.slow

OWN: dict[str, Any] = {"path": "../my pictures", "use": "train"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = make_project(tmp_path / "project")
    project.set_params(datasets__embedded__unseen=[])
    return project


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A user's folder in Kaggle's layout, without CSVs."""
    folder = tmp_path / "my pictures"
    generate(folder, ["Original", "Deepfakes"], identities=8, frames=2, size=64, seed=1)
    shutil.rmtree(folder / "CSVs")
    return folder


def own(project: Project, folder: Path | str, **more: Any) -> None:
    """Makes a folder the only data set of a project, as datasets=own does."""
    project.set_params(datasets={"own": {"path": str(folder), "use": "train", **more}})


def frames(project: Project) -> int:
    return len((project.path / "data" / "index" / "own.csv").read_text().splitlines()) - 1


def test_a_folder_of_ones_own_is_left_as_it_is(project: Project, pictures: Path, tmp_path: Path) -> None:
    project.run("dvc", "config", "cache.type", "hardlink")  # DVC makes what is in its cache read-only
    weights = tmp_path / "mine.pth"
    weights.write_bytes(b"weights")
    own(project, pictures)
    project.set_params(model__weights=str(weights), split__train=0.5, split__val=0.25, split__test=0.25)
    assert project.runs("dvc", "repro", "split", "weights")[0] == {"download@own", "index@own", "split", "weights"}
    assert (project.path / "data" / "weights.pth").stat().st_nlink == 2
    for file in [weights, *pictures.rglob("*.*")]:
        assert (file.stat().st_nlink, file.stat().st_mode & 0o777) == (1, 0o644)
    names = sorted(pictures.rglob("*.jpg"))
    for name in names:
        brought = project.path / "data" / "raw" / "own" / "files" / name.relative_to(pictures)
        assert brought.read_bytes() == name.read_bytes()
    assert len(names) == frames(project) == 32


def test_videos_of_ones_own_stay_where_they_are(project: Project, tmp_path: Path) -> None:
    faceforensics.make(tmp_path / "films", pairs=2)
    videos = {path: path.read_bytes() for path in (tmp_path / "films").rglob("*.mp4")}
    project.run("dvc", "config", "cache.type", "hardlink")
    own(project, tmp_path / "films", real=["Original"], fake=["Deepfakes"])
    project.set_params(video__frames=2)
    stages = {"download@own", "index@own", "prepare@own"}
    assert project.runs("dvc", "repro", "prepare@own")[0] == stages
    brought = {path.name for path in (project.path / "data" / "raw" / "own").rglob("*") if path.is_file()}
    assert brought == {"frames.csv", "rejected.csv", "source.json", "videos.csv"}
    cached = {path.read_bytes() for path in (project.path / ".dvc" / "cache").rglob("*") if path.is_file()}
    for path, content in videos.items():
        assert (path.read_bytes(), path.stat().st_nlink, path.stat().st_mode & 0o777) == (content, 1, 0o644)
        assert content not in cached
    assert frames(project) == 16
    assert not list((project.path / "data").glob(".part-*/own"))
    unused, used = (next(path for path in videos if path.name.startswith(name)) for name in ("01_02", "000_001"))
    unused.write_bytes(videos[used])
    assert project.runs("dvc", "repro", "prepare@own")[0] == {"download@own"}
    used.write_bytes(videos[unused])
    assert project.runs("dvc", "repro", "prepare@own")[0] == stages


def test_what_is_no_file_among_ones_own_is_rejected(project: Project, pictures: Path) -> None:
    frames_of = pictures / "FF++C32-Frames" / "Original"
    os.mkfifo(frames_of / "900_f0.jpg")
    (frames_of / "901_f0.jpg").symlink_to("nowhere.jpg")
    project.run(
        *("dvc", "exp", "run", "-S", "datasets=own", "-S", "datasets.own.path=../my pictures"),
        *("-S", "index.max_rejected=0.5", "index@own"),
    )
    rejected = pd.read_csv(project.path / "data" / "rejected" / "own.csv")
    assert dict(zip(rejected["path"].str[-10:], rejected["reason"], strict=True)) == {
        "900_f0.jpg": "not a regular file",
        "901_f0.jpg": "link that leads nowhere",
    }
    assert frames(project) == 32


def test_frames_lists_and_weights_that_change_are_seen(project: Project, pictures: Path, tmp_path: Path) -> None:
    own(project, "../my pictures")
    stages = {"download@own", "index@own"}
    assert project.runs("dvc", "repro", "index@own")[0] == stages
    assert project.runs("dvc", "repro", "index@own") == (set(), set())
    first, second, third = sorted((pictures / "FF++C32-Frames" / "Deepfakes").iterdir())[:3]
    content = bytearray(first.read_bytes())
    content[-3] ^= 1
    first.write_bytes(content)  # as long as before
    second.unlink()
    assert project.runs("dvc", "repro", "index@own")[0] == stages
    assert frames(project) == 31
    (pictures / "CSVs").mkdir()
    names = sorted(path.name for path in third.parent.iterdir() if path != third)
    (pictures / "CSVs" / "Deepfakes.csv").write_text("filename,label\n" + "".join(f"{name},fake\n" for name in names))
    project.set_params(index__max_rejected=0.5)
    assert project.runs("dvc", "repro", "index@own")[0] == stages
    assert frames(project) == 30
    mine = tmp_path / "mine.pth"
    project.set_params(model__weights=str(mine))
    for weights in (b"first", b"second"):
        mine.write_bytes(weights)
        assert project.runs("dvc", "repro", "weights")[0] == {"weights"}
        assert (project.path / "data" / "weights.pth").read_bytes() == weights


def test_another_data_set_and_back(project: Project, pictures: Path) -> None:
    before = (project.path / "params.yaml").read_text()
    project.run("dvc", "repro", "prepare@embedded", "prepare@embedded_shifted", "split")
    own(project, pictures)
    project.run("dvc", "repro", "prepare@own", "split")
    assert {path.name for path in (project.path / "data" / "raw").iterdir() if path.is_dir()} == {"own"}
    prepared = project.path / "data" / "prepared"
    assert {path.name for path in prepared.rglob("*.npy")} == {"own.npy"}
    (project.path / "data" / "raw" / "former").mkdir()
    (project.path / "data" / "raw" / "former" / "mine.jpg").write_bytes(b"the only copy")
    line = project.stage_fails_with_one_line("split")
    assert "data/raw/former holds 1 file" in line
    shutil.rmtree(project.path / "data" / "raw" / "former")
    (project.path / "params.yaml").write_text(before)
    project.run("dvc", "repro", "prepare@embedded", "prepare@embedded_shifted", "split")
    assert {path.name for path in prepared.rglob("*.npy")} == {"embedded.npy", "embedded_shifted.npy"}


def test_pictures_put_where_the_pipeline_writes_stay(project: Project, pictures: Path) -> None:
    raw = project.path / "data" / "raw" / "embedded"
    shutil.copytree(pictures, raw)
    before = {path: path.read_bytes() for path in raw.rglob("*.jpg")}
    said = project.run("dvc", "repro", "download@embedded", succeed=False).stdout
    assert "error: data/raw/embedded holds 32 files, e.g. data/raw/embedded/FF++C32-Frames/Deepfakes/" in said
    own(project, "data/raw/embedded")
    line = project.stage_fails_with_one_line("download@own")
    assert "datasets.own: path: data/raw/embedded and data/" in line
    assert {path: path.read_bytes() for path in raw.rglob("*") if path.is_file()} == before


def test_recordings_beside_ones_own_pictures_join_groups(project: Project, pictures: Path) -> None:
    conversion = {f"{n:03d}": f"recording-{n // 2} {n % 2}" for n in range(8)}
    (pictures / "conversion_dict.json").write_text(json.dumps(conversion))
    own(project, pictures)
    project.set_params(split__strategy="frame")
    for stage in ("download@own", "index@own", "split"):
        project.stage(stage)
    # four pairs of sequences, and the four recordings join some of the pairs
    report = json.loads((project.path / "metrics" / "split.json").read_text())
    assert (report["recordings_known"], report["recordings"]) == (True, 4)
    assert report["groups"] < 4
    assert report["leaked_recordings"] > 0


def test_official_lists_divide_and_are_watched(project: Project, tmp_path: Path) -> None:
    project.run("dvc", "repro", "index@embedded", "index@embedded_shifted")
    names = (project.path / "data" / "raw" / "embedded").rglob("Deepfakes/*_f0.jpg")
    pairs = sorted({tuple(sorted(name.stem.split("_")[:2])) for name in names})
    lists = tmp_path / "lists"
    lists.mkdir()
    for name, chosen in (("train", pairs[:2]), ("val", pairs[2:3]), ("test", pairs[3:])):
        (lists / f"{name}.json").write_text(json.dumps(chosen))
    project.set_params(split__strategy="official", split__official_dir=str(lists))
    assert project.runs("dvc", "repro", "split")[0] == {"split"}
    splits = pd.read_csv(project.path / "data" / "splits.csv").query("dataset == 'embedded'")
    assert splits["split"].value_counts().to_dict() == {"train": 16, "val": 8, "test": 8}
    (lists / "val.json").write_text(json.dumps([["000", "x"]]))
    said = project.run("dvc", "repro", "split", succeed=False).stdout
    assert f"error: {lists / 'val.json'} is not a list of pairs" in said


def test_kaggle_brings_the_wanted_categories_and_records_the_version(
    project: Project, tmp_path: Path, kaggle_server: Kaggle
) -> None:
    drawn = tmp_path / "drawn"
    generate(drawn, ["Original", "Deepfakes", "FaceSwap"], identities=2, frames=1, size=64, seed=1)
    files = {path.relative_to(drawn).as_posix(): path.read_bytes() for path in drawn.rglob("*") if path.is_file()}
    kaggle_server.archive = kaggle_server.md5_of = zipped(files)
    own(project, "none", kaggle="owner/name", real=["Original"], fake=["Deepfakes"])
    project.run("python", "-m", "stages.download", "own")
    raw = project.path / "data" / "raw" / "own"
    origin = {"source": "kaggle", "handle": "owner/name", "version": 7, "layout": "kaggle"}
    assert json.loads((raw / "source.json").read_text()) == origin
    found = {path.relative_to(raw / "files").as_posix() for path in (raw / "files").rglob("*.jpg")}
    assert found == {name for name in files if name.endswith(".jpg") and "FaceSwap" not in name}
    kaggle_server.refuses = 403
    own(project, "none", kaggle="owner/other")
    assert "Kaggle refuses owner/other (403)" in project.fails_with_one_line("python", "-m", "stages.download", "own")


@pytest.mark.parametrize(
    ("changes", "stage", "words"),
    [
        ({"datasets": {"own": OWN | {"path": "no/such"}}}, "download@own", "no/such: no such file or folder"),
        (
            {
                "datasets": {
                    "own": {"path": "../my pictures", "use": "train", "real": ["Original"], "fake": ["FaceSwap"]}
                }
            },
            "download@own",
            "no category FaceSwap (there is Deepfakes, Original)",
        ),
        ({"model__weights": "my_model.pth"}, "weights", "model.weights: my_model.pth is no file"),
        ({}, "download@other", "datasets has no other, only embedded, embedded_shifted"),
        ({}, "split", "dvc repro"),
        ({}, "prepare@embedded", "dvc repro"),
        ({}, "train", "data/prepared/train holds no prepared frames"),
        ({}, "evaluate", "dvc repro"),
    ],
)
@pytest.mark.usefixtures("pictures")
def test_a_mistake_is_one_line(project: Project, changes: dict[str, Any], stage: str, words: str) -> None:
    project.set_params(**changes)
    assert words in project.stage_fails_with_one_line(stage)


def test_unknown_parameter_stops_dvc_with_its_name(project: Project) -> None:
    project.set_params(train__momentum=0.9)
    done = project.run("dvc", "repro", succeed=False)
    assert done.returncode != 0
    assert "error: params.yaml: train.momentum: unknown parameter" in done.stdout
    assert "Traceback" not in done.stdout


def test_too_few_identities_to_split(project: Project) -> None:
    project.set_params(datasets__embedded__drawn__identities=4)
    for stage in ("download@embedded", "index@embedded", "download@embedded_shifted", "index@embedded_shifted"):
        project.stage(stage)
    assert "too few" in project.stage_fails_with_one_line("split")


def test_an_output_that_cannot_be_written(project: Project) -> None:
    project.stage("download@embedded")
    (project.path / "data" / "index" / "embedded.csv").mkdir(parents=True)  # root may write all but over a folder
    assert "data/index/embedded.csv: Is a directory" in project.stage_fails_with_one_line("index@embedded")


def test_a_folder_that_may_not_be_written(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.stage("download@embedded")
    with open_folder() as folder:
        shutil.copytree(project.path / "data", folder / "data")
        shutil.copy(project.path / "params.yaml", folder)
        monkeypatch.chdir(folder)
        with unprivileged(), pytest.raises(SystemExit, match=r"^error: data/index: Permission denied; check"):
            run(index.main, ["embedded"])
        assert not (folder / "data" / "index").exists()
