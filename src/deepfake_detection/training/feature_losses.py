"""Losses on the features: that draw classes together, spread frames, or make two sets of frames alike."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, normalize

HIDDEN = 256  # of the network that tells where features are from


def alignment(features: Tensor, labels: Tensor) -> Tensor:
    """The mean squared distance of two frames with one label, whose features have length 1; 0 without such frames.

    ``features`` has shape (frames, features), and ``labels`` (frames,). Wang and Isola 2020, "Understanding Contrastive
    Representation Learning through Alignment and Uniformity on the Hypersphere", with alpha = 2.
    """
    first, second = torch.triu_indices(len(features), len(features), 1, device=features.device)
    alike = (labels[first] == labels[second]).float()
    return (_distances(features)[first, second] * alike).sum() / alike.sum().clamp(min=1)


def uniformity(features: Tensor) -> Tensor:
    """How little the features, brought to length 1, spread: 0 if all are the same, and less if they are not.

    It is 0 for a single frame too, which is what a process may get of a last step. ``features`` has shape (frames,
    features). As in the source of ``alignment``, with t = 2.
    """
    if len(features) < 2:
        return features.new_zeros(())
    first, second = torch.triu_indices(len(features), len(features), 1, device=features.device)
    return (-2 * _distances(features)[first, second]).exp().mean().log()


def _distances(features: Tensor) -> Tensor:
    """The squared distances of all frames from each other, on the unit sphere: shape (frames, frames)."""
    directions = normalize(features.float())
    return 2 - 2 * directions @ directions.T


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
