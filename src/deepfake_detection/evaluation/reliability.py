"""Reliability: how far stated probabilities are from observed shares of fakes."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

BINS = 15


def reliability_bins(probabilities: NDArray[np.float64], bins: int = BINS) -> NDArray[np.int64]:
    """The bin of each probability. Bins are (low, high] as in Guo et al. 2017; 0 itself is in the first one."""
    edges = np.linspace(0, 1, bins + 1)
    return np.maximum(np.searchsorted(edges, probabilities, side="left") - 1, 0)


def reliability_table(labels: NDArray[np.int64], probabilities: NDArray[np.float64], bins: int = BINS) -> pd.DataFrame:
    """One row per bin of equal width: low, high, count, mean_probability, share_fake (both NaN in an empty bin)."""
    edges = np.linspace(0, 1, bins + 1)
    where = reliability_bins(probabilities, bins)
    count = np.bincount(where, minlength=bins)
    filled = np.where(count > 0, count, np.nan)
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "count": count,
            "mean_probability": np.bincount(where, weights=probabilities, minlength=bins) / filled,
            "share_fake": np.bincount(where, weights=labels, minlength=bins) / filled,
        }
    )
