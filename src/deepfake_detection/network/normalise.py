"""Converts stored bytes to the input of a network that was pretrained on ImageNet."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, as torchvision's weights expect
LITE_MEAN, LITE_STD = (127 / 255,) * 3, (128 / 255,) * 3  # from -1 to 1, as the weights of EfficientNet-Lite0 expect


class Normalise(nn.Module):
    """Converts frames, uint8 RGB of shape (batch, height, width, 3), to float32 of shape (batch, 3, height, width).

    Each channel, from 0 to 1, has ``mean`` taken away and is divided by ``std``. This is the first layer of every
    network here, so that frames are sent to the device as bytes, four times as fast as float32. Its constants are not
    part of a checkpoint. The result is in channels_last, the memory order of its input.
    """

    def __init__(self, mean: Sequence[float] = MEAN, std: Sequence[float] = STD) -> None:
        super().__init__()
        centre, spread = (torch.tensor(value, dtype=torch.float64) for value in (mean, std))
        self.register_buffer("scale", (1 / (255 * spread)).float(), persistent=False)
        self.register_buffer("shift", (-centre / spread).float(), persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        scale, shift = cast(Tensor, self.scale), cast(Tensor, self.shift)
        width = frames.shape[2]
        # whole lines of width * 3 values, because vector instructions need more than three values in a row
        lines = torch.addcmul(shift.repeat(width), frames.flatten(2).float(), scale.repeat(width))
        return lines.view(frames.shape).permute(0, 3, 1, 2)
