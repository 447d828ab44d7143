"""A checkpoint that is an ONNX file is judged with like any other, and what it cannot do is said in one line."""

import json
from pathlib import Path

import pytest
from PIL import Image

from deepfake_detection.inference.backends import choose_backend
from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.serving.detector import Detector
from deepfake_detection.serving.view import shown
from tests.support.commands import command
from tests.support.onnx_files import onnx_checkpoint
from tests.support.pages import page_of
from tests.unit.videos.test_video import film


def test_what_judges_it_and_what_cannot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = onnx_checkpoint(tmp_path)
    Image.new("RGB", (64, 64), "lime").save(tmp_path / "green.png")
    chosen = ("--checkpoint", checkpoint)
    for backend in ("torch", "auto"):
        assert not command("predict", "--json", tmp_path / "green.png", *chosen, "--backend", backend)
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["logit"] == pytest.approx(0.375, abs=1e-5)
    assert not command("info", checkpoint)
    assert "onnx, 8 parameters" in capsys.readouterr().out
    layers = "needs the layers of a network in torch, and an ONNX file has none"
    folder = tmp_path / "others"
    folder.mkdir()
    Image.new("RGB", (64, 64), "red").save(folder / "red.png")
    for what, words in {
        "backend openvino": ("predict", tmp_path / "green.png", *chosen, "--backend", "openvino"),
        "AdaBN": ("predict", tmp_path / "green.png", *chosen, "--adapt", folder),
        "heat map": ("explain", tmp_path / "green.png", *chosen, "--out", tmp_path / "map.png"),
        "export": ("export", "--format", "openvino", *chosen, "--out", tmp_path / "a.xml"),
    }.items():
        assert command(*words) == f"error: {what}: {layers}"
    network = load_checkpoint(checkpoint).network
    for backend in ("auto", "torch-folded"):
        assert choose_backend(backend, network, None, 4) is network  # type: ignore[arg-type]  # no validation frames


def test_the_page_and_the_case_file_say_why_there_is_no_heat_map(tmp_path: Path) -> None:
    checkpoint, picture = onnx_checkpoint(tmp_path), tmp_path / "green.png"
    Image.new("RGB", (64, 64), "lime").save(picture)
    detector = Detector.load(checkpoint)
    video = film(tmp_path / "film.mp4", 3)
    assert not command("report", picture, video, "--checkpoint", checkpoint, "--out", tmp_path / "case.html")
    pages = [page_of(shown(detector, each)[1], detector.sidecar) for each in (picture, video)]
    for page in (*pages, (tmp_path / "case.html").read_text()):
        assert "this network is an ONNX file, which does not tell what moved it" in page
        assert "eat map 1" not in page
        assert "HiResCAM" not in page
    assert "Crop 1: what the network saw" in page
