"""A written index with its frames, which preparing them and reading them back both start from."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepfake_detection.common.tables import COLUMNS


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A written index of 40 frames, whose files lie beside it."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(40):
        path = tmp_path / f"{number:03d}_f0.jpg"
        height, width = rng.integers(40, 90, 2)
        Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(path)
        rows.append((path.name, "drawn", "Original", 0, f"{number:03d}", "", f"{number:03d}", 0, width, height))
    pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(tmp_path / "index.csv", index=False)
    return tmp_path / "index.csv"
