"""Checkpoints as other programs write them: taken if plainly of this network, else refused with the true cause."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import efficientnet_b1, resnet18
from torchvision.ops import StochasticDepth

from deepfake_detection.common.errors import UserError
from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.network.model import build_model
from deepfake_detection.network.variant import OURS
from deepfake_detection.network.weights import load_weights, read_weights, save_backbone
from tests.support.checkpoints import save_checkpoint, sidecar

State = dict[str, Any]


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """The weights of a B0 with one logit; not to be changed."""
    weights = build_model("efficientnet_b0", 0.2).efficientnet.state_dict()
    return {name: value.contiguous() for name, value in weights.items()}


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """A B0 to load into."""
    return build_model("efficientnet_b0", 0.2).efficientnet


def prefixed(state: State, prefix: str) -> State:
    return {prefix + name: value for name, value in state.items()}


@pytest.mark.parametrize(
    ("prefix", "key"),
    [
        ("module.", None),
        ("module.model.", "state_dict"),
        ("", "model_state_dict"),
        ("net.", "model"),
        ("efficientnet.", "net"),
        ("_orig_mod.", None),
    ],
)
def test_the_same_network_in_the_wrappings_of_others_is_loaded(
    tmp_path: Path, network: nn.Module, state: dict[str, Tensor], prefix: str, key: str | None
) -> None:
    wrapped = prefixed(state, prefix)
    if prefix:
        wrapped["criterion.pos_weight"] = torch.ones(1)
    if key:
        wrapped = {key: wrapped, "epoch": 3, "optimizer": {"state": {}}, "best": 0.5}
    torch.save(wrapped, tmp_path / "other.pth")
    nn.init.zeros_(network.get_parameter("classifier.1.weight"))
    load_weights(network, read_weights(tmp_path / "other.pth"), trained=True)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_files_are_read_by_what_they_hold(tmp_path: Path, network: nn.Module, state: dict[str, Tensor]) -> None:
    counted = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    save_file(prefixed(counted, "module."), tmp_path / "safetensors.pth")
    torch.save(state, tmp_path / "torch.safetensors")
    for name in ("safetensors.pth", "torch.safetensors"):
        nn.init.zeros_(network.get_parameter("classifier.1.weight"))
        load_weights(network, read_weights(tmp_path / name), trained=True)
        assert torch.equal(network.get_parameter("classifier.1.weight"), state["classifier.1.weight"])


HEAD, ZIP = "classifier.1.weight", "_use_new_zipfile_serialization"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda state: {name.replace("classifier.1", "classifier.1.0"): state[name] for name in state}, "none"),
        (lambda state: {name: state[name] for name in state if not name.startswith("classifier")}, "none"),
        (lambda state: state | {HEAD: torch.ones(2, 1280), "classifier.1.bias": torch.ones(2)}, "one of 2 classes"),
        (lambda state: state | {HEAD: torch.tensor(1.0)}, "one of 0 classes"),
    ],
)
def test_another_head_is_left_out_in_training_and_refused_in_use(
    tmp_path: Path, state: State, change: Any, found: str
) -> None:
    path = tmp_path / "other.pth"
    model = build_model("efficientnet_b0", 0.2)
    save_checkpoint(path, model, sidecar())
    torch.save(change(state), path)
    own = model.efficientnet.state_dict()[HEAD].clone()
    load_weights(model.efficientnet, read_weights(path))
    loaded = model.efficientnet.state_dict()
    assert torch.equal(loaded[HEAD], own)
    assert torch.equal(loaded["features.8.0.weight"], state["features.8.0.weight"])
    with pytest.raises(UserError) as caught:
        load_checkpoint(path)
    reason = f"{path}: it needs a head of one logit and has {found}: train it first, with model.weights={path}"
    assert str(caught.value) == reason


@pytest.mark.parametrize("scratch", [True, False])
def test_training_goes_on_from_a_backbone_as_it_began(tmp_path: Path, scratch: bool) -> None:
    pretrained = build_model("efficientnet_b0", 0.2).efficientnet
    save_backbone(tmp_path / "backbone.pth", pretrained, OURS, scratch)
    model = build_model("efficientnet_b0", 0.2, tmp_path / "backbone.pth")
    dropped = {each.p for each in model.modules() if isinstance(each, StochasticDepth)}
    assert (dropped == {0.0}) == scratch
    loaded, expected = model.efficientnet.state_dict(), pretrained.state_dict()
    assert all(torch.equal(loaded[name], expected[name]) for name in loaded if not name.startswith("classifier."))
    assert not torch.equal(loaded["classifier.1.weight"], expected["classifier.1.weight"])


class Holder(nn.Module):
    """A network that somebody pickled whole."""


def meta(build: Any) -> State:
    with torch.device("meta"):
        return {name: torch.zeros(value.shape) for name, value in build().state_dict().items()}


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (lambda: meta(efficientnet_b1), "it is of efficientnet_b1: set model.arch to that"),
        (lambda: prefixed(meta(efficientnet_b1), "module."), "it is of efficientnet_b1: set model.arch to that"),
        (lambda: meta(resnet18), "its layers are those of another network, such as 'conv1.weight'"),
        (lambda: {"a.features.0.0.weight": 1, "b.features.0.0.weight": 1}, "'a.features.0.0.weight', 'b.features"),
        (dict, "it holds nothing"),
        (lambda: {"epoch": 1}, "not a plain state_dict of tensors: 'epoch' is no tensor"),
        (lambda: [1], "not a plain state_dict of tensors, but a list"),
        (Holder, f"it holds the Python object {__name__}.Holder: save the network's state_dict() alone"),
        (lambda: {"args": argparse.Namespace()}, "it holds the Python object argparse.Namespace"),
    ],
)
def test_what_is_of_another_network_gets_the_true_cause(
    tmp_path: Path, network: nn.Module, content: Any, cause: str
) -> None:
    torch.save(content(), tmp_path / "other.pth")
    with pytest.raises(UserError) as caught:
        load_weights(network, read_weights(tmp_path / "other.pth"))
    assert str(caught.value).startswith(f"{tmp_path / 'other.pth'}: not a ")
    assert cause in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("as_zip", [True, False])
@pytest.mark.parametrize("score", [np.float64(0.5), np.float32(0.5)])
def test_a_score_of_numpy_beside_the_weights_is_read(tmp_path: Path, score: Any, as_zip: bool) -> None:
    torch.save({"state_dict": {HEAD: torch.ones(1)}, "best": score}, path := tmp_path / "other.pth", **{ZIP: as_zip})
    assert read_weights(path).state.keys() == {HEAD}
    if not as_zip:  # numpy 1 had another name for what makes a number
        content = path.read_bytes()
        path.write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
        assert path.read_bytes() != content
        assert read_weights(path).state.keys() == {HEAD}


def test_nothing_else_of_numpy_is_read(tmp_path: Path) -> None:
    torch.save({"state_dict": {HEAD: torch.ones(1)}, "best": np.ones(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"it holds the Python object numpy\._core\.multiarray\._reconstruct"):
        read_weights(tmp_path / "other.pth")


def test_two_networks_in_one_file_are_named(tmp_path: Path, network: nn.Module, state: State) -> None:
    torch.save(prefixed(state, "student.") | prefixed(state, "teacher."), tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"it holds several networks \(student\., teacher\.\): save one of them alone"):
        load_weights(network, read_weights(tmp_path / "other.pth"))


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "it is empty"),
        (b"accuracy 0.98\n", "it is a text file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "it is a pointer of Git LFS"),
        (b"\n<!DOCTYPE html><html>", "it is a web page: the download went wrong"),
        (b"\x89HDF\r\n\x1a\n", "it is a file of Keras"),
        (b"PK\x03\x04" + b"\0" * 100, "it is damaged, incomplete or of another program"),
    ],
)
def test_what_is_no_checkpoint_is_named(tmp_path: Path, network: nn.Module, content: bytes, cause: str) -> None:
    for name in ("other.pth", "other.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=rf"{name}: not a checkpoint of tensors alone \({cause}") as caught:
            load_weights(network, read_weights(tmp_path / name))
        assert "nothing of it was run" in str(caught.value)


def test_a_folder_is_no_checkpoint_nor_what_is_missing_or_cut(tmp_path: Path, network: nn.Module, state: State) -> None:
    torch.save(state, path := tmp_path / "cut.pth")
    path.write_bytes(path.read_bytes()[:-1])
    for name, cause in (("", "a folder"), ("missing.pth", "no such checkpoint"), ("cut.pth", "it is damaged")):
        with pytest.raises(UserError, match=cause):
            load_weights(network, read_weights(tmp_path / name))


def test_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    save_checkpoint(tmp_path / "mine.pth", build_model("efficientnet_b0", 0.2), sidecar())
    assert load_checkpoint(Path("~/mine.pth"))[1] == sidecar()
