"""Networks of timm and efficientnet_pytorch with weights drawn by name, to compare ours with in float64."""

from typing import Any
from zlib import crc32

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate


def drawn(network: nn.Module, size: int = 64) -> Any:
    """``network`` in float64 and evaluation mode. Its weights depend on their names alone.

    The statistics of its batch norms are those of one batch of noise in training, so that all of them matter.
    """
    network.double()
    for name, parameter in network.named_parameters():
        generator = torch.Generator().manual_seed(crc32(name.encode()))
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            if parameter.ndim > 1:
                parameter.copy_(noise * (2 / parameter[0].numel()) ** 0.5)
            else:
                parameter.copy_(noise / 10 + (0.5 if name.endswith("weight") else 0))
    norms = [module for module in network.eval().modules() if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d)]
    for norm in norms:
        norm.train().momentum = 1.0  # all else stays as in evaluation: no block is dropped
    with torch.no_grad():
        network(pictures(size, 8))
    return network.eval()


def pictures(size: int, number: int = 2) -> Tensor:
    """Noise in squares of 1 to 32 pixels, as normalised pictures: float64 of shape (number, 3, size, size)."""
    generator = torch.Generator().manual_seed(size)
    found = torch.zeros(number, 3, size, size, dtype=torch.float64)
    for side in (1, 2, 4, 8, 16, 32):
        squares = torch.randn(number, 3, -(-size // side), -(-size // side), generator=generator)
        found += interpolate(squares, scale_factor=side)[:, :, :size, :size] / 2
    return found


def difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest of the expected values."""
    return ((found - expected).abs().max() / expected.abs().max()).item()
