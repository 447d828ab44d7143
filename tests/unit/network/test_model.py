"""The network, its initialisation and what it loads."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.efficientnet import MBConv

from deepfake_detection.common.errors import UserError
from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.network.model import Network, build_model
from deepfake_detection.network.sidecar import Calibration, read_sidecar
from deepfake_detection.network.weights import load_weights, read_weights
from tests.support.checkpoints import save_checkpoint, sidecar
from tests.support.disks import file_size_limit


def test_b7_has_as_many_parameters_as_its_paper_less_999_classes() -> None:
    with torch.device("meta"):
        model = build_model("efficientnet_b7", dropout=0.5)
    head = model.get_submodule("efficientnet.classifier")
    assert sum(p.numel() for p in model.parameters()) == 63_789_521
    assert all(p.requires_grad for p in model.parameters())
    assert [module.p for module in head.modules() if isinstance(module, nn.Dropout)] == [0.5]


def test_the_head_starts_as_torch_s_linear_layers_do() -> None:
    bound = 1 / 1280**0.5
    assert (
        build_model("efficientnet_b0", dropout=0.5).get_parameter("efficientnet.classifier.1.weight").abs().max()
        <= bound
    )


def test_from_scratch_residual_blocks_start_as_the_identity() -> None:
    model = build_model("efficientnet_b0", dropout=0.2).train()
    block = next(m for m in model.modules() if isinstance(m, MBConv) and m.use_res_connect)
    frames = torch.randn(2, block.block[0][0].in_channels, 8, 8)
    assert torch.equal(block(frames), frames)
    assert {m.momentum for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {0.1}


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    model = build_model("efficientnet_b0", 0.2)
    path = tmp_path / "best_model_efficientnet_b0.pth"
    written = sidecar(input_size=[96, 96], categories={"real": ["Original"], "fake": ["X"]}, crop="face", margin=0.25)
    save_checkpoint(path, model, written)
    state, own = torch.load(path, weights_only=True), model.efficientnet.state_dict()
    assert state.keys() == own.keys()  # torchvision's names, which other programs know
    assert all(torch.equal(state[name], value) for name, value in own.items())
    loaded, found, _ = load_checkpoint(path)
    frames = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    assert torch.equal(loaded(frames), model.eval()(frames))
    assert found == written
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert found.size == 96
    assert found.resize == "a square around the face, squeezed to the input size, antialiased bilinear"
    assert sidecar().resize == "squeezed to the input size, antialiased bilinear"


def test_sidecars_of_earlier_versions_are_read(tmp_path: Path) -> None:
    frame = {"temperature": 2.0, "bias": 0.5, "threshold": 0.4, "thresholds": {"youden": 0.3}, "unavailable": {}}
    written = sidecar(frame=frame, video=frame).model_dump()
    flat = {name: value for name, value in written.items() if name not in ("frame", "video")} | {"best_epoch": 3}
    (tmp_path / "x.json").write_text(json.dumps(flat | frame))
    assert read_sidecar(tmp_path / "x.json").model_dump() == written
    (tmp_path / "x.json").write_text(json.dumps(flat | frame | {"video": {"threshold": 0.7}}))
    found = read_sidecar(tmp_path / "x.json")
    # on how many originals its rates rest is not known, nor what its ratios are worth
    unknown = {"groups": 0, "evidence": None}
    assert (found.frame.model_dump(), found.video) == (frame | unknown, Calibration(threshold=0.7))
    (tmp_path / "x.json").write_text(json.dumps(flat | {"temperature": 0}))
    with pytest.raises(UserError, match=r"\(frame\.temperature"):
        read_sidecar(tmp_path / "x.json")


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


def test_checkpoint_without_its_sidecar_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"best\.json: not there"):
        load_checkpoint(tmp_path / "best.pth")


HEAD = "classifier.1.weight"


def tiny() -> nn.Module:
    """Weights of the head's names, without a network to build."""
    return nn.ModuleDict({"classifier": nn.Sequential(nn.Dropout(), nn.Linear(8, 1))})


