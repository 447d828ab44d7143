"""What is exported for OpenVINO says the same in OpenVINO as the detector in torch."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.inference.openvino import import_openvino
from deepfake_detection.serving.detector import Detector
from deepfake_detection.serving.explain import changed_places
from deepfake_detection.serving.export import compare, metadata
from deepfake_detection.sources.drawn.drawing import film
from tests.support import exported
from tests.support.checkpoints import SIZE
from tests.support.commands import command
from tests.support.disks import file_size_limit
from tests.support.exported import snippet

pytestmark = pytest.mark.openvino


def test_openvino_gives_the_detector_s_numbers_and_says_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint = exported.checkpoint(tmp_path, localise=True)
    asked = ("export", "--format", "openvino", "--checkpoint", checkpoint.name)
    assert not command(*asked)
    openvino = import_openvino()  # not above: the process of the other tests imports this module to list its tests
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
        changed = [changed_places(detector, frame) for frame in frames[:count]]
        assert found["changed"] == pytest.approx(np.stack(changed), abs=1e-5)
    for written in (path, path.with_suffix(".bin")):
        assert str(Path(__file__).parents[3]).encode() not in written.read_bytes()

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


def test_in_8_bits_pictures_calibrate_it_and_others_tell_how_many_decisions_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint = exported.checkpoint(tmp_path)
    (tmp_path / "pictures").mkdir()
    rng = np.random.default_rng(0)
    for number in range(26):
        face = film(number, 0, 128, seed=0).filmed * rng.uniform(0.7, 1)
        Image.fromarray(np.round(face * 255).astype(np.uint8)).save(tmp_path / "pictures" / f"{number}.png")
    (tmp_path / "pictures" / "damaged.png").write_bytes(b"damaged")
    asked = ("export", "--format", "openvino", "--checkpoint", checkpoint.name, "--int8")
    assert not command(*asked, "pictures")
    said = capsys.readouterr().out
    assert "openvino, 8 bits, in " in said
    path = Path(f"{checkpoint.stem}-int8.xml")
    assert path.with_suffix(".bin").stat().st_size < 0.4 * checkpoint.stat().st_size
    detector = Detector.load(checkpoint)
    frames = list(detector.crops(sorted((tmp_path / "pictures").iterdir())))
    assert f"on {len(frames) // 2} other faces: " in said
    compiled = import_openvino().Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    parity = compare(
        lambda batch: (compiled(batch)["probability"], compiled(batch)["logit"]),
        load_checkpoint(checkpoint),
        list(frames[1::2]),
    )
    probability, logit = parity.apart.values()
    assert 1e-6 < probability < 0.1
    assert said.endswith(f"probability {probability:.1e}, logit {logit:.1e}; other verdicts: {parity.decisions}\n")

    assert "error: --int8: 0 faces in 1 pictures; name 20 or more" in str(
        command(*asked, "pictures/damaged.png", "--force")
    )
    assert "--int8 goes with --format openvino, not with onnx" in str(
        command("export", "--format", "onnx", "--checkpoint", checkpoint.name, "--int8", "pictures")
    )


def test_a_detector_on_another_backend_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = exported.checkpoint(tmp_path, crop="none")
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (5, 1, 1, 3), dtype=np.uint8) // 2 + rng.integers(0, 128, (5, 64, 64, 3), np.uint8)
    for number, frame in enumerate(pictures):
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
    exact = Detector.load(checkpoint).predict(sorted(tmp_path.glob("*.png")))
    assert not command("predict", tmp_path / "*.png", "--checkpoint", checkpoint, "--backend", "auto", "--json")
    said = capsys.readouterr()
    found = [json.loads(line) for line in said.out.splitlines()]  # and nothing else
    assert [each["logit"] for each in found] == pytest.approx([each.logit for each in exact], abs=1e-4)
    for backend in ("torch-folded", "openvino", "auto takes "):
        assert backend in said.err
