"""What is exported says the same as the detector, says of itself what it is, and replaces nothing unasked."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open

from deepfake_detection.common.errors import UserError
from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.inference.familiarity import Familiarity, familiarity_file
from deepfake_detection.serving.detector import Detector
from deepfake_detection.serving.explain import changed_places
from deepfake_detection.serving.export import TOLERANCE, Parity, compare, export, metadata
from tests.support import exported
from tests.support.checkpoints import SIZE
from tests.support.commands import command
from tests.support.disks import file_size_limit
from tests.support.exported import snippet
from tests.support.onnx_files import CARD
from tests.unit.videos.test_video import film as write_video


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported.checkpoint(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def known(
    checkpoint: Path, frames: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Familiarity]:
    """The checkpoint with what it knows of frames."""
    return exported.familiar(checkpoint, tmp_path_factory.mktemp("known"), frames, 0.5, "export", "--format", "onnx")


@pytest.fixture(scope="module")
def model(known: tuple[Path, Familiarity]) -> Path:
    """Exported by the command."""
    path = known[0].with_suffix(".onnx")
    assert not command("export", "--format", "onnx", "--checkpoint", known[0], "--out", path)
    return path


@pytest.fixture(scope="module")
def frames() -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 128, (7, 1, 1, 3)) + rng.integers(0, 128, (7, SIZE, SIZE, 3))
    return levels.astype(np.uint8)


@pytest.mark.slow
def test_onnx_gives_the_detector_s_numbers_in_any_batch(
    checkpoint: Path, model: Path, frames: NDArray[np.uint8]
) -> None:
    detector = Detector.load(checkpoint)
    logits = np.array(detector.logits(list(frames)))
    assert np.ptp(logits) > 0.1
    session = onnxruntime.InferenceSession(model)
    (taken,) = session.get_inputs()
    assert (taken.name, taken.type, taken.shape) == ("frames", "tensor(uint8)", ["batch", SIZE, SIZE, 3])
    for count in (1, 3, 7):
        probability, logit = session.run(["probability", "logit"], {"frames": frames[:count]})
        assert logit == pytest.approx(logits[:count], abs=1e-4)
        assert probability == pytest.approx(1 / (1 + np.exp(-logits[:count] / 1.7)), abs=1e-5)


@pytest.mark.slow
def test_our_own_onnx_comes_back_through_the_door(
    checkpoint: Path, model: Path, tmp_path: Path, frames: NDArray[np.uint8]
) -> None:
    changes = {"layout": "NHWC", "normalise": "0..255", "crop": "face", "gives": "logit", "fake": "high"}
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(CARD | changes | {"output": "logit"}))
    command("import", model, "--card", tmp_path / "card.yaml", "--to", tmp_path / "back.pth")
    back, detector = Detector.load(tmp_path / "back.pth"), Detector.load(checkpoint)
    assert back.logits(list(frames)) == pytest.approx(detector.logits(list(frames)), abs=1e-4)


@pytest.mark.slow
def test_onnx_says_what_it_is_and_not_where_it_was_made(known: tuple[Path, Familiarity], model: Path) -> None:
    onnx.checker.check_model(model, full_check=True)
    sidecar = load_checkpoint(known[0])[1]
    found = onnxruntime.InferenceSession(model).get_modelmeta().custom_metadata_map
    assert found == metadata(sidecar)
    assert json.loads(found["categories"]) == sidecar.categories.model_dump()
    assert (found["crop"], found["margin"], found["temperature"]) == ("face", "0.25", "1.7")
    assert [(each.domain, each.version) for each in onnx.load(model).opset_import] == [("", 18)]
    content = model.read_bytes()
    for folder in (Path(__file__).parents[3], Path(sys.prefix), model.parent):
        assert str(folder).encode() not in content


def test_safetensors_is_a_checkpoint(
    checkpoint: Path, tmp_path: Path, frames: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / "a.safetensors"
    asked = ("export", "--format", "safetensors", "--checkpoint", checkpoint, "--out", path)
    assert not command(*asked)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines[1:3]] == [str(path), str(path.with_suffix(".json"))]
    assert lines[3].endswith(": probability 0.0e+00, logit 0.0e+00; other verdicts: 0")
    detector = Detector.load(path)
    assert detector.logits(list(frames)) == Detector.load(checkpoint).logits(list(frames))
    assert detector.sidecar == load_checkpoint(checkpoint)[1]
    with safe_open(path, "np") as file:
        assert json.loads(file.metadata()["deepfake_detection"]) == detector.sidecar.model_dump()
    before = path.read_bytes()
    assert f"{path} is there already" in str(command(*asked))
    path.unlink()
    assert f"{path.with_suffix('.json')} is there already" in str(command(*asked))
    assert not command(*asked, "--force")
    assert path.read_bytes() == before


@pytest.mark.slow
def test_familiarity_is_a_third_output_and_a_third_file(
    known: tuple[Path, Familiarity], model: Path, tmp_path: Path, frames: NDArray[np.uint8]
) -> None:
    own, familiarity = known
    exact = familiarity(torch.from_numpy(frames)).numpy()
    assert exact.min() < 1 < exact.max()
    session = onnxruntime.InferenceSession(model)
    for count in (1, 7):
        found = session.run(["unfamiliarity"], {"frames": frames[:count]})[0]
        assert found == pytest.approx(exact[:count], rel=1e-3)
    path = tmp_path / "new.safetensors"
    assert not command("export", "--format", "safetensors", "--checkpoint", own, "--out", path)
    assert familiarity_file(path).read_bytes() == familiarity_file(own).read_bytes()


@pytest.mark.slow
def test_where_a_frame_looks_changed_is_an_output(
    tmp_path: Path, frames: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    path = exported.checkpoint(tmp_path, localise=True)
    for form, ending in (("onnx", ".onnx"), ("safetensors", ".safetensors")):
        out = tmp_path / "out" / f"a{ending}"
        assert not command("export", "--format", form, "--checkpoint", path, "--out", out)
        assert ", changed " in capsys.readouterr().out.splitlines()[-1]
    session = onnxruntime.InferenceSession(tmp_path / "out" / "a.onnx")
    assert [output.name for output in session.get_outputs()] == ["probability", "logit", "changed"]
    detector = Detector.load(path)
    for count in (1, 3):
        found = session.run(["changed"], {"frames": frames[:count]})[0]
        assert found == pytest.approx(np.stack([changed_places(detector, each) for each in frames[:count]]), abs=1e-5)
    assert np.ptp(found) > 0


@pytest.mark.slow
def test_a_difference_from_torch_is_found_and_nothing_is_written(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_checkpoint(checkpoint)
    detector = Detector(loaded.network, loaded.sidecar)

    def off(batch: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        logits = np.array(detector.logits(list(batch)))
        return 1 / (1 + np.exp(-logits / 1.7)) + 2 * TOLERANCE, logits - 100

    parity = compare(off, loaded, list(np.zeros((21, SIZE, SIZE, 3), np.uint8)))
    assert parity.frames == 21
    assert parity.apart == pytest.approx({"probability": 2 * TOLERANCE, "logit": 100}, abs=1e-3)
    monkeypatch.setattr("deepfake_detection.serving.export.TOLERANCE", 0.0)
    with pytest.raises(UserError, match="not written: its probability differs"):
        export(checkpoint, "safetensors", tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_decisions_that_differ_are_counted(checkpoint: Path) -> None:
    model = (load_checkpoint(checkpoint), list(np.zeros((12, SIZE, SIZE, 3), np.uint8)))
    sizes: list[int] = []

    def said(value: float) -> Parity:
        def always(batch: NDArray[np.uint8]) -> tuple[NDArray[np.float64], ...]:
            sizes.append(len(batch))
            return (np.full(len(batch), value),) * 2

        return compare(always, *model)

    assert said(1.0).decisions + said(0.0).decisions == 12
    assert sizes == [1, 3, 4, 4] * 2
    assert np.isnan(said(np.nan).apart["probability"])
    with pytest.raises(ValueError, match="1 frames gave"):
        compare(lambda _: (np.zeros(2), np.zeros(2)), *model)


def test_mistakes_are_one_line_and_touch_nothing(checkpoint: Path, tmp_path: Path) -> None:
    asked = ("export", "--format", "safetensors", "--checkpoint", checkpoint)
    there = {path: path.read_bytes() for path in (checkpoint, checkpoint.with_suffix(".json"))}
    beside = checkpoint.with_suffix(".safetensors")  # its JSON would be the checkpoint's own
    assert "belongs to the checkpoint: name another file with --out" in str(command(*asked, "--out", beside, "--force"))
    assert str(command(*asked, "--out", tmp_path / "a.pth")).endswith("goes into a file that ends in .safetensors")
    missing = command(*asked[:-1], tmp_path / "none.pth", "--out", tmp_path / "a.safetensors")
    assert "none.json: not there" in str(missing)
    with file_size_limit(10_000):
        assert "File too large" in str(command(*asked, "--out", tmp_path / "a.safetensors"))
    assert not list(tmp_path.iterdir())
    assert not beside.exists()
    assert all(path.read_bytes() == content for path, content in there.items())


def test_without_onnx_it_says_so(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UserError, match="onnxscript is not installed; run make env"):
        export(checkpoint, "onnx", tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_guide_s_snippets_judge_a_picture(
    checkpoint: Path,
    model: Path,
    tmp_path: Path,
    frames: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(checkpoint.with_suffix(".onnx").name).symlink_to(model)
    export(checkpoint, "safetensors", Path(checkpoint.with_suffix(".safetensors").name))
    Image.fromarray(frames[0]).save("face.png")
    detector = Detector.load(checkpoint)
    (logit,) = detector.logits([frames[0]])
    probability = 1 / (1 + np.exp(-logit / 1.7))
    exec(snippet("onnxruntime"), {})  # noqa: S102
    verdict, number = capsys.readouterr().out.split()
    assert verdict == ("fake" if probability >= 0.5 else "original")
    assert float(number) == pytest.approx(probability, abs=1e-4)
    Image.new("RGB", (64, 64)).save("face.png")  # in which no face is found
    exec(snippet("safetensors"), {})  # noqa: S102
    assert capsys.readouterr().out == "none None\n"


def test_pictures_to_calibrate_on_are_not_dropped_without_a_word(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("export", "--format", "openvino", "--checkpoint", checkpoint, "--out", tmp_path / "a.xml", "--int8")
    assert command(*asked, tmp_path / "*.jpg") == f"error: --int8: {tmp_path}/*.jpg: no picture or video there"
    Image.new("RGB", (64, 64), "grey").save(tmp_path / "grey.png")
    write_video(tmp_path / "film.mp4", 3).rename(tmp_path / "film.jpg")
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    assert command(*asked, tmp_path) == "error: --int8: 0 faces in 1 pictures; name 20 or more, best 600"
    said = capsys.readouterr().err.splitlines()
    assert "left out: 1 .heic, 1 video" in said
    assert f"1 of 1 pictures give no face, e.g. {tmp_path}/grey.png: no face found" in said
