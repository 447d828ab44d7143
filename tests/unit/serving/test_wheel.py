"""The built wheel judges pictures and needs nothing of the pipeline for that."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.exported import checkpoint
from tests.support.modules import ROOT

UV = Path(sys.executable).with_name("uv")
NO = ("dvc", "kagglehub", "pytorch_lightning", "torchmetrics", "sklearn", "matplotlib", "imagehash", "starlette")
CODE = f"import sys; sys.modules |= dict.fromkeys({NO}); from deepfake_detection.serving.cli import main; main()"


@pytest.mark.slow
def test_wheel_judges_a_picture_without_the_pipeline(tmp_path: Path) -> None:
    for name in ("src", "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    for words in (
        ("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", "dist"),
        ("pip", "install", "--no-deps", "--target", "to", "dist/deepfake_detection-0.1.0-py3-none-any.whl"),
    ):
        subprocess.run([UV, *words, "--offline", "--quiet"], cwd=tmp_path, check=True)

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(tmp_path / "to")}
        return subprocess.run(words, cwd=tmp_path / "to", env=environment, text=True, capture_output=True)

    names = "import deepfake_detection as d; print(d.__file__, *map(d.__getattr__, d.__all__))"
    found = run(sys.executable, "-c", names)
    assert found.stdout.startswith(str(tmp_path / "to")), found.stderr
    network, picture = checkpoint(tmp_path, crop="none"), tmp_path / "picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(picture)
    done = run(sys.executable, "-c", CODE, "predict", picture, "--checkpoint", network)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].split()[0] in ("original", "fake")
    page = tmp_path / "case.html"
    done = run(sys.executable, "-c", CODE, "report", picture, "--checkpoint", network, "--out", page)
    assert done.returncode == 0, done.stderr
    for command in ("explain", "serve"):
        given = [picture] if command != "serve" else []
        (line,) = run(sys.executable, "-c", CODE, command, *given).stderr.splitlines()
        assert line.startswith(f"error: {command}: ")
        assert "is not installed" in line
