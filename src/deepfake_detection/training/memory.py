"""The memory that training takes: saving it by recomputation, its peak, and the batch size that fits."""

import copy
import resource
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.tuner.tuning import Tuner
from pytorch_lightning.utilities.seed import isolate_rng
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from deepfake_detection.common.errors import UserError
from deepfake_detection.network.vision import MBConv


def recompute_activations(model: nn.Module) -> None:
    """Makes each MBConv block keep only its input and compute the rest again in the backward pass.

    Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost". Results are the same to the bit: stochastic
    depth drops the same paths again, and batch norm's running statistics are updated only once.
    """
    for block in model.modules():
        if isinstance(block, MBConv):
            contexts = partial(_contexts, block)
            block.forward = partial(checkpoint, block.forward, use_reentrant=False, context_fn=contexts)


def _contexts(block: nn.Module) -> tuple[nullcontext[None], Any]:
    return nullcontext(), _preserve_running_statistics(block)


@contextmanager
def _preserve_running_statistics(block: nn.Module) -> Iterator[None]:
    """Lets batch norm update copies of its running statistics, then restores the originals."""
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm)]
    kept = [(norm, name, buffer) for norm in norms for name, buffer in norm.named_buffers(recurse=False)]
    for norm, name, buffer in kept:
        setattr(norm, name, buffer.clone())
    try:
        yield
    finally:
        for norm, name, buffer in kept:
            setattr(norm, name, buffer)


def peak_memory(device: torch.device) -> int:
    """The peak in bytes so far: of tensors on a CUDA device, otherwise of the whole process's resident memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # in KiB on other systems


def find_batch_size(classifier: pl.LightningModule, batches: pl.LightningDataModule, name: str, **trainer: Any) -> int:
    """The most frames, found by doubling, with which a few steps fit into the device's memory (Lightning's Tuner).

    ``name`` is the attribute of ``batches`` that says how many frames are served at once. The search trains a copy, so
    the network and the random numbers of the actual run stay as they are. Raises UserError when 2 frames do not fit.
    """
    kept = getattr(batches, name)
    with tempfile.TemporaryDirectory() as folder, isolate_rng():
        trial = pl.Trainer(default_root_dir=folder, max_epochs=3, devices=1, enable_checkpointing=False, **trainer)
        found = Tuner(trial).scale_batch_size(
            copy.deepcopy(classifier), datamodule=batches, batch_arg_name=name, max_val=sys.maxsize
        )
    setattr(batches, name, kept)
    if torch.cuda.is_available():  # the search must not count in the run's peak
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    if not found or found < 2:
        raise UserError("train.batch_size: not even 2 frames fit into the device's memory; see checkpoint_activations")
    return found
