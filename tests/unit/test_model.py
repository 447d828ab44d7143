"""The network, its initialisation and what it loads."""

import pickle
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import efficientnet_b0
from torchvision.models.efficientnet import MBConv

from deepfake_detection.checkpoint import load_checkpoint, save_checkpoint
from deepfake_detection.errors import UserError
from deepfake_detection.model import build_model


def test_b7_has_as_many_parameters_as_its_paper_less_999_classes() -> None:
    model = build_model("efficientnet_b7", dropout=0.5)
    head = model.get_submodule("classifier")
    assert sum(p.numel() for p in model.parameters()) == 63_789_521
    assert all(p.requires_grad for p in model.parameters())
    assert [module.p for module in head.modules() if isinstance(module, nn.Dropout)] == [0.5]
    bound = 1 / 2560**0.5
    assert model.get_parameter("classifier.1.weight").abs().max() <= bound


def test_from_scratch_residual_blocks_start_as_the_identity() -> None:
    model = build_model("efficientnet_b0", dropout=0.2).train()
    block = next(m for m in model.modules() if isinstance(m, MBConv) and m.use_res_connect)
    frames = torch.randn(2, block.block[0][0].in_channels, 8, 8)
    assert torch.equal(block(frames), frames)
    assert {m.momentum for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {0.1}


def test_imagenet_backbone_is_taken_and_its_head_is_not(tmp_path: Path) -> None:
    imagenet = efficientnet_b0(weights=None).state_dict()
    torch.save(imagenet, tmp_path / "imagenet.pth")
    state = build_model("efficientnet_b0", 0.2, tmp_path / "imagenet.pth").state_dict()
    assert state["classifier.1.weight"].shape == (1, 1280)
    assert all(torch.equal(state[name], imagenet[name]) for name in state if not name.startswith("classifier"))


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    model = build_model("efficientnet_b0", 0.2)
    path = tmp_path / "best_model_efficientnet_b0.pth"
    save_checkpoint(path, model.state_dict(), "efficientnet_b0", 96, {"real": ["Original"], "fake": ["X"]}, 3)
    state = torch.load(path, weights_only=True)
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    loaded, sidecar = load_checkpoint(path)
    frames = torch.randn(2, 3, 64, 64)
    assert torch.equal(loaded(frames), model.eval()(frames))
    assert sidecar["parameters"] == sum(p.numel() for p in model.parameters())
    assert (sidecar["arch"], sidecar["input_size"], sidecar["best_epoch"]) == ("efficientnet_b0", [96, 96], 3)
    assert sidecar["mean"] == [0.485, 0.456, 0.406]
    assert sidecar["categories"] == {"real": ["Original"], "fake": ["X"]}


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.mark,)  # type: ignore[return-value]


def test_a_pickle_bomb_is_refused_and_does_not_go_off(tmp_path: Path) -> None:
    mark = tmp_path / "went off"
    with (tmp_path / "bomb.pth").open("wb") as file:
        pickle.dump(Bomb(mark), file)
    torch.save({"features": Bomb(mark)}, tmp_path / "bomb2.pth")
    for name in ("bomb.pth", "bomb2.pth"):
        with pytest.raises(UserError, match="not a checkpoint of tensors alone"):
            build_model("efficientnet_b0", 0.2, tmp_path / name)
    assert not mark.exists()


def test_what_is_no_checkpoint_of_this_network_is_one_line(tmp_path: Path) -> None:
    torch.save(build_model("efficientnet_b1", 0.2).state_dict(), tmp_path / "b1.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "empty.pth").write_text("")
    for name in ("b1", "list", "text", "empty", "missing"):
        with pytest.raises(UserError, match=rf"{name}\.pth") as caught:
            build_model("efficientnet_b0", 0.2, tmp_path / f"{name}.pth")
        assert "\n" not in str(caught.value)


def test_checkpoint_without_its_sidecar_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"best\.json: not there"):
        load_checkpoint(tmp_path / "best.pth")
