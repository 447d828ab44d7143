"""Training with several processes: which process takes which frames, and batch norm over all of them."""

import os
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from pytorch_lightning.plugins import LayerSync
from torch import Tensor, nn

from deepfake_detection.common.errors import UserError


def rank_batches(steps: Sequence[int], accumulate: int = 1, world_size: int = 1, rank: int = 0) -> list[list[int]]:
    """The frames that one process takes, as positions in the order of an epoch: one list for each forward pass.

    ``steps`` has how many frames each step of the optimiser learns from, whatever the number of processes. Every
    process takes ``accumulate`` micro-batches of them. The last step may have fewer micro-batches, but every process
    takes the same number, because processes wait for each other. A step's frames are left out if there are fewer of
    them than processes, or only one: batch norm cannot train on a single frame.
    """
    parts: list[list[int]] = []
    start = 0
    for size in steps:
        shared = np.arange(start, start + size)
        start += size
        count = min(accumulate, size // max(world_size, 2))
        if count:
            parts += [part.tolist() for part in np.array_split(shared[rank::world_size], count)]
    return parts


def slurm_environment() -> list[SLURMEnvironment]:
    """Lightning's plugin for a job of Slurm, or none elsewhere. Raises UserError for a job that it cannot train in."""
    if not SLURMEnvironment.detect():
        return []
    tasks = os.environ["SLURM_NTASKS"]
    if tasks != "1" and "SLURM_NTASKS_PER_NODE" not in os.environ:
        raise UserError(
            f"Slurm was asked for --ntasks={tasks}: ask for --ntasks=1 --cpus-per-task={tasks} to train in one process "
            "or for --nodes and --ntasks-per-node to train in several, which srun starts"
        )
    if missing := [name for name in ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID") if name not in os.environ]:
        raise UserError(f"SLURM_NTASKS is set, but {missing[0]} is not: start it with srun, or unset SLURM_NTASKS")
    # otherwise Lightning itself would save in the middle of a step and requeue the job
    return [SLURMEnvironment(auto_requeue=False)]


def check_launcher(world_size: int) -> None:
    """Raises UserError when torchrun or Slurm has started a number of processes other than ``world_size``.

    With too few processes the run would wait for ever for the missing ones. With too many each would train separately.
    """
    for launcher in (TorchElasticEnvironment, SLURMEnvironment):
        if launcher.detect() and launcher().world_size() != world_size:
            raise UserError(
                f"train.devices and train.num_nodes ask for {world_size} processes, but torchrun or srun "
                f"has started {launcher().world_size()}: make them equal"
            )


class SyncBatchNormOnCpu(LayerSync):
    """Lightning's plugin that computes batch norm over the frames of all processes; torch's own requires a GPU."""

    def apply(self, model: nn.Module) -> nn.Module:
        return _change_class(model, nn.BatchNorm2d, _SharedBatchNorm)

    def revert(self, model: nn.Module) -> nn.Module:
        return _change_class(model, _SharedBatchNorm, nn.BatchNorm2d)


def _change_class(model: nn.Module, old: type[nn.Module], new: type[nn.Module]) -> nn.Module:
    for module in model.modules():
        if type(module) is old:
            module.__class__ = new  # keeps parameters and buffers, changes only forward
    return model


class _SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm with the mean and variance over the frames of all processes, in two passes for accuracy."""

    def forward(self, frames: Tensor) -> Tensor:
        if not self.training:
            return super().forward(frames)
        values = frames.float()
        own = values.new_tensor([values.numel() / values.shape[1]])
        *_, count = total = _sum_over_processes(torch.cat([values.sum((0, 2, 3)), own]))
        mean = total[:-1] / count
        centred = values - mean.view(1, -1, 1, 1)
        variance = _sum_over_processes(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            statistics = (self.running_mean, mean), (self.running_var, variance * count / (count - 1))
            for running, batch in cast(tuple[tuple[Tensor, Tensor], ...], statistics):
                running.lerp_(batch, cast(float, self.momentum))
            cast(Tensor, self.num_batches_tracked).add_(1)
        scale = self.weight * (variance + self.eps).rsqrt()
        normalised: Tensor = centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
        return normalised.to(frames.dtype)


class _SumOverProcesses(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, value: Tensor) -> Tensor:
        total = value.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, *gradient: Tensor) -> Tensor:
        return _sum_over_processes(*gradient)  # every process's loss depends on every process's value


def _sum_over_processes(value: Tensor) -> Tensor:
    total: Tensor = _SumOverProcesses.apply(value)
    return total
