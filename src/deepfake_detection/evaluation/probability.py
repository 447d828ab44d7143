"""Converts logits to probabilities. It imports little, for stages that only read predictions."""

import numpy as np
from numpy.typing import NDArray


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability of a fake, in the shape of ``logits``; large logits do not overflow.

    Not scipy's expit: it differs in the last bit, which would change every committed prediction.
    """
    return np.exp(-np.logaddexp(0, -logits))
