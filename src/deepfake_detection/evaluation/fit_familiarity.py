"""Fits what training frames look like, see ``inference.familiarity``.

Frames of one group, of the same people or the same recording, are alike. So the limit is found on groups that were left
out, and counts groups, not frames.
"""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import stats
from sklearn.covariance import LedoitWolf

from deepfake_detection.frames.dataset import FrameDataset, frame_loader
from deepfake_detection.inference.familiarity import SIDE, Familiarity, frame_layout, frame_statistics

Floats = NDArray[np.float64]

BATCH = 64
RIDGE = 1e-9  # of a variance of 1, so that frames that are all alike have a distance too
LAYOUT_RIDGE = 0.05  # of a variance of 1; neighbouring pixels of a thumbnail are nearly the same
FOLDS = 10  # of whole groups
TILES = 4  # along each side of a thumbnail, to be shuffled; a divisor of SIDE
# How sure a limit is to be wide enough for new groups. That of a layout may be wide: what is upside down is far off.
OF_DISTANCE, OF_LAYOUT = 0.9, 0.99
NEAR = 1.0  # standard deviations; no frame is unfamiliar that is nearer


def fit_familiarity(frames: FrameDataset, groups: pd.Series, share: float) -> Familiarity:
    """A Familiarity fitted on ``frames``, all that were trained and validated on, for which new groups are familiar.

    ``groups`` has the group of each frame. Every frame is measured by what was fitted without its group. For each of
    the two measures the limit is that of ``bound_for_new_groups``.

    The covariance of the statistics is shrunk (Ledoit and Wolf 2004, "A well-conditioned estimator for
    large-dimensional covariance matrices"), so there may be fewer frames than statistics.
    """
    return familiarity_of(*described(frames), groups, share)


def familiarity_of(statistics: Floats, layouts: Floats, groups: pd.Series, share: float) -> Familiarity:
    """As ``fit_familiarity``, for frames that are ``described``."""
    codes = pd.factorize(groups)[0]
    if not codes.any():
        codes = np.arange(len(codes))  # of one group nothing can be left out but single frames
    distances, upset = (np.empty(len(codes)) for _ in range(2))
    mixed = np.random.default_rng(0).permutation(codes.max() + 1)
    for fold in np.array_split(mixed, min(FOLDS, len(mixed))):
        out = np.isin(codes, fold)
        mean, whitening = whitening_of(statistics[~out])
        distances[out] = np.linalg.norm((statistics[out] - mean) @ whitening, axis=1)
        weights, offset = layout_of(layouts[~out])
        upset[out] = layouts[out] @ weights + offset
    mean, whitening = whitening_of(statistics)
    weights, offset = layout_of(layouts)
    limit = np.exp(bound_for_new_groups(np.log(np.maximum(distances, NEAR)), codes, share, OF_DISTANCE))
    offset -= bound_for_new_groups(upset, codes, share, OF_LAYOUT)
    return Familiarity(*map(torch.from_numpy, (mean, whitening / limit, weights, np.array([offset]))))


def described(frames: FrameDataset) -> tuple[Floats, Floats]:
    """The statistics and the layout of each frame."""
    batches = [(frame_statistics(batch), frame_layout(batch)) for batch, *_ in frame_loader(frames, BATCH)]
    statistics, layouts = (torch.cat(parts).double().numpy() for parts in zip(*batches, strict=True))
    return statistics, layouts


def bound_for_new_groups(values: Floats, groups: NDArray[np.int64], share: float, confidence: float) -> float:
    """What a ``share`` of the values stays below in a ``share`` of all groups there may be, with a confidence.

    That is the one-sided tolerance limit of the groups' quantiles, as if these were normal (Hahn and Meeker 1991,
    "Statistical Intervals"). The fewer groups there are, the wider it is.
    """
    found = pd.Series(values).groupby(groups).quantile(share)
    root = np.sqrt(len(found))
    factor = stats.nct.ppf(confidence, len(found) - 1, stats.norm.ppf(share) * root) / root
    return float(found.mean() + factor * found.std())


def whitening_of(statistics: Floats) -> tuple[Floats, Floats]:
    """The mean and the matrix for which ``norm((row - mean) @ matrix)`` is Mahalanobis's distance of a row.

    ``statistics`` has shape (frames, statistics).
    """
    mean, scale = statistics.mean(axis=0), statistics.std(axis=0)
    scale[scale == 0] = 1  # a statistic that is the same for all
    covariance = LedoitWolf(assume_centered=True).fit((statistics - mean) / scale).covariance_
    root = np.linalg.cholesky(covariance + RIDGE * np.eye(len(mean)))
    return mean, np.linalg.inv(root).T / scale[:, None]


def layout_of(layouts: Floats) -> tuple[Floats, float]:
    """The weights and the offset of a linear function: about -1 for these layouts, 1 for them turned and shuffled.

    ``layouts`` has shape (frames, SIDE * SIDE). It is a ridge regression in which both kinds weigh the same.
    """
    others = np.concatenate([upside_down(layouts), shuffled(layouts)])
    kinds, rows = np.repeat([-1.0, 1.0], [len(layouts), len(others)]), np.concatenate([layouts, others])
    weights = np.where(kinds < 0, 1 / len(layouts), 1 / len(others)) / 2
    mean = weights @ rows
    weighted = (rows - mean) * weights[:, None]
    found = np.linalg.solve(weighted.T @ (rows - mean) + LAYOUT_RIDGE * np.eye(len(mean)), weighted.T @ kinds)
    return found, float(-mean @ found)


def upside_down(layouts: Floats) -> Floats:
    return layouts.reshape(-1, SIDE, SIDE)[:, ::-1].reshape(layouts.shape)


def shuffled(layouts: Floats) -> Floats:
    """Each layout with its tiles, TILES along each side, in an order of its own."""
    side = SIDE // TILES
    tiles = layouts.reshape(-1, TILES, side, TILES, side).swapaxes(2, 3).reshape(len(layouts), TILES**2, side**2)
    orders = np.random.default_rng(0).permuted(np.tile(np.arange(TILES**2), (len(tiles), 1)), axis=1)
    mixed = np.take_along_axis(tiles, orders[..., None], axis=1).reshape(-1, TILES, TILES, side, side)
    return mixed.swapaxes(2, 3).reshape(layouts.shape)
