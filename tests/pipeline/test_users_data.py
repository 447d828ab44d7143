"""A user's own data, and a user's mistakes, with the real commands: a mistake is one line and exit status 1."""

import json
import shutil
from pathlib import Path

import pytest

from deepfake_detection.common.tables import read_index
from deepfake_detection.index.groups import identity_groups
from deepfake_detection.sources.drawn.drawing import generate
from stages import index, run
from tests.pipeline.conftest import Project, make_project
from tests.support.kaggle_server import Kaggle, zipped
from tests.support.permissions import open_folder, unprivileged
from tests.support.sequences import SEQUENCES, made_up_conversion

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = make_project(tmp_path / "project")
    project.set_params(data__categories__unseen=[])
    return project


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A user's folder without CSVs."""
    folder = tmp_path / "my pictures"
    generate(folder, ["Original", "Deepfakes"], identities=8, frames=2, size=64, seed=1)
    shutil.rmtree(folder / "CSVs")
    return folder


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """A folder for split.official_dir, so that nobody is asked for the recordings."""
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "conversion_dict.json").write_text(json.dumps(made_up_conversion(0)))
    return folder


def test_a_folder_of_ones_own_is_left_as_it_is(project: Project, pictures: Path, lists: Path) -> None:
    project.run("dvc", "config", "cache.type", "hardlink")  # DVC makes what is in its cache read-only
    (lists / "mine.pth").write_bytes(b"weights")
    project.set_params(data__source="local", data__local_dir=str(pictures), model__weights=str(lists / "mine.pth"))
    project.set_params(split__official_dir=str(lists), data__categories__unseen=["FaceSwap"])
    assert project.stages_run("dvc", "repro", "index") == ["inputs", "download", "index"]
    assert (project.path / "data" / "weights" / "mine.pth").stat().st_nlink == 2
    for file in [*lists.iterdir(), *pictures.rglob("*.*")]:
        assert (file.stat().st_nlink, file.stat().st_mode & 0o777) == (1, 0o644)
    frames = sorted(pictures.rglob("*.jpg"))
    assert len(frames) == 32
    for frame in frames:
        laid_out = project.path / "data" / "raw" / frame.relative_to(pictures)
        assert laid_out.read_bytes() == frame.read_bytes()
    assert len((project.path / "data" / "index.csv").read_text().splitlines()) == 33


def test_pictures_put_where_the_pipeline_writes_stay(project: Project, pictures: Path) -> None:
    raw = project.path / "data" / "raw"
    shutil.copytree(pictures, raw)
    before = {path: path.read_bytes() for path in raw.rglob("*.jpg")}
    project.set_params(data__source="local", data__local_dir="data/raw")
    said = project.run("dvc", "repro", "download", succeed=False).stdout
    assert "error: data.local_dir: data/raw leads into data/, where the pipeline removes and writes files" in said
    project.set_params(data__source="embedded")
    said = project.run("dvc", "repro", "download", succeed=False).stdout
    assert "Running stage 'download'" in said
    assert "error: data/raw holds 32 files, e.g. data/raw/FF++C32-Frames/Deepfakes/" in said
    assert {path: path.read_bytes() for path in raw.rglob("*") if path.is_file()} == before


def test_recordings_beside_ones_own_pictures_join_groups(project: Project, pictures: Path) -> None:
    conversion = {f"{n:03d}": f"recording-{n // 2} {n % 2}" for n in range(8)}
    (pictures / "conversion_dict.json").write_text(json.dumps(conversion))
    project.set_params(data__source="local", data__local_dir=str(pictures))
    project.set_params(split__train=0.5, split__val=0.25, split__test=0.25)
    for stage in ("download", "index"):
        project.run("python", "-m", f"stages.{stage}")
    recordings = json.loads((project.path / "data" / "raw" / "recordings.json").read_text())
    assert recordings == {video: sequence.split()[0] for video, sequence in conversion.items()}
    # four pairs of sequences, and the four recordings join some of the pairs
    index = read_index(project.path / "data" / "index.csv")
    assert identity_groups(index, recordings).nunique() < identity_groups(index).nunique() == 4
    project.set_params(split__strategy="frame")
    project.run("python", "-m", "stages.split")
    report = json.loads((project.path / "metrics" / "split.json").read_text())
    assert (report["recordings_known"], report["recordings"]) == (True, 4)
    assert report["groups"] == identity_groups(index, recordings).nunique()
    assert report["leaked_recordings"] > 0


