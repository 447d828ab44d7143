"""Detectors that others published: imported, they compute what their authors' networks compute."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from efficientnet_pytorch import EfficientNet
from torch import Tensor, nn
from torchvision.models import efficientnet_b0

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import sha256_of
from deepfake_detection.importing.checkpoints import import_weights
from deepfake_detection.importing.heads import one_logit
from deepfake_detection.importing.recipes import Input, recipes
from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.network.model import build_model
from deepfake_detection.network.normalise import Normalise
from deepfake_detection.network.sidecar import Imported, read_sidecar
from tests.support.commands import command
from tests.support.detectors import (
    DETECTORS,
    SelfBlended,
    Siamese,
    Timm,
    as_self_blended,
    as_state,
    as_winner,
    compared,
)
from tests.support.references import difference

OURS = Input(size=64, crop="face", margin=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("name", DETECTORS)
def test_it_computes_what_its_authors_compute(name: str, tmp_path: Path) -> None:
    found = compared(name, tmp_path, [45, 64])
    assert found.pop("right") < 1e-9
    assert min(found.values()) > 1e-3, found


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize(("rows", "fake"), [(1, 1), (1, 0), (2, 1), (2, 0)])
def test_a_head_becomes_one_logit(rows: int, fake: int, norm: bool) -> None:
    before, linear = nn.BatchNorm1d(7).double(), nn.Linear(7, rows).double()
    features = torch.randn(20, 7, dtype=torch.float64)
    nn.init.normal_(before.weight)
    nn.init.normal_(before.bias)
    before(3 * features + 1)
    outputs = linear(before.eval()(features) if norm else features)
    expected = outputs.softmax(1)[:, fake] if rows == 2 else (outputs[:, 0] * (1 if fake else -1)).sigmoid()
    head = one_logit(linear.state_dict(), fake, before.state_dict() if norm else None)
    found = nn.functional.linear(features, head["weight"], head["bias"])
    assert found.shape == (20, 1)
    torch.testing.assert_close(found[:, 0].sigmoid(), expected, rtol=1e-12, atol=1e-12)


def test_recipes_are_whole() -> None:
    assert {name for name, each in recipes().items() if each.input} == set(DETECTORS)
    for name, recipe in recipes().items():
        assert all(recipe.card.model_dump().values()), name
        assert Imported(recipe=name, licence="", files=[], **recipe.reading)
        assert recipe.variant(recipe.dialects()[-1], recipe.file.arch or "efficientnet_b0")
    sums = [digest for recipe in recipes().values() for digest in recipe.file.sha256]
    assert len(set(sums)) == len(sums) == 8


@pytest.fixture(scope="module")
def b0() -> dict[str, Tensor]:
    """A B0 of torchvision with two classes; not to be changed."""
    torch.manual_seed(0)
    return dict(efficientnet_b0(num_classes=2).state_dict())


def test_the_checkpoint_says_how_it_is_used(b0: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(b0, tmp_path / "theirs.pth")
    to = tmp_path / "new" / "ours.pth"
    options: dict[str, Any] = {"--size": 64, "--crop": "square", "--margin": 0.25, "--fake-class": 0}
    words = [word for pair in options.items() for word in pair]
    assert not command(
        "import", tmp_path / "theirs.pth", "--recipe", "torchvision-2", "--accept-license", "--to", to, *words
    )
    network, sidecar, familiarity = load_checkpoint(to)
    assert (sidecar.arch, sidecar.input_size, sidecar.crop, sidecar.margin) == (
        "efficientnet_b0",
        [64, 64],
        "square",
        0.25,
    )
    assert (sidecar.calibrated, familiarity, sidecar.parameters) == (False, None, 4_008_829)
    assert sidecar.imported == Imported(
        recipe="torchvision-2", licence="yours to know", files=[sha256_of(tmp_path / "theirs.pth")]
    )
    theirs = efficientnet_b0(num_classes=2).eval()
    theirs.load_state_dict(b0)
    frames = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    with torch.inference_mode():
        expected = theirs(Normalise()(frames)).softmax(1)[:, 0]
        torch.testing.assert_close(network(frames).sigmoid(), expected, rtol=1e-4, atol=1e-6)


def test_several_judge_together(tmp_path: Path, b0: dict[str, Tensor]) -> None:
    files = [tmp_path / f"{number}.pth" for number in range(3)]
    for number, file in enumerate(files):
        torch.save(b0 | {"classifier.1.bias": torch.tensor([0.0, 2.0 * number])}, file)
    one, three = tmp_path / "one.pth", tmp_path / "three.pth"
    networks = []
    for to, chosen in ((one, files[:1]), (three, files)):
        import_weights(chosen, "torchvision-2", to, OURS, 1)
        networks.append(load_checkpoint(to).network)
    assert read_sidecar(three.with_suffix(".json")).network.members == 3
    assert read_sidecar(three.with_suffix(".json")).parameters == 3 * 4_008_829
    frames = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    with torch.inference_mode():
        first, together = (network(frames) for network in networks)
        expected = torch.stack([first, first + 2, first + 4]).sigmoid().mean(0)
    torch.testing.assert_close(together.sigmoid(), expected)
    with pytest.raises(UserError, match="3 networks that judge together; training starts from a single one"):
        build_model("efficientnet_b0", 0.0, three)
    with pytest.raises(UserError, match="17 files, and recipe torchvision-2 takes 16"):
        import_weights(files[:1] * 17, "torchvision-2", one, OURS, 1)


@cache
def shapes(build: Callable[[], nn.Module]) -> nn.Module:
    """A network whose tensors have their shapes, and are zero and in a file take no room."""
    with torch.device("meta"):
        network = build()
    zero, own = torch.zeros(()), network.state_dict()
    network.load_state_dict({name: zero.to(own[name].dtype).expand(own[name].shape) for name in own}, assign=True)
    return network


def sbi() -> dict[str, Any]:
    return as_state(shapes(SelfBlended))


def without(state: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in state.items() if key != name}


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('it went off')",)


@pytest.mark.parametrize(
    ("recipe", "content", "cause"),
    [
        ("sbi-b4-c23", lambda: {"model": Bomb()}, "it holds the Python object exec"),
        ("sbi-b4-c23", lambda: as_winner(shapes(lambda: Timm("tf_efficientnet_b7"))), "it fits selimsef-b7"),
        ("selimsef-b7", lambda: as_self_blended(shapes(SelfBlended)), "it fits sbi-b4-c23, sbi-b4-raw"),
        (
            "polimi-b4st-dfdc",
            lambda: as_state(shapes(lambda: Siamese(attention=True))),
            "it fits polimi-autoattb4st-dfdc, polimi-autoattb4st-ffpp",
        ),
        (
            "selimsef-b7",
            lambda: as_winner(shapes(lambda: Timm("tf_efficientnet_b6"))),
            "'encoder.conv_stem.weight' is of shape (56, 3, 3, 3), and should be of (64, 3, 3, 3)",
        ),
        (
            "sbi-b4-c23",
            lambda: sbi() | {"net._blocks.3._bn2.bias": torch.zeros(31)},
            "'net._blocks.3._bn2.bias' is of shape (31,), and should be of (32,)",
        ),
        (
            "sbi-b4-c23",
            lambda: without(sbi(), "net._bn1.bias"),
            "it has no 'features.8.1.bias'",
        ),
        ("sbi-b4-c23", lambda: sbi() | {"net.x\x1b.weight": torch.zeros(1)}, "it holds 'net.x"),
        (
            "sbi-b4-c23",
            lambda: sbi() | {"net._fc.weight": torch.zeros(1, 1792)},
            "'net._fc.weight' is of shape (1, 1792), and should be of 2 x 1792",
        ),
        (
            "sbi-b4-c23",
            lambda: sbi() | {"net._bn1.bias": torch.full((1792,), torch.nan)},
            "features.8.1.bias holds NaN",
        ),
        ("sbi-b4-c23", lambda: {"conv1.weight": torch.zeros(1)}, "it holds 'conv1.weight'"),
        ("sbi-b4-c23", dict, "it has no 'net._conv_stem.weight'"),
    ],
)
def test_what_is_not_the_recipe_s_is_one_line(tmp_path: Path, recipe: str, content: Any, cause: str) -> None:
    torch.save(content(), path := tmp_path / "theirs.pth")
    with pytest.raises(UserError) as caught:
        import_weights([path], recipe, tmp_path / "ours.pth")
    assert str(caught.value).startswith(f"{path}: ")
    assert cause in str(caught.value)
    assert str(caught.value).isprintable()
    assert [each.name for each in tmp_path.iterdir()] == ["theirs.pth"]


def test_half_a_file_and_none(tmp_path: Path, b0: dict[str, Tensor]) -> None:
    torch.save(b0, path := tmp_path / "theirs.pth")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=r"theirs\.pth: not a checkpoint of tensors alone \(it is damaged"):
        import_weights([path], "torchvision-2", tmp_path / "ours.pth", OURS, 1)
    with pytest.raises(UserError, match=r"none\.pth: no such checkpoint"):
        import_weights([tmp_path / "none.pth"], "torchvision-2", tmp_path / "ours.pth", OURS, 1)


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ([], "name the files, and with --recipe what they are, or with --card"),
        (
            ["--recipe", "sbi"],
            r"--recipe sbi: there are deepfakebench-b4, .*start-timm, torchvision-2; --list shows them",
        ),
        (["--recipe", "sbi-b4-c23"], "nothing is imported yet: read the licences, and add --accept-license"),
        (["--recipe", "torchvision-2", "--accept-license", "--size", 64], "--crop is needed"),
        (["--recipe", "sbi-b4-c23", "--accept-license", "--size", 64], "--size: not to be given"),
        (["--recipe", "start-timm", "--accept-license", "--size", 64], "--size: not to be given"),
        (["--recipe", "sbi-b4-c23", "--accept-license", "--to", "x.onnx"], "--to x.onnx: it will be a checkpoint"),
    ],
)
def test_mistakes_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[Any], cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("theirs.pth").touch()
    assert re.search(cause, str(command("import", "theirs.pth", *words)))
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.pth"]
    assert ("licence of weights: as the code, for research" in capsys.readouterr().out) == ("nothing" in cause)


def test_the_cards(capsys: pytest.CaptureFixture[str]) -> None:
    assert not command("import", "--list")
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if line and line[0] != " "] == list(recipes())
    assert "  licence of weights: not stated" in printed
    assert not command("import", "--list", "--recipe", "selimsef-b7")
    assert capsys.readouterr().out.splitlines()[0] == "selimsef-b7"


@pytest.mark.parametrize(
    "build", [lambda: EfficientNet.from_name("efficientnet-b0"), lambda: timm.create_model("tf_efficientnet_b0")]
)
def test_weights_to_start_training_from(tmp_path: Path, build: Callable[[], Any]) -> None:
    theirs = build().eval()
    torch.save(theirs.state_dict(), tmp_path / "adv.pth")
    assert import_weights([tmp_path / "adv.pth"], "start-advprop", tmp_path / "start.pth") is None
    assert not (tmp_path / "start.json").exists()
    network = build_model("efficientnet_b0", 0.0, tmp_path / "start.pth").eval()
    frames = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    shown = frames.permute(0, 3, 1, 2) / 127.5 - 1  # AdvProp's input
    with torch.inference_mode():
        expected = (theirs.extract_features if isinstance(theirs, EfficientNet) else theirs.forward_features)(shown)
        assert difference(network.features(frames), expected.mean((2, 3))) < 1e-4
