"""Frames that several test modules of this folder train on."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray


@pytest.fixture(scope="session")
def frames() -> tuple[NDArray[np.uint8], pd.DataFrame]:
    """22 frames of 32 px; the fakes are smoother. 14 train, 5 val (no whole batch), 3 test."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (22, 32, 32, 3), dtype=np.uint8)
    labels = np.tile([0, 1], 11)
    pixels[labels == 1] = pixels[labels == 1, ::4, ::4].repeat(4, 1).repeat(4, 2)
    split = ["train"] * 14 + ["val"] * 5 + ["test"] * 3
    return pixels, pd.DataFrame({"label": labels, "split": split})
