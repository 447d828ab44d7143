"""Batch-norm statistics of other frames than those of the training.

Li et al. 2016, "Revisiting Batch Normalization For Practical Domain Adaptation" (AdaBN): the weights stay, and each
batch norm normalises with the mean and variance that its input has on the frames in question.
"""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from deepfake_detection.common.errors import UserError
from deepfake_detection.network.model import Network


def with_statistics_of(network: Network, batches: Iterable[Tensor]) -> Network:
    """A copy of ``network``, in evaluation mode, with the batch-norm statistics of ``batches``.

    Each is uint8 of shape (frames, height, width, 3). Mean and variance are averaged over batches, so these should be
    of about the same size. Labels are not looked at. Raises UserError when there is no frame, and for
    an ONNX file.
    """
    network.require_layers("AdaBN")
    adapted = copy.deepcopy(network).eval()
    norms = _norms(adapted)
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
        norm.train()  # the rest stays in evaluation mode: no dropout, no stochastic depth
    device = next(adapted.parameters()).device
    seen = 0
    with torch.inference_mode():
        for frames in batches:
            adapted(frames.to(device))
            seen += len(frames)
    if not seen:
        raise UserError("there is no frame to compute batch-norm statistics of")
    for norm, old in zip(norms, _norms(network), strict=True):
        norm.momentum = old.momentum
    return adapted.eval()


def _norms(network: nn.Module) -> list[_BatchNorm]:
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]
