"""Few groups are called so."""

import pytest

from deepfake_detection.common.text import group_count


@pytest.mark.parametrize(
    ("groups", "words"),
    [(1, "1 group: too few groups"), (19, "19 groups: too few groups"), (20, "20 groups"), (75, "75 groups")],
)
def test_few_groups_are_called_so(groups: int, words: str) -> None:
    assert group_count(groups) == words
