"""Forward and backward pass of a training step as CUDA graphs.

Autograd sees one node, so loss, clipping, scaling and the optimiser stay as they are.
"""

from typing import cast

import pytorch_lightning as pl
import torch
from torch import nn

from deepfake_detection.network.cuda_graphs import Pass, capture
from deepfake_detection.training.classifier import FrameClassifier
from deepfake_detection.training.loader import FrameBatches


class CaptureSteps(pl.Callback):
    """Lets a FrameClassifier learn from batches of the usual size by CUDA graphs, if it can. A line says what it does.

    It captures before there are loaders, because their threads use the GPU too, which a capture forbids.
    """

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        classifier = cast(FrameClassifier, pl_module)
        batches = cast(FrameBatches, trainer.datamodule)  # type: ignore[attr-defined]
        why = refusal(classifier.device, trainer.world_size)
        if not why:
            size = batches.usual_batch()
            frames = torch.zeros((size, *batches.pixels.shape[1:]), dtype=torch.uint8, device=classifier.device)
            passes: list[Pass] = [classifier.model, *([classifier.teacher] if classifier.teacher else [])]
            try:
                with trainer.precision_plugin.forward_context():
                    network, *teacher = capture(passes, frames)
            except RuntimeError as error:
                why = str(error).splitlines()[0]
            else:
                if trainer.accumulate_grad_batches > 1:
                    keep_gradients(classifier.model)
                classifier.captured = network
                classifier.teacher = teacher[0] if teacher else None
        if trainer.is_global_zero:
            said = f"not captured: {why}" if why else f"steps of {size} frames are captured"
            print(f"train.compile: graph: {said}", flush=True)


def refusal(device: torch.device, processes: int) -> str:
    """Why ``processes`` that train, this one on ``device``, capture nothing; empty if they do."""
    if device.type != "cuda":
        return "no GPU"
    return "several processes train together" if processes > 1 else ""


def keep_gradients(network: nn.Module) -> None:
    """Gives each parameter a gradient of its own, so that those of several batches can be added up.

    A replay writes all gradients to the same places, and autograd keeps the first as they are rather than a copy. The
    second replay would overwrite the first, and be added to itself (https://github.com/pytorch/pytorch/issues/181723).
    """
    for parameter in network.parameters():
        parameter.register_hook(torch.clone)  # type: ignore[no-untyped-call]