def holding(tensor: Tensor) -> Network:
    """A network to save that is one tensor and nothing else."""
    module = nn.Module()
    module.register_buffer("a", tensor)
    return Network(module)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of some tensors, and a sidecar; not to be changed."""
    path = tmp_path_factory.mktemp("models") / "best_model_efficientnet_b0.pth"
    save_checkpoint(path, holding(torch.zeros(100_000)), sidecar())
    return path


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (torch.full((1, 8), torch.nan), f"{HEAD} holds NaN or infinite"),
        (torch.full((1, 8), torch.inf), f"{HEAD} holds NaN or infinite"),
        (torch.zeros(1, 8).to_sparse(), f"{HEAD} is not a plain tensor"),
        (torch.zeros(1, 8, device="meta"), f"{HEAD} is not a plain tensor"),
        (torch.zeros(1, 8, dtype=torch.complex64), f"{HEAD} is not a plain tensor"),
        (torch.zeros(1, 9), "not a checkpoint of this architecture"),
        ("text", "not a plain state_dict"),
    ],
)
def test_weights_that_no_training_gives_are_refused(tmp_path: Path, value: Any, reason: str) -> None:
    torch.save(tiny().state_dict() | {HEAD: value}, tmp_path / "mine.pth")
    with pytest.raises(UserError, match=reason) as caught:
        load_weights(tiny(), read_weights(tmp_path / "mine.pth"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"arch": "resnet50"},
        {"arch": "efficientnet_b0\n"},
        {"frame": {"temperature": 0}},
        {"frame": {"temperature": float("nan")}},
        {"frame": {"temperature": float("inf")}},
        {"frame": {"temperature": 10**400}},
        {"frame": {"threshold": 1.5}},
        {"video": {"thresholds": {"best": 0.5}}},
        {"frame": {"thresholds": {"a\nb\x1b[2J": 2.0}}},
        {"input_size": [96, -1]},
        {"categories": {"real": ["<script>"], "fake": ["X"]}},
        {"std": [0.2, 0.2, 0.0]},
    ],
)
def test_a_hostile_sidecar_is_one_line_that_names_the_key(tmp_path: Path, saved: Path, change: dict[str, Any]) -> None:
    written = json.loads(saved.with_suffix(".json").read_text())
    (tmp_path / "x.json").write_text(json.dumps(written | change))
    with pytest.raises(UserError, match=rf"x\.json: not the sidecar of a checkpoint \({next(iter(change))}") as caught:
        load_checkpoint(tmp_path / "x.pth")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"arch": ' + b"1" * 10_000 + b"}"])
def test_what_is_no_sidecar_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(UserError, match="not the sidecar of a checkpoint") as caught:
        load_checkpoint(tmp_path / "x.pth")
    assert "\n" not in str(caught.value)


def test_a_full_disk_leaves_the_earlier_checkpoint_and_sidecar(saved: Path) -> None:
    before = {path.name: path.read_bytes() for path in saved.parent.iterdir()}
    assert len(before) == 2
    for limit in (1000, len(before[saved.name]) - 1):
        with (
            file_size_limit(limit),
            pytest.raises(OSError, match=r"File too large: '.*best_model_efficientnet_b0\.pth"),
        ):
            save_checkpoint(saved, holding(torch.ones(100_000)), sidecar(input_size=[64, 64]))
        assert {path.name: path.read_bytes() for path in saved.parent.iterdir()} == before


def test_the_same_weights_are_the_same_bytes_under_any_name(tmp_path: Path, saved: Path) -> None:
    save_checkpoint(tmp_path / "x.pth", holding(torch.zeros(100_000)), sidecar())
    assert (tmp_path / "x.pth").read_bytes() == saved.read_bytes()
