"""Learning from the logits of a teacher.

Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network". Beyer et al. 2022, "Knowledge
Distillation: A Good Teacher is Patient and Consistent": the teacher must see the very crop that the student sees.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate

from deepfake_detection.common.errors import UserError
from deepfake_detection.network.model import Network, build_model
from deepfake_detection.network.sidecar import read_sidecar

Teacher: TypeAlias = Callable[[Tensor], Tensor]
"""Maps frames, uint8 of shape (batch, height, width, 3), to logits, float32 of shape (batch,), without a gradient."""


def teacher_files(teacher: str) -> list[Path]:
    """The checkpoint that ``train.teacher`` names and its JSON file; nothing for ``none``."""
    return [] if teacher == "none" else [Path(teacher), Path(teacher).with_suffix(".json")]


def load_teacher(teacher: str, crop: str, margin: float) -> Teacher | None:
    """The teacher that ``train.teacher`` names: None, or that of a checkpoint with its JSON file beside it.

    Raises UserError when a file is missing or wrong, or when the teacher's frames are not cropped as ``crop`` and
    ``margin`` say, because it would then be shown what it does not know.
    """
    if teacher == "none":
        return None
    checkpoint, about = teacher_files(teacher)
    sidecar = read_sidecar(about)
    if sidecar.crop != crop or (crop != "none" and sidecar.margin != margin):
        how = f"prepare.crop: {sidecar.crop}" + f", prepare.margin: {sidecar.margin:g}" * (sidecar.crop != "none")
        raise UserError(f"train.teacher: {checkpoint} was trained with {how}: prepare the frames like that")
    return as_teacher(build_model(sidecar.arch, dropout=0.0, weights=checkpoint, trained=True), sidecar.size)


def as_teacher(network: Network, size: int) -> Teacher:
    """The teacher that ``network`` is, which wants frames of ``size`` pixels. Others are resized, antialiased."""
    network.eval().requires_grad_(False)

    def logits(frames: Tensor) -> Tensor:
        network.to(frames.device)
        with torch.no_grad():
            if frames.shape[1:3] != (size, size):
                planes = frames.permute(0, 3, 1, 2).float()
                planes = interpolate(planes, (size, size), mode="bilinear", antialias=True)
                frames = planes.round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous()
            found: Tensor = network(frames)
            return found

    return logits


def distance(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """The cross-entropy of the teacher's probabilities and the student's, each from a logit over the temperature.

    Both have shape (batch,). It is multiplied by the squared temperature, so that the gradient does not shrink with it.
    """
    wanted = torch.sigmoid(taught / temperature)
    return binary_cross_entropy_with_logits(logits / temperature, wanted) * temperature**2
