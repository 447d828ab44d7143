"""Losses that make the features of frames with labels and of frames without labels alike."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

HIDDEN = 256  # of the network that tells where features are from


def coral(source: Tensor, target: Tensor) -> Tensor:
    """The squared distance between the covariances of two sets of features, each of shape (frames, features).

    Sun and Saenko 2016, "Deep CORAL", equation 1: divided by four times the squared number of features.
    """
    width = source.shape[1]
    return (covariance(source) - covariance(target)).square().sum() / (4 * width**2)


def covariance(features: Tensor) -> Tensor:
    """The covariance matrix of features of shape (frames, features), with the divisor frames - 1."""
    centred = features.float() - features.float().mean(0)
    return centred.T @ centred / max(len(features) - 1, 1)


class Discriminator(nn.Module):
    """Tells the features of frames with labels from those without, and turns its gradient round for the backbone.

    Ganin et al. 2016, "Domain-Adversarial Training of Neural Networks".
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))

    def forward(self, source: Tensor, target: Tensor, progress: float) -> Tensor:
        """The loss of telling them apart. ``progress`` is the share of the run that is done, from 0 to 1.

        The backbone gets the gradient multiplied by -1 at the end of the run, and by less before, as in section 5.2.2:
        at first the discriminator knows nothing.
        """
        strength = 2 / (1 + math.exp(-10 * progress)) - 1
        features = torch.cat([source, target]).float()
        domain = torch.cat([features.new_zeros(len(source)), features.new_ones(len(target))])
        logits: Tensor = self.layers(_Reversed.apply(features, strength)).squeeze(1)
        return binary_cross_entropy_with_logits(logits, domain)


class _Reversed(torch.autograd.Function):
    """The identity, with a gradient that is multiplied by minus ``strength``."""

    @staticmethod
    def forward(context: Any, features: Tensor, strength: float) -> Tensor:
        context.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -context.strength * gradients[0], None
