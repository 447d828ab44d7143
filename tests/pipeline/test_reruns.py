"""What runs again after a change, with real DVC and the real stages: only what the change concerns."""

from pathlib import Path

import pytest

from tests.pipeline.conftest import Project
from tests.support.miniatures import celebdf
from tests.support.miniatures.drawing import film, picture

pytestmark = pytest.mark.slow

EMBEDDED = ("embedded", "embedded_shifted")
SCORED = {"evaluate", "plot", "report"}
TRAINED = {"train", "calibrate", "predict@embedded", "predict@embedded_shifted", "robustness", *SCORED}


def of(name: str) -> set[str]:
    """The stages of a data set that is new or has changed, and what counts over all of them."""
    return {f"{stage}@{name}" for stage in ("download", "index", "prepare", "predict")} | {"split"} | SCORED


def add(project: Project, name: str, folder: Path, use: str) -> None:
    project.set_params(**{f"datasets__{name}": {"path": str(folder), "use": use}})


def test_a_data_set_to_test_on_brings_scores_and_measures_itself_alone(built: Project, tmp_path: Path) -> None:
    celebdf.make(tmp_path / "celeb")
    built.set_params(video__frames=2)
    built.run("dvc", "repro")
    before = (built.path / "params.yaml").read_text()
    add(built, "Celeb-DF-v2", tmp_path / "celeb", "test")
    assert built.runs("dvc", "repro")[0] == of("Celeb-DF-v2")
    assert built.runs("dvc", "repro") == (set(), set())
    film(tmp_path / "celeb" / "Celeb-real" / "id9_0000.mp4", 99, False)  # not of its part for the test
    assert built.runs("dvc", "repro")[0] == {"download@Celeb-DF-v2"}
    (tmp_path / "celeb" / celebdf.LIST).open("a").write("1 Celeb-real/id9_0000.mp4\n")
    assert built.runs("dvc", "repro")[0] == of("Celeb-DF-v2")
    (built.path / "params.yaml").write_text(before)
    ran, _ = built.runs("dvc", "repro")
    assert ran <= {"split"} | SCORED
    assert not [path for path in (built.path / "data").rglob("*Celeb*") if ".written" not in path.parts]


def test_frames_without_labels_concern_only_what_learns_from_them(built: Project, tmp_path: Path) -> None:
    for who in range(4):
        picture(tmp_path / "phone" / f"{who}.png", who, False)
    add(built, "phone", tmp_path / "phone", "adapt")
    assert built.runs("dvc", "repro")[0] == of("phone")
    built.set_params(train__unlabelled="adapt", train__adapt="coral")
    assert built.runs("dvc", "repro")[0] == TRAINED | {"predict@phone"}
    built.set_params(train__unlabelled="train", train__adapt="none")
    ran, cached = built.runs("dvc", "repro")
    assert "train" in cached
    assert not {"train", "robustness"} & ran
    built.set_params(adapt=["adabn"])
    assert built.runs("dvc", "repro")[0] == {"adapt@adabn"}
    built.set_params(adapt=[])
    assert built.runs("dvc", "repro") == (set(), set())


def test_pretraining_is_a_stage_when_it_is_asked_for(built: Project) -> None:
    own = {"weights": "none", "unlabelled": "train", "epochs": 1, "batch_size": 2, "lr": 0.005, "seed": 1}
    built.set_params(pretrain={"simsiam": own}, model__weights="data/pretrained-simsiam.pth")
    assert built.runs("dvc", "repro")[0] - {"predict@phone"} == {"pretrain@simsiam", "weights", "split"} | TRAINED
    built.set_params(pretrain={}, model__weights="none")
    _, cached = built.runs("dvc", "repro")
    assert {"weights", "train"} <= cached


def test_a_learning_rate_and_back_is_cached(built: Project) -> None:
    built.set_params(train__lr=0.01)
    assert built.runs("dvc", "repro")[0] - {"predict@phone"} == TRAINED
    built.set_params(train__lr=0.001)
    ran, cached = built.runs("dvc", "repro")
    assert {"train", "predict@embedded", "predict@embedded_shifted", "robustness"} <= cached
    assert not {"train", "robustness"} & ran
    changed = built.run("git", "status", "--porcelain", "--untracked-files=no", "metrics").stdout
    assert changed == ""  # what the test before pretrained stays, untracked


@pytest.mark.parametrize(
    ("package", "first"),
    [
        ("serving", set()),
        ("reporting", {"plot", "report"}),
        ("videos", {f"{stage}@{name}" for stage in ("index", "prepare") for name in EMBEDDED} | {"split", "report"}),
    ],
)
def test_code_concerns_the_stages_that_run_its_package(built: Project, package: str, first: set[str]) -> None:
    (built.path / "src" / "deepfake_detection" / package / "more.py").write_text("# a comment\n")
    assert built.runs("dvc", "repro")[0] == first
