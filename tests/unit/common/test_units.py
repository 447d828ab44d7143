"""What is drawn for an interval: groups, people whom names tell, and how many groups of unequal size are worth."""

import pandas as pd
import pytest

from deepfake_detection.common.units import drawn_units, kish


@pytest.mark.parametrize(
    ("sizes", "worth"),
    [([], 0), ([0, 0], 0), ([7], 1), ([5, 5, 5], 3), ([5, 0, 5], 2), ([1000, 1], 1.002), ([3, 1], 1.6)],
)
def test_groups_of_unequal_size_are_worth_less(sizes: list[int], worth: float) -> None:
    assert kish(sizes) == pytest.approx(worth, abs=1e-5)


def test_recordings_of_one_person_are_drawn_together_and_sources_join_nobody() -> None:
    rows = [
        ("celeb", "id0_0001", "", "celeb/id0_0001"),
        ("celeb", "id0_0002", "id1", "celeb/id0_0002"),
        ("celeb", "id1_0001", "id0", "celeb/id1_0001"),
        ("celeb", "00170", "", "celeb/00170"),
        ("celeb1", "id0_0001", "", "celeb1/id0_0001"),  # another data set may number people anew
        ("dfd", "01__kitchen_pan", "02__ABC", "dfd/01__kitchen_pan"),
        ("dfd", "01__walking", "", "dfd/01__walking"),
        ("ffpp", "005", "010", "ffpp/005"),
        ("ffpp", "010", "005", "ffpp/005"),
    ]
    table = pd.DataFrame(rows, columns=["dataset", "video_id", "source_id", "group"])
    first = [*table["group"][[0, 0, 2, 3, 4, 5, 5, 7, 7]]]
    assert drawn_units(table).tolist() == first
    # a group that its data set has made larger stays whole
    assert drawn_units(table.assign(group="one")).tolist() == ["one"] * 9
    unnamed = table[table["dataset"] == "ffpp"]
    assert drawn_units(unnamed).tolist() == ["ffpp/005"] * 2
