"""Files of weights of timm and efficientnet_pytorch: our network computes what theirs does."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from efficientnet_pytorch import EfficientNet
from torch import Tensor

from deepfake_detection.common.errors import UserError
from deepfake_detection.network.dialects.dialect import torchvision_names
from deepfake_detection.network.model import Network, build_model
from deepfake_detection.network.normalise import Normalise
from deepfake_detection.network.variant import Variant
from deepfake_detection.network.weights import Weights, architecture_of, read_weights, save_weights, with_variant
from tests.support.references import difference, drawn, pictures

NETWORKS: dict[str, tuple[Any, Variant]] = {
    "timm": (lambda: timm.create_model("tf_efficientnet_b0", num_classes=1), Variant(padding="same", eps=1e-3)),
    "efficientnet_pytorch": (
        lambda: EfficientNet.from_name("efficientnet-b0", num_classes=1),
        Variant(padding="static", padding_size=224, eps=1e-3),
    ),
}
B0 = "efficientnet_b0"


@pytest.fixture(scope="module", params=NETWORKS)
def program(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def reference(program: str) -> Any:
    return drawn(NETWORKS[program][0]())


@pytest.fixture(scope="module")
def path(reference: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "theirs.pth"
    torch.save({"state_dict": {f"module.{name}": value for name, value in reference.state_dict().items()}}, path)
    return path


def exact(weights: Weights, variant: Variant, folder: Path) -> Network:
    """A B0 of ``variant`` in float64, whose weights are not rounded on the way."""
    network = build_model(B0, 0.0)
    state = torchvision_names(weights.state, weights.dialect, network.efficientnet.state_dict())
    torch.save(with_variant(state, variant), folder / "variant.pth")
    network = build_model(B0, 0.0, folder / "variant.pth", trained=True).double().eval()
    network.efficientnet.load_state_dict(state, strict=False)
    return network


def test_it_is_the_network_of_the_other_program(program: str, reference: Any, path: Path, tmp_path: Path) -> None:
    weights, variant = read_weights(path), NETWORKS[program][1]
    assert weights.dialect.program == program
    assert weights.variant_of(B0) == variant
    assert architecture_of(weights) == B0
    wrong = {
        "right": variant,
        "padding": variant.model_copy(update={"padding": "symmetric"}),
        "eps": variant.model_copy(update={"eps": 1e-5}),
        "stem": variant.model_copy(update={"stem": "unpadded"}),
        "size": variant.model_copy(update={"padding": "static", "padding_size": 225}),
    }
    networks = {name: exact(weights, each, tmp_path) for name, each in wrong.items()}
    found: dict[str, list[float]] = {name: [] for name in networks}
    with torch.inference_mode():
        for size in (64, 45):
            expected: Tensor = reference(pictures(size))
            assert expected.std() / expected.abs().max() > 1e-3  # they tell pictures apart
            for name, network in networks.items():
                found[name].append(difference(network.efficientnet(pictures(size)), expected))
    assert max(found.pop("right")) < 1e-9
    assert all(max(each) > 1e-3 for each in found.values()), found


def test_the_variant_travels_with_the_weights(program: str, path: Path, tmp_path: Path) -> None:
    network = build_model(B0, 0.0, path)
    variant = NETWORKS[program][1].model_copy(update={"mean": [0.5] * 3, "std": [0.25] * 3})
    save_weights(tmp_path / "ours.pth", network.efficientnet, variant)
    again = build_model(B0, 0.0, tmp_path / "ours.pth", trained=True)
    assert again.variant == variant
    frames = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    shown = Normalise(variant.mean or (), variant.std or ())(frames)
    torch.testing.assert_close(again.eval()(frames), network.eval().efficientnet(shown).squeeze(1))


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ({"padding": "valid"}, r"what it says of its network cannot be \(padding\)"),
        ({"eps": 0.0}, r"cannot be \(eps\)"),
        ({"std": [0.5, 0.5, 0.0]}, r"cannot be \(std\.2\)"),
        ({"code": "x"}, r"cannot be \(code\)"),
        ({"attention": 3}, "no stage of this architecture ends with block 3"),
        ({"attention": 4}, r"first difference: 'features\.3\.2\.attention\.weight'"),
    ],
)
def test_what_a_file_says_of_its_network_is_checked(tmp_path: Path, said: dict[str, Any], cause: str) -> None:
    state = build_model(B0, 0.0).efficientnet.state_dict()
    torch.save({"state_dict": state, "variant": said}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=cause) as caught:
        build_model(B0, 0.0, tmp_path / "other.pth")
    assert str(caught.value).isprintable()
