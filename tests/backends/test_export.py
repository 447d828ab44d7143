"""What is exported for OpenVINO says the same in OpenVINO as the detector in torch."""

from pathlib import Path

import numpy as np
import openvino
import pytest
from PIL import Image

from deepfake_detection.checkpoint import load_checkpoint
from deepfake_detection.detector import Detector
from deepfake_detection.export import metadata
from tests import exported
from tests.commands import command
from tests.disks import file_size_limit
from tests.exported import SIZE, snippet


def test_openvino_gives_the_detector_s_numbers_and_says_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint = exported.checkpoint(tmp_path)
    asked = ("export", "--format", "openvino", "--checkpoint", checkpoint.name)
    assert not command(*asked)
    path = checkpoint.with_suffix(".xml")
    assert f"{path.name}: " in capsys.readouterr().out
    detector = Detector.load(checkpoint)
    frames = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)
    frames[1] //= 2
    logits = np.array(detector.logits(list(frames)))
    model = openvino.Core().read_model(path)
    assert model.inputs[0].get_partial_shape() == openvino.PartialShape([-1, SIZE, SIZE, 3])
    about = {key: model.get_rt_info(["deepfake_detection", key]).value for key in metadata(detector.sidecar)}
    assert about == metadata(load_checkpoint(checkpoint)[1])
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for count in (1, 3):
        found = compiled(frames[:count])
        assert found["logit"] == pytest.approx(logits[:count], abs=1e-4)
        assert found["probability"] == pytest.approx(1 / (1 + np.exp(-logits[:count] / 1.7)), abs=1e-5)
    for written in (path, path.with_suffix(".bin")):
        assert str(Path(__file__).parents[2]).encode() not in written.read_bytes()

    Image.fromarray(frames[0]).save("face.png")
    exec(snippet("openvino"), {})  # noqa: S102
    verdict, number = capsys.readouterr().out.split()
    assert float(number) == pytest.approx(1 / (1 + np.exp(-logits[0] / 1.7)), abs=1e-4)
    assert verdict == ("fake" if float(number) >= 0.5 else "original")

    before = path.read_bytes()
    with file_size_limit(10_000):
        said = str(command(*asked, "--force"))
    assert said.startswith(f"error: {path.name}: OpenVINO could not write it")
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".part-*"))
