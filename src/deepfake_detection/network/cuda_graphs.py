"""Passes of a network as CUDA graphs: one launch each, where Python starts thousands of kernels.

``torch.cuda.make_graphed_callables`` replays the kernels of an ordinary pass in the same order, with nothing to compile
and no other rounding.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

Pass: TypeAlias = Callable[[Tensor], Tensor]
"""Maps frames, uint8 of shape (batch, height, width, 3), to logits: a network in training, or without a gradient."""


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


def _networks(passes: Iterable[Pass]) -> Iterator[nn.Module]:
    return (each for each in passes if isinstance(each, nn.Module))


class Replayed(nn.Module):
    """A network in evaluation mode, of which a CUDA graph computes the batches that are as large as the first one.

    The logits of a call are overwritten by the next one. If it cannot be captured, a line says why, and it computes as
    ever.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.computed: Pass | None = None

    def forward(self, frames: Tensor) -> Tensor:
        if self.computed is None:
            try:
                (self.computed,) = capture([self.network], frames)
            except RuntimeError as error:
                print(f"not captured: {str(error).splitlines()[0]}", flush=True)
                self.computed = self.network
        return self.computed(frames)
