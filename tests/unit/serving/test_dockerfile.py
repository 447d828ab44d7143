"""The lines of the Dockerfile, run in a fresh environment. No image is built."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepfake_detection.network.model import build_model
from deepfake_detection.sources.drawn.drawing import film
from tests.support.checkpoints import save_checkpoint, sidecar

ROOT = Path(__file__).parents[3]
LINES = [
    tuple(line.split(None, 1)) for line in (ROOT / "Dockerfile").read_text().splitlines() if re.match(r"[A-Z]+ ", line)
]
UV = Path(sys.executable).with_name("uv")


@pytest.mark.slow
def test_its_lines_give_a_command_that_judges(tmp_path: Path) -> None:
    work, environment, binaries = tmp_path / "app", tmp_path / "environment", tmp_path / "bin"
    work.mkdir()
    binaries.mkdir()
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    # uv installs what pip would, in seconds instead of minutes
    pip = binaries / "pip"
    pip.write_text(f'#!/bin/sh\nshift\nexec {UV} pip install --quiet --python {environment}/bin/python "$@"\n')
    pip.chmod(0o755)
    for kind, rest in LINES:
        if kind == "COPY":
            *sources, to = rest.split()
            for source in sources:
                copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
                copy(ROOT / source, work / to if copy is shutil.copytree else work)
        elif kind == "RUN":
            path = {"PATH": f"{binaries}:/usr/bin:/bin"}
            subprocess.run(["sh", "-c", rest], check=True, cwd=work, env=os.environ | path)
    installed = {path.name.partition("-")[0] for path in environment.rglob("*.dist-info")}
    assert "torch" in installed
    assert not {"dvc", "pytorch_lightning", "pytest", "nncf", "onnxruntime"} & installed
    (entry,) = [json.loads(rest) for kind, rest in LINES if kind == "ENTRYPOINT"]
    (words,) = [json.loads(rest) for kind, rest in LINES if kind == "CMD"]
    program = environment / "bin" / entry[0]

    def run(*arguments: object) -> str:
        typed = [program, *map(str, arguments)]
        return subprocess.run(typed, capture_output=True, text=True, check=True, cwd=tmp_path, env={}).stdout

    shown = run(words[0], "--help")
    assert all(word in shown for word in words[1::2])
    checkpoint = tmp_path / "best.pth"
    save_checkpoint(checkpoint, build_model("efficientnet_b0", 0.2), sidecar(crop="face", margin=0.3))
    Image.fromarray(np.round(film(0, 0, 256, 42).filmed * 255).astype(np.uint8)).save(tmp_path / "face.png")
    printed = run("predict", "face.png", "--checkpoint", checkpoint, "--json")
    assert json.loads(printed)["faces"][0]["box"]
