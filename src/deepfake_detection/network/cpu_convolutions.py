"""Convolutions that are faster on processors. What they compute is what nn.Conv2d computes.

On the small maps of the last stages two kinds of convolution cost oneDNN more than all else:
- 5 x 5 depthwise: its own kernel for the weight gradient is for 3 x 3 alone, and 5 x 5 is computed in groups of 16;
- 1 x 1: the weights are put into another order at each call, which costs more than the product.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear
from torch.nn.grad import conv2d_input

MOST, MOST_TO_PREDICT = 16, 6  # pixels a side; on larger maps oneDNN is as fast


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution of stride 1.

    A weight's gradient is the sum over places of the input times the gradient of the output, shifted by the weight's
    place: that is a depthwise convolution too, of the input with the output's gradient as kernel.
    """

    @staticmethod
    def forward(context: Any, maps: Tensor, weight: Tensor, padding: tuple[int, int]) -> Tensor:
        context.save_for_backward(maps, weight)
        context.padding = padding
        return conv2d(maps, weight, padding=padding, groups=len(weight))

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None]:
        maps, weight = context.saved_tensors
        padding: tuple[int, int] = context.padding
        of_maps = None
        if context.needs_input_grad[0]:
            of_maps = conv2d_input(  # type: ignore[no-untyped-call]
                maps.shape, weight, gradient, padding=padding, groups=len(weight)
            )
        batch, channels, *sides = maps.shape
        kernels = gradient.reshape(batch * channels, 1, *gradient.shape[2:])
        each = conv2d(maps.reshape(1, batch * channels, *sides), kernels, padding=padding, groups=len(kernels))
        return of_maps, each.view(batch, *weight.shape).sum(0), None


class Depthwise(nn.Conv2d):
    """A depthwise convolution of stride 1, without bias."""

    def forward(self, input: Tensor) -> Tensor:
        if self.training and torch.is_grad_enabled() and _is_quicker(input, MOST):
            found: Tensor = _Depthwise.apply(input, self.weight, self.padding)
            return found
        return super().forward(input)


class Pointwise(nn.Conv2d):
    """A convolution of 1 x 1 and stride 1: a linear layer at each place of a map in channels_last."""

    def forward(self, input: Tensor) -> Tensor:
        most = MOST if self.training else MOST_TO_PREDICT
        if self.training == torch.is_grad_enabled() and _is_quicker(input, most):
            return linear(input.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)
        return super().forward(input)


def hasten(network: nn.Module) -> None:
    """Makes the convolutions of both kinds Depthwise and Pointwise. They keep their weights."""
    for layer in network.modules():
        if type(layer) is not nn.Conv2d or layer.stride != (1, 1):
            continue
        if layer.kernel_size == (1, 1) and layer.groups == 1:
            layer.__class__ = Pointwise
        elif layer.kernel_size == (5, 5) and layer.groups == layer.in_channels == layer.out_channels and not layer.bias:
            layer.__class__ = Depthwise


def _is_quicker(input: Tensor, most: int) -> bool:
    """Whether a map on a CPU has ``most`` pixels a side, and neither autocast nor an export would change the layers."""
    plain = not torch.is_autocast_enabled("cpu") and not torch.compiler.is_compiling()
    return plain and input.device.type == "cpu" and max(input.shape[2:]) <= most
