"""The built package, installed without extras, judges pictures and needs nothing of the pipeline for that."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import requires
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

from tests.support.exported import checkpoint
from tests.support.modules import ROOT

UV = Path(sys.executable).with_name("uv")
PIPELINE = ("dvc", "kagglehub", "pytorch_lightning", "torchmetrics", "sklearn", "matplotlib", "imagehash")


def with_needs(needs: Iterable[Requirement]) -> set[str]:
    """The packages, and all that they need on this machine with the extras that are asked for."""
    found: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(need.name), extra) for need in needs for extra in ("", *need.extras)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) not in found:
            found.add((name, extra))
            for need in map(Requirement, requires(name) or []):
                if not need.marker or need.marker.evaluate({"extra": extra}):
                    waiting += [(canonicalize_name(need.name), wanted) for wanted in ("", *need.extras)]
    return {name for name, _ in found}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of an environment that holds the wheel and its core dependencies, as locked."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("src", "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    needed = with_needs(need for need in map(Requirement, requires("deepfake-detection") or []) if not need.marker)
    entries = re.findall(
        r"^((\S+)==\S+(?: ; .+?)? \\\n(?:    --hash=\S+(?: \\)?\n)+)",
        (ROOT / "requirements.lock").read_text(),
        re.MULTILINE,
    )
    (folder / "core.lock").write_text("".join(entry for entry, name in entries if name in needed))
    python = folder / "env" / "bin" / "python"

    def uv(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([UV, *words, "--offline"], cwd=folder, text=True, capture_output=True)

    assert uv("venv", "--python", sys.executable, "env").returncode == 0
    if uv("pip", "sync", "--python", python, "--require-hashes", "core.lock").returncode:
        pytest.skip("the locked packages are not in uv's cache")
    for words in (
        ("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", "dist"),
        ("pip", "install", "--python", python, "--no-deps", "dist/deepfake_detection-0.1.0-py3-none-any.whl"),
    ):
        done = uv(*words)
        assert done.returncode == 0, done.stderr
    return python.parent


def run(installed: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(words, cwd=installed, env=environment, text=True, capture_output=True)


@pytest.mark.slow
def test_wheel_judges_a_picture_without_the_pipeline(installed: Path, tmp_path: Path) -> None:
    network, picture = checkpoint(tmp_path, crop="none"), tmp_path / "picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(picture)
    done = run(installed, installed / "deepfake-detect", "predict", picture, "--checkpoint", network)
    assert done.returncode == 0, done.stderr
    header, line = done.stdout.splitlines()
    assert header.split() == ["verdict", "fake", "path"]
    assert line.split()[0] in ("original", "fake")
    for command in (["explain", "a.jpg"], ["report", "a.jpg"], ["serve"]):
        assert "is not installed" in run(installed, installed / "deepfake-detect", *command).stderr
    code = f"from importlib.util import find_spec; print([name for name in {PIPELINE} if find_spec(name)])"
    assert run(installed, installed / "python", "-c", code).stdout == "[]\n"