def test_kaggle_brings_the_wanted_categories_and_records_the_version(
    project: Project, tmp_path: Path, kaggle_server: Kaggle, lists: Path
) -> None:
    drawn = tmp_path / "drawn"
    generate(drawn, ["Original", "Deepfakes", "FaceSwap"], identities=2, frames=1, size=64, seed=1)
    files = {path.relative_to(drawn).as_posix(): path.read_bytes() for path in drawn.rglob("*") if path.is_file()}
    kaggle_server.archive = kaggle_server.md5_of = zipped(files)
    project.set_params(data__source="kaggle", data__kaggle="owner/name", split__official_dir=str(lists))
    project.run("python", "-m", "stages.download")

    raw = project.path / "data" / "raw"
    found = {path.relative_to(raw).as_posix(): path.read_bytes() for path in raw.rglob("*") if path.is_file()}
    assert json.loads(found.pop("source.json")) == {"source": "kaggle", "handle": "owner/name", "version": 7}
    assert len(json.loads(found.pop("recordings.json"))) == SEQUENCES
    assert found == {name: content for name, content in files.items() if "FaceSwap" not in name}


def test_kaggle_refusal_is_one_line(project: Project, kaggle_server: Kaggle, lists: Path) -> None:
    kaggle_server.refuses = 403
    project.set_params(data__source="kaggle", data__kaggle="owner/name", split__official_dir=str(lists))
    assert "Kaggle refuses owner/name (403)" in project.fails_with_one_line("python", "-m", "stages.download")


def test_local_folder_that_is_not_there(project: Project) -> None:
    project.set_params(data__source="local", data__local_dir="no/such/folder")
    line = project.fails_with_one_line("python", "-m", "stages.download")
    assert "no/such/folder: no such file or folder" in line
    assert "data.local_dir" in line


def test_category_that_is_not_there(project: Project, pictures: Path) -> None:
    project.set_params(data__source="local", data__local_dir=str(pictures), data__categories__fake=["FaceSwap"])
    line = project.stage_fails_with_one_line("download")
    assert "no category FaceSwap (there is Deepfakes, Original)" in line


def test_unknown_parameter_stops_dvc_with_its_name(project: Project) -> None:
    project.set_params(train__momentum=0.9)
    done = project.run("dvc", "repro", succeed=False)
    assert done.returncode != 0
    assert "error: params.yaml: train.momentum: unknown parameter" in done.stdout
    assert "Traceback" not in done.stdout


def test_weights_that_are_not_there(project: Project) -> None:
    project.set_params(model__weights="my_model.pth")
    line = project.stage_fails_with_one_line("download")
    assert "model.weights: no file my_model.pth" in line


def test_too_few_identities_to_split(project: Project) -> None:
    project.set_params(data__embedded__identities=4)
    project.run("python", "-m", "stages.download")
    project.run("python", "-m", "stages.index")
    assert "too few" in project.stage_fails_with_one_line("split")


@pytest.mark.parametrize("stage", ["split", "prepare", "train", "evaluate"])
def test_a_stage_run_before_its_time_names_what_it_lacks(project: Project, stage: str) -> None:
    line = project.stage_fails_with_one_line(stage)
    assert "dvc repro" in line


def test_an_output_that_cannot_be_written(project: Project) -> None:
    project.run("python", "-m", "stages.download")
    (project.path / "data" / "index.csv").mkdir()  # root may write anywhere but over a folder
    line = project.stage_fails_with_one_line("index")
    assert "data/index.csv: Is a directory" in line


def test_a_folder_that_may_not_be_written(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.run("python", "-m", "stages.download")
    with open_folder() as folder:
        shutil.copytree(project.path / "data", folder / "data")
        shutil.copy(project.path / "params.yaml", folder)
        monkeypatch.chdir(folder)
        with unprivileged(), pytest.raises(SystemExit, match=r"^error: data/index\.csv: Permission denied; check"):
            run(index.main)
        assert not (folder / "data" / "index.csv").exists()
