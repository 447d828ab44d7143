"""What the figures of a run show."""

import numpy as np
import pandas as pd
import pytest

from deepfake_detection.reporting.figures import distances_figure


def table(**counts: dict[int, int]) -> pd.DataFrame:
    """A table as the split stage writes it; ``test={8: 3}`` are 3 test frames at 8 bits."""
    rows = pd.DataFrame({"distance": np.arange(65), "train": 0, "val": 0, "test": 0})
    for name, found in counts.items():
        for distance, frames in found.items():
            rows.loc[distance, name] = frames
    return rows


def test_distances_are_shares_of_each_split_and_none_is_cut_off() -> None:
    figure = distances_figure(table(train={4: 1, 8: 2, 9: 1}, val={8: 5}, test={2: 1, 30: 1}), max_distance=4)
    (axes,) = figure.axes
    lines = {str(line.get_label()): line for line in axes.lines}
    assert list(lines) == ["train (n = 4)", "val (n = 5)", "test (n = 2)"]
    x, y = (np.asarray(values) for values in lines["train (n = 4)"].get_data())
    assert dict(zip(x[y > 0], y[y > 0], strict=True)) == {4: 0.25, 8: 0.75}
    assert axes.get_xlim()[0] < 0
    assert axes.get_xlim()[1] > 30
    (band,) = axes.patches
    assert band.get_extents().transformed(axes.transData.inverted()).x1 == pytest.approx(5)


def test_distances_without_another_split() -> None:
    (axes,) = distances_figure(table(), max_distance=4).axes
    assert axes.get_xlim()[1] > 4
