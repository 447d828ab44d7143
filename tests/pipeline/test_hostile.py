"""Hostile files and full disks, with the real commands: one line, nothing run, the earlier output whole."""

import pickle
import shutil
import struct
import zlib
from pathlib import Path

import pytest

from deepfake_detection.network.model import build_model
from deepfake_detection.sources.layouts.kaggle import FRAMES
from stages import evaluate, run
from tests.pipeline.conftest import Project, make_project
from tests.support.checkpoints import save_checkpoint, sidecar
from tests.support.disks import file_size_limit
from tests.support.kaggle_server import Kaggle, zipped
from tests.unit.network.test_model import Bomb
from tests.unit.pictures.test_images import chunk

pytestmark = pytest.mark.slow

LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
module, sys.argv[1:] = sys.argv[1], sys.argv[3:]
runpy.run_module(module, run_name="__main__")
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with all that comes before training, and a checkpoint that was not trained; not to be changed."""
    project = make_project(tmp_path_factory.mktemp("prepared"))
    project.set_params(datasets__embedded__unseen=[])
    sets = ("embedded", "embedded_shifted")
    for stage in ("download", "index"):
        for name in sets:
            project.stage(f"{stage}@{name}")
    for stage in ("split", "prepare@embedded", "prepare@embedded_shifted"):
        project.stage(stage)
    checkpoint = project.path / "models" / "best_model_efficientnet_b0.pth"
    save_checkpoint(checkpoint, build_model("efficientnet_b0", 0.2), sidecar())
    return project


@pytest.fixture
def project(tmp_path: Path, prepared: Project) -> Project:
    shutil.copytree(prepared.path, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project")


def huge_png(side: int) -> bytes:
    """A whole black square of one bit a pixel, row by row."""
    deflate = zlib.compressobj(1)
    rows = [deflate.compress(bytes(1 + side // 8)) for _ in range(side)]
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", b"".join(rows) + deflate.flush()), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in parts)


def outputs(project: Project) -> dict[str, bytes]:
    folders = [project.path / name for name in ("data", "models", "metrics")]
    return {str(path): path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("stage", "output", "limit"),
    [("index", "data/index/embedded.csv", 200), ("prepare", "data/prepared/train", 50_000)],
)
def test_a_full_disk_names_the_output_and_leaves_the_earlier_one(
    project: Project, stage: str, output: str, limit: int
) -> None:
    before = outputs(project)
    line = project.fails_with_one_line("python", "-c", LIMITED, f"stages.{stage}", str(limit), "embedded")
    assert line == f"error: {output}: File too large; check free disk space and limits"
    assert outputs(project) == before


@pytest.mark.usefixtures("capsys")  # else the limit would bind what the stage prints, too: into a file of pytest's
def test_a_full_disk_leaves_earlier_predictions(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("predict@embedded", "predict@embedded_shifted"):
        project.stage(name)
    (project.path / "data" / "predictions.csv").write_text("earlier")
    before = outputs(project)
    monkeypatch.chdir(project.path)
    full = r"^error: data/predictions\.csv: File too large; check free disk space and limits$"
    with file_size_limit(200), pytest.raises(SystemExit, match=full):
        run(evaluate.main, [])
    assert outputs(project) == before


def test_a_disk_that_is_really_full(project: Project, small_disk: Path) -> None:
    project.set_params(prepare__image_size=128)  # of 32 frames: 1.5 MiB
    shutil.copytree(project.path / "data", small_disk / "data")
    shutil.rmtree(project.path / "data")
    (project.path / "data").symlink_to(small_disk / "data")
    before = outputs(project)
    line = project.fails_with_one_line("python", "-m", "stages.prepare", "embedded")
    assert line == "error: data/prepared/train: No space left on device; check free disk space and limits"
    assert outputs(project) == before


def test_a_pickle_bomb_for_weights(project: Project, tmp_path: Path) -> None:
    mark = tmp_path / "went off"
    (tmp_path / "bomb.pth").write_bytes(pickle.dumps(Bomb(mark), protocol=2))
    project.set_params(model__weights=str(tmp_path / "bomb.pth"))
    project.stage("weights")

    def start() -> None:  # as the training stage does
        build_model("efficientnet_b0", 0.2, project.path / "data" / "weights.pth")

    refusal = r"^error: .*weights\.pth: not a checkpoint of tensors alone \(it holds the .*\); nothing of it was run$"
    with pytest.raises(SystemExit, match=refusal):
        run(start, [])
    assert not mark.exists()


def test_an_archive_with_members_that_lead_out(project: Project, tmp_path: Path, kaggle_server: Kaggle) -> None:
    kaggle_server.archive = zipped({f"{FRAMES}/Original/000_f0.jpg": b"x", f"{'../' * 12}{tmp_path}/evil": b"evil"})
    project.set_params(datasets__own={"path": "none", "use": "train", "kaggle": "owner/name"})
    before = outputs(project)
    line = project.fails_with_one_line("python", "-m", "stages.download", "own")
    assert "owner/name is not safe to unpack and was deleted (a member would lie outside the folder" in line
    assert outputs(project) == before
    assert not (tmp_path / "evil").exists()
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_huge_picture_and_a_list_of_paths_elsewhere(project: Project, tmp_path: Path) -> None:
    own, secret = tmp_path / "own", tmp_path / "006_f0.jpg"
    shutil.copytree(project.path / "data" / "raw" / "embedded" / "files", own)
    shutil.copy(own / FRAMES / "Original" / "005_f0.jpg", secret)
    (own / FRAMES / "Original" / "005_f0.jpg").write_bytes(huge_png(50_000))
    with (own / "CSVs" / "Original.csv").open("a") as file:
        file.writelines(f"{path},Original\n" for path in (secret, "../../../../006_f0.jpg", "/etc/passwd"))
    project.set_params(datasets__own={"path": "../own", "use": "train"})
    project.stage("download@own")
    line = project.stage_fails_with_one_line("index@own")
    assert "4 of 35 files rejected" in line
    assert '"CSV row points outside the category folder" (3)' in line
    rejected = (project.path / "data" / "rejected" / "own.csv").read_text()
    reason = "could not be decoded: too many pixels: at most 67 million are read"
    assert f"own/files/{FRAMES}/Original/005_f0.jpg,Original,{reason}\n" in rejected


def test_a_table_of_paths_elsewhere(project: Project) -> None:
    index = project.path / "data" / "index" / "embedded.csv"
    index.write_text(index.read_text().replace(f"embedded/files/{FRAMES}/Original/005_f0.jpg", "../../outside.jpg"))
    before = outputs(project)
    for stage in ("split", "prepare@embedded"):
        line = project.stage_fails_with_one_line(stage)
        assert "data/index/embedded.csv: the path '../../outside.jpg' leads out of the data" in line
    assert outputs(project) == before
