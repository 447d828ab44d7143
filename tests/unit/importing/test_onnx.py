"""An ONNX file computes what its card says, and one that is wrong or hostile is refused in one line."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch import nn
from torchvision.models import VisionTransformer

from deepfake_detection.common.errors import UserError
from deepfake_detection.importing.onnx import import_onnx
from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.network.model import Network, build_model, described
from deepfake_detection.network.normalise import MEAN, STD
from tests.support.commands import command
from tests.support.onnx_files import CARD, SIDE, colour_means, expected, of_graph, onnx_checkpoint, written


@pytest.fixture(scope="module")
def frames() -> NDArray[np.uint8]:
    rng = np.random.default_rng(1)
    return rng.integers(0, rng.integers(20, 256, (5, 1, 1, 3)), (5, SIDE, SIDE, 3)).astype(np.uint8)


def logits(checkpoint: Path, frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    with torch.inference_mode():
        return np.asarray(load_checkpoint(checkpoint).network(torch.from_numpy(frames)).double())


BYTES, NHWC, ONE = TensorProto.UINT8, ("batch", SIDE, SIDE, 3), (1, 3, SIDE, SIDE)
SOME = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        (colour_means(), {}),
        (colour_means(), {"fake": 0}),
        (colour_means(), {"colours": "BGR", "normalise": SOME}),
        (colour_means(), {"normalise": "imagenet"}),
        (colour_means(shape=ONE), {"normalise": "-1..1"}),
        (colour_means(shape=("n", 3, "height", "width")), {"input": "frames", "output": 0}),
        (colour_means(shape=NHWC), {"layout": "NHWC", "normalise": "-1..1"}),
        (colour_means(shape=NHWC, kind=BYTES), {"layout": "NHWC", "normalise": "0..255"}),
        (colour_means(kind=TensorProto.FLOAT16), {"output": "scores"}),
        (colour_means(last="Softmax"), {"gives": "two probabilities"}),
        (colour_means(classes=1), {"gives": "logit", "fake": "high"}),
        (colour_means(classes=1, last="Sigmoid"), {"gives": "probability", "fake": "low"}),
    ],
    ids=lambda each: str(each) if isinstance(each, dict) else "",
)
def test_the_card_is_followed(tmp_path: Path, frames: NDArray[np.uint8], model: Any, changes: dict[str, Any]) -> None:
    mean, std = {
        "0..1": (0, 1),
        "-1..1": (0.5, 0.5),
        "0..255": (0, 1 / 255),
        "imagenet": (MEAN, STD),
        str(SOME): (SOME["mean"], SOME["std"]),
    }[str(changes.get("normalise", "0..1"))]
    values = (frames.mean((1, 2)) / 255 - mean) / std
    if changes.get("colours") == "BGR":
        values = values[:, ::-1]
    wanted = expected(values, 1 if "two" not in changes.get("gives", CARD["gives"]) else 2)
    wanted = -wanted if changes.get("fake") in (0, "low") else wanted
    import_onnx(*written(tmp_path, model, **changes), tmp_path / "mine.pth")
    tolerance = 1e-2 if changes.get("output") == "scores" else 1e-5  # float16 has three digits
    assert logits(tmp_path / "mine.pth", frames) == pytest.approx(wanted, rel=tolerance, abs=tolerance)


def test_certain_probabilities_give_finite_logits(tmp_path: Path) -> None:
    steep = of_graph(
        [
            helper.make_node("GlobalAveragePool", ["frames"], ["pooled"]),
            helper.make_node("ReduceMean", ["pooled", "axes"], ["means"], keepdims=0),
            helper.make_node("Greater", ["means", "half"], ["brighter"]),
            helper.make_node("Cast", ["brighter"], ["scores"], to=TensorProto.FLOAT),
        ],
        [
            numpy_helper.from_array(np.array([1, 2, 3]), "axes"),
            numpy_helper.from_array(np.array(0.5, np.float32), "half"),
        ],
    )
    import_onnx(*written(tmp_path, steep, gives="probability", fake="high"), tmp_path / "mine.pth")
    frames = np.full((2, SIDE, SIDE, 3), [[[[0]]], [[[255]]]], np.uint8)
    assert logits(tmp_path / "mine.pth", frames) == pytest.approx([-16.1, 16.1], abs=0.1)


def test_the_checkpoint_says_what_it_is(tmp_path: Path) -> None:
    checkpoint = onnx_checkpoint(tmp_path)
    network, sidecar, familiarity = load_checkpoint(checkpoint)
    assert familiarity is None
    assert not sidecar.calibrated
    assert sidecar.imported is not None
    assert (sidecar.arch, sidecar.input_size, sidecar.crop, sidecar.parameters) == ("onnx", [SIDE, SIDE], "none", 8)
    assert (sidecar.imported.recipe, sidecar.imported.licence) == ("means of colours", "MIT")
    assert sidecar.categories.model_dump() == CARD["labels"]
    assert described(network, "onnx").items() <= sidecar.model_dump().items()
    with pytest.raises(UserError, match="cannot be trained"):
        build_model("onnx", 0.5, checkpoint)
    empty = tmp_path / "empty.pth"
    torch.save({"weight": torch.zeros(3)}, empty)
    with pytest.raises(UserError, match="it holds no ONNX file"):
        build_model("onnx", 0.0, empty, trained=True)


def big_constant() -> Any:
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["many"]),
        helper.make_node("ReduceSum", ["many"], ["sum"], keepdims=0),
        helper.make_node("GlobalAveragePool", ["frames"], ["pooled"]),
        helper.make_node("Add", ["pooled", "sum"], ["scores"]),
    ]
    return of_graph(nodes, [numpy_helper.from_array(np.array([2**35]), "shape")])


def with_tensor(**fields: Any) -> Any:
    model = colour_means()
    model.graph.initializer[0].ClearField("raw_data")
    for name, value in fields.items():
        part = model.graph.initializer[0]
        if name == "location":
            part.data_location = TensorProto.EXTERNAL
            part.external_data.add(key="location", value=value)
        else:
            part.dims[:] = value
    return model


def one_node(operator: str, domain: str = "", outputs: tuple[str, ...] = ("scores",), **more: Any) -> Any:
    model = of_graph([helper.make_node(operator, ["frames"], outputs, domain=domain)], outputs=outputs, **more)
    model.opset_import.add(domain=domain, version=18) if domain else None
    return model


def not_finite() -> Any:
    return colour_means(last="Log")  # of numbers below 0 too


def in_training_mode() -> Any:
    model = colour_means(last="Softmax")
    model.graph.node[-1].attribute.add(name="axis", type=onnx.AttributeProto.INT, i=0)  # over the batch
    return model


WRONG: dict[str, tuple[Any, dict[str, Any], str]] = {
    "two outputs": (one_node("Split", outputs=("left", "right")), {}, "it has 2 outputs, 'left', 'right': name one"),
    "no such output": (None, {"output": "logits"}, "it has no output 'logits', but 'scores'"),
    "no such place": (None, {"output": 3}, "it has no output 3, but 'scores'"),
    "no such input": (None, {"input": "x"}, "it has no input 'x', but 'frames'"),
    "layout": (None, {"layout": "NHWC"}, "its input has the shape batch x 3 x 32 x 32, and the card says NHWC"),
    "size": (None, {"size": 33}, "and the card says NCHW with 3 colours and 33 pixels"),
    "grey": (one_node("Flatten", shape=("n", 1, SIDE, SIDE)), {}, "shape n x 1 x 32 x 32"),
    "text": (one_node("Flatten", shape=("n", 7)), {}, "its input has the shape n x 7"),
    "whole numbers": (colour_means(kind=TensorProto.INT64), {}, "its input is tensor\\(int64\\)"),
    "bytes": (colour_means(kind=BYTES), {}, "`normalise: 0..255`"),
    "eight at once": (colour_means(shape=(8, 3, SIDE, SIDE)), {}, "it takes 8 frames at once"),
    "one value": (colour_means(classes=1), {}, "gave float32 of shape 3 x 1, which is not the card's `gives: two"),
    "features": (one_node("GlobalAveragePool"), {}, "shape 3 x 3 x 1 x 1, which is not"),
    "no probability": (None, {"gives": "two probabilities"}, "not the card's `gives: two probabilities`"),
    "no logits": (colour_means(last="Softmax"), {}, "add up to 1, so the card must say `gives: two probabilities`"),
    "not finite": (not_finite(), {}, "it gives NaN or infinite numbers"),
    "batch": (in_training_mode(), {}, "a frame's logit in another batch differs"),
    "external data": (with_tensor(location="../../etc/passwd"), {}, "its weights are in '../../etc/passwd'"),
    "no data": (with_tensor(dims=[2**40]), {}, "its tensors are said to have 1,099,511,627,778 numbers"),
    "huge constant": (big_constant(), {}, "a value in it has 34,359,738,368 numbers: too many"),
    "custom operator": (one_node("Run", "evil"), {}, "operator Run of evil is not one of ONNX's own"),
    "no operator": (one_node("Nothing"), {}, "onnxruntime does not take it: .*No Op registered for Nothing"),
    "no polarity": (None, {"fake": None}, "card.yaml: fake: is missing; it says which is fake"),
    "polarity": (None, {"fake": "high"}, "with `gives: two logits` it must be 0 or 1"),
    "yes": (None, {"fake": True}, "card.yaml: fake: "),
    "unknown key": (None, {"polarity": 1}, "card.yaml: polarity: is no key of a card"),
    "unknown label": (None, {"labels": CARD["labels"] | {"x": 1}}, "card.yaml: labels: holds an unknown key; it says"),
    "normalise": (None, {"normalise": "caffe"}, "card.yaml: normalise: .* it says imagenet, 0..1"),
    "no labels": (None, {"labels": {"real": ["a"]}}, "card.yaml: labels: is missing"),
    "crop": (None, {"crop": "circle"}, "card.yaml: crop: Input should be 'none'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_or_card_is_one_line_and_writes_nothing(tmp_path: Path, name: str) -> None:
    model, changes, said = WRONG[name]
    file, card = written(tmp_path, model, **changes)
    with pytest.raises(UserError, match=said) as caught:
        import_onnx(file, card, tmp_path / "mine.pth")
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 450
    assert sorted(tmp_path.iterdir()) == sorted([file, card])


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x89PNG\r\n\x1a\n" + bytes(100), None])
def test_what_is_no_onnx_file(tmp_path: Path, content: bytes | None) -> None:
    file, card = written(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(UserError, match=r"model\.onnx: not an ONNX file, or only a part of one"):
        import_onnx(file, card, tmp_path / "mine.pth")
    card.write_text("name: [")
    assert "card.yaml: not valid YAML" in str(command("import", file, "--card", card, "--to", tmp_path / "mine.pth"))
    card.write_text("- name")
    assert "card.yaml: Input should be" in str(command("import", file, "--card", card, "--to", tmp_path / "mine.pth"))


def test_a_file_inside_a_checkpoint_is_examined_too(tmp_path: Path) -> None:
    checkpoint = onnx_checkpoint(tmp_path)
    saved = torch.load(checkpoint, weights_only=True)
    hostile = with_tensor(location="../secret").SerializeToString()
    torch.save(saved | {"onnx": torch.frombuffer(bytearray(hostile), dtype=torch.uint8)}, checkpoint)
    with pytest.raises(UserError, match=r"its weights are in '../secret'"):
        load_checkpoint(checkpoint)
    torch.save(saved | {"card": {}}, checkpoint)
    with pytest.raises(UserError, match=r"mine\.pth: name: is missing"):
        load_checkpoint(checkpoint)


def test_without_onnxruntime_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = onnx_checkpoint(tmp_path)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match="onnxruntime is not installed, which computes ONNX files; run make env"):
        load_checkpoint(checkpoint)


def test_the_command_checks_the_polarity_before_it_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, card = written(tmp_path)
    asked = ("import", file, "--card", card, "--to", tmp_path / "mine.pth")
    red, green = tmp_path / "red.png", tmp_path / "green.png"  # by the weights, green is rather fake
    for path, colour in ((red, "red"), (green, "lime")):
        Image.new("RGB", (64, 64), colour).save(path)
    said = str(command(*asked, "--check-real", green, "--check-fake", red))
    assert said.startswith("error: the real picture does not have the lower score, so nothing is written")
    assert capsys.readouterr().out == f"{green}: real, logit 0.375\n{red}: fake, logit -2.625\n"
    assert "give both" in str(command(*asked, "--check-real", green))
    assert "name it .pth" in str(command(*asked[:-1], tmp_path / "mine.onnx"))
    assert "no such file" in str(command("import", tmp_path / "none.onnx", *asked[2:]))
    assert "no such card" in str(command(*asked[:3], tmp_path / "none.yaml", *asked[4:]))
    assert not (tmp_path / "mine.pth").exists()
    assert not command(*asked, "--check-real", red, "--check-fake", green)
    assert "onnx, 8 parameters, 32 x 32 pixels" in capsys.readouterr().out
    assert "mine.pth is there already" in str(command(*asked))


def lite0() -> tuple[nn.Module, nn.Module, dict[str, Any]]:
    network = build_model("efficientnet_lite0", 0.0)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 1.0  # one batch sets the running statistics
    network(torch.randint(0, 256, (8, 64, 64, 3)))
    levels = {"mean": [127 / 255] * 3, "std": [128 / 255] * 3}
    return network, network.efficientnet, {"gives": "logit", "fake": "high", "normalise": levels}


def transformer() -> tuple[nn.Module, nn.Module, dict[str, Any]]:
    inner = VisionTransformer(64, 16, 2, 4, 64, 128, num_classes=2)
    nn.init.normal_(cast(nn.Linear, inner.heads.head).weight)
    two = nn.Sequential(inner, nn.Linear(2, 1, bias=False))
    two[1].weight.data = torch.tensor([[1.0, -1.0]])  # the first less the second
    return Network(two), inner, {"gives": "two logits", "fake": 0, "normalise": "imagenet"}


@pytest.mark.slow
@pytest.mark.parametrize("make", [lite0, transformer])
def test_a_network_has_the_logits_that_it_has_in_torch(
    tmp_path: Path, make: Callable[[], tuple[nn.Module, nn.Module, dict[str, Any]]]
) -> None:
    torch.manual_seed(0)
    network, inner, card = make()
    network.eval()
    free = ({0: torch.export.Dim("batch", min=1)},)
    asked = {"dynamo": True, "dynamic_shapes": free, "external_data": False, "verbose": False}
    file, described = written(tmp_path, size=64, **card)
    torch.onnx.export(inner, (torch.zeros(2, 3, 64, 64),), file, **asked)  # type: ignore[arg-type]
    import_onnx(file, described, tmp_path / "mine.pth")
    rng = np.random.default_rng(0)
    frames = rng.integers(0, rng.integers(20, 256, (20, 1, 1, 3)), (20, 64, 64, 3)).astype(np.uint8)
    with torch.inference_mode():
        exact = network(torch.from_numpy(frames)).double().numpy()
    assert np.ptp(exact) > 0.1
    assert logits(tmp_path / "mine.pth", frames) == pytest.approx(exact, abs=1e-4)
