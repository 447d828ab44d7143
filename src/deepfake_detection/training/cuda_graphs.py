"""Forward and backward pass of a training step as CUDA graphs: one launch each, where Python starts thousands.

``torch.cuda.make_graphed_callables`` replays the kernels of an ordinary step in the same order, with nothing to compile
and no other rounding. Autograd sees one node, so loss, clipping, scaling and the optimiser stay as they are.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from deepfake_detection.training.classifier import FrameClassifier
from deepfake_detection.training.loader import FrameBatches

Pass: TypeAlias = Callable[[Tensor], Tensor]
"""Maps frames, uint8 of shape (batch, height, width, 3), to logits: a network in training, or without a gradient."""


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


def capture(passes: Sequence[Pass], frames: Tensor) -> list[Pass]:
    """What computes as each of ``passes`` does, by a CUDA graph where there are as many frames as ``frames``.

    They must be called in this order. What one returns is overwritten when it is called again. Batch-norm statistics
    and random numbers are afterwards as they were. Raises RuntimeError when one of the passes cannot be captured.
    """
    device = torch.cuda.current_device()
    generator = torch.cuda.default_generators[device]
    numbers = generator.clone_state()
    # torch runs the networks a few times before it captures them
    buffers = [(buffer, buffer.clone()) for network in _networks(passes) for buffer in network.buffers()]
    # modules of their own, because torch replaces the forward pass of those that it is given
    whole = tuple(nn.Sequential(each) if isinstance(each, nn.Module) else each for each in passes)
    try:
        # torch leaves its own stream the current one when a capture fails
        with torch.random.fork_rng([device]), torch.cuda.stream(torch.cuda.current_stream()):
            replays = torch.cuda.make_graphed_callables(cast(Any, whole), ((frames,),) * len(whole))
    except RuntimeError:
        generator.graphsafe_set_state(numbers)  # else it may wait for the end of the failed capture, and draw no more
        raise
    finally:
        for buffer, before in buffers:
            buffer.copy_(before)
    return [by_size(len(frames), replay, each) for replay, each in zip(cast(Any, replays), passes, strict=True)]


def by_size(size: int, usual: Pass, other: Pass) -> Pass:
    """A pass that is ``usual`` on ``size`` frames and ``other`` on any other number of them."""
    return lambda frames: (usual if len(frames) == size else other)(frames)


def keep_gradients(network: nn.Module) -> None:
    """Gives each parameter a gradient of its own, so that those of several batches can be added up.

    A replay writes all gradients to the same places, and autograd keeps the first as they are rather than a copy. The
    second replay would overwrite the first, and be added to itself (https://github.com/pytorch/pytorch/issues/181723).
    """
    for parameter in network.parameters():
        parameter.register_hook(torch.clone)  # type: ignore[no-untyped-call]


def _networks(passes: Iterable[Pass]) -> Iterator[nn.Module]:
    return (each for each in passes if isinstance(each, nn.Module))
