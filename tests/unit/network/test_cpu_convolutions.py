import copy

import pytest
import torch
from torch import Tensor, nn

from deepfake_detection.network.cpu_convolutions import MOST, MOST_TO_PREDICT, Depthwise, Pointwise, hasten
from deepfake_detection.network.model import build_model

LAYERS = {
    "depthwise": (nn.Conv2d(24, 24, 5, padding=2, groups=24, bias=False), Depthwise),
    "pointwise": (nn.Conv2d(24, 40, 1, bias=False), Pointwise),
    "squeeze": (nn.Conv2d(24, 6, 1), Pointwise),
}


def gradients(layer: nn.Module, maps: Tensor) -> list[Tensor]:
    """The output of the layer, and the gradients of input and weights of a sum with different terms."""
    maps = maps.clone().requires_grad_()
    out = layer(maps)
    terms = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
    return [out, *torch.autograd.grad((out * terms).sum(), [maps, *layer.parameters()])]


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (7, 5), (MOST, 2), (MOST + 1, 4)])
def test_layers_give_the_output_and_the_gradients_of_conv2d(kind: str, size: tuple[int, int]) -> None:
    plain, expected = LAYERS[kind]
    layer = nn.Sequential(copy.deepcopy(plain)).double()
    maps = torch.rand(2, 24, *size, dtype=torch.float64).to(memory_format=torch.channels_last)
    wanted = gradients(layer, maps)
    hasten(layer)
    assert type(layer[0]) is expected
    for found, right in zip(gradients(layer, maps), wanted, strict=True):
        torch.testing.assert_close(found, right, rtol=1e-12, atol=1e-12)


def test_other_convolutions_stay() -> None:
    others = nn.Sequential(
        nn.Conv2d(8, 8, 5, stride=2, groups=8, bias=False),
        nn.Conv2d(8, 8, 3, groups=8, bias=False),
        nn.Conv2d(8, 8, 5),
        nn.Conv2d(8, 8, 1, groups=2),
        nn.Conv2d(8, 8, 1, stride=2),
    )
    hasten(others)
    assert {type(layer) for layer in others} == {nn.Conv2d}


def test_a_network_trains_with_them_and_predicts_with_the_gradients_of_conv2d_alone() -> None:
    network = build_model("efficientnet_b0", dropout=0.0).train()
    plain: nn.Module = copy.deepcopy(network)
    kinds = [type(layer) for layer in network.modules()]
    assert (kinds.count(Depthwise), kinds.count(Pointwise)) == (7, 64)
    for layer in plain.modules():
        if isinstance(layer, Depthwise | Pointwise):
            object.__setattr__(layer, "__class__", nn.Conv2d)
    frames = torch.randint(0, 255, (4, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    steps = []
    for each in (network, plain):
        each.double()
        each(frames).square().sum().backward()
        steps.append(torch.cat([weight.grad.flatten() for weight in each.parameters() if weight.grad is not None]))
    # logits are cut to float32, so that is what the gradients agree to
    torch.testing.assert_close(steps[0], steps[1], rtol=1e-5, atol=1e-5 * float(steps[1].abs().max()))
    names = {node.name() for node in _graph(network, frames)}
    assert any("_Depthwise" in name for name in names)
    assert not any("_Depthwise" in node.name() for node in _graph(network.eval(), frames))


@pytest.mark.parametrize("side", [1, MOST_TO_PREDICT, MOST_TO_PREDICT + 1])
def test_predictions_of_small_maps_are_products_of_matrices_and_exports_keep_the_convolution(side: int) -> None:
    layer = copy.deepcopy(nn.Sequential(LAYERS["squeeze"][0])).double().eval()
    maps = torch.rand(2, 24, side, side, dtype=torch.float64)
    wanted = layer(maps)
    hasten(layer)
    with torch.inference_mode(), torch.profiler.profile() as profile:
        found = layer(maps)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    products = {event.key for event in profile.key_averages()} & {"aten::linear", "aten::conv2d"}
    assert products == {"aten::linear" if side <= MOST_TO_PREDICT else "aten::conv2d"}
    with torch.no_grad():
        exported = torch.export.export(layer, (maps,)).graph.nodes
    assert "aten.conv2d.default" in {str(node.target) for node in exported}


def _graph(network: nn.Module, frames: Tensor) -> list[torch.autograd.graph.Node]:
    """All that autograd would compute for the network's logits."""
    found, waiting = list[torch.autograd.graph.Node](), [network(frames).grad_fn]
    seen = set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            found.append(node)
            waiting += [each for each, _ in node.next_functions]
    return found
