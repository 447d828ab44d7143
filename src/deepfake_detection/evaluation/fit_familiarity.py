"""Fits what training frames look like, see ``inference.familiarity``."""

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf

from deepfake_detection.frames.dataset import FrameDataset, frame_loader
from deepfake_detection.inference.familiarity import Familiarity, frame_statistics

Floats = NDArray[np.float64]

BATCH = 64
RIDGE = 1e-9  # of a variance of 1, so that frames that are all alike have a distance too


def fit_familiarity(known: FrameDataset, held_out: FrameDataset, share: float) -> Familiarity:
    """A Familiarity fitted on ``known``, the training frames, for which a ``share`` of ``held_out`` frames is familiar.

    ``held_out`` are frames that the network was not trained on, such as validation frames. The covariance of the
    statistics is shrunk (Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional covariance
    matrices"), so there may be fewer frames than statistics.
    """
    mean, whitening = whitening_of(_statistics(known))
    distances = np.linalg.norm((_statistics(held_out) - mean) @ whitening, axis=1)
    limit = np.quantile(distances, share, method="higher")
    return Familiarity(torch.from_numpy(mean), torch.from_numpy(whitening / limit))


def whitening_of(statistics: Floats) -> tuple[Floats, Floats]:
    """The mean and the matrix for which ``norm((row - mean) @ matrix)`` is Mahalanobis's distance of a row.

    ``statistics`` has shape (frames, statistics).
    """
    mean, scale = statistics.mean(axis=0), statistics.std(axis=0)
    scale[scale == 0] = 1  # a statistic that is the same for all
    covariance = LedoitWolf(assume_centered=True).fit((statistics - mean) / scale).covariance_
    root = np.linalg.cholesky(covariance + RIDGE * np.eye(len(mean)))
    return mean, np.linalg.inv(root).T / scale[:, None]


def _statistics(frames: FrameDataset) -> Floats:
    return torch.cat([frame_statistics(batch) for batch, *_ in frame_loader(frames, BATCH)]).double().numpy()
