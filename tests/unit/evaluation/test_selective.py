"""The curve of accuracy against coverage, by hand."""

import pandas as pd
import pytest

from deepfake_detection.evaluation.selective import is_familiar, misleading_verdicts, selective_curve


def test_the_most_familiar_frames_come_first() -> None:
    table = pd.DataFrame(
        {"label": [0, 1, 1, 0], "probability": [0.1, 0.9, 0.2, 0.7], "unfamiliarity": [0.5, 0.2, 1.5, 1.0]}
    )
    assert is_familiar(table).tolist() == [True, True, False, True]
    curve = selective_curve(table, 0.5)
    assert curve["coverage"].tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve["accuracy"].tolist() == pytest.approx([1, 1, 2 / 3, 0.5])
    assert curve["unfamiliarity"].tolist() == [0.2, 0.5, 1.0, 1.5]


def test_a_long_table_has_a_row_for_each_percent() -> None:
    rows = range(1000)
    table = pd.DataFrame({"label": 0, "probability": [r / 1000 for r in rows], "unfamiliarity": [1 + r for r in rows]})
    curve = selective_curve(table, 0.5)
    assert curve["coverage"].tolist() == pytest.approx([percent / 100 for percent in range(1, 101)])
    assert curve["accuracy"].iloc[[49, 99]].tolist() == pytest.approx([1, 0.5])


def test_where_every_frame_is_judged_nothing_orders_them() -> None:
    table = pd.DataFrame({"label": [0, 1], "probability": [0.1, 0.9], "unfamiliarity": [0.0, 0.0]})
    assert selective_curve(table, 0.5).empty
    assert is_familiar(table.drop(columns="unfamiliarity")).all()


def test_verdicts_that_are_mostly_wrong_are_told() -> None:
    def data_set(use: str, coverage: float, accuracy: float | None) -> dict[str, object]:
        return {"use": use, "frame": {"coverage": coverage, "answered": {"accuracy": accuracy}}}

    found = {
        "own": data_set("train", 1.0, 0.3),
        "far": data_set("test", 0.082, 0.27),
        "near": data_set("test", 0.9, 0.8),
        "none": data_set("test", 0.0, None),
    }
    (said,) = misleading_verdicts({"datasets": found})
    assert said.startswith("far: 8.2% of its frames are familiar enough for a verdict, and 73% of these verdicts are")
