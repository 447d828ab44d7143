"""From logits to probabilities; light, for stages that read predictions only."""

import numpy as np
from numpy.typing import NDArray


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability of a fake; computed so that large logits do not overflow."""
    return np.exp(-np.logaddexp(0, -logits))
