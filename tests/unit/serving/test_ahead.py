from collections.abc import Generator, Iterator
from typing import cast

import pytest

from deepfake_detection.pictures.images import UnreadableImageError
from deepfake_detection.serving.ahead import in_one_thread

DEPTH = 4


def test_a_few_items_are_made_ahead_and_what_is_wrong_comes_in_its_place() -> None:
    made = []

    def frames(broken: int) -> Iterator[int]:
        for number in range(20):
            if number == broken:
                raise UnreadableImageError("damaged")
            made.append(number)
            yield number

    assert list(in_one_thread(frames(broken=-1), DEPTH)) == list(range(20))
    made.clear()
    first = cast(Generator[int], in_one_thread(frames(broken=-1), DEPTH))
    assert next(first) == 0
    first.close()
    assert len(made) <= DEPTH + 1
    seen: list[int] = []
    with pytest.raises(UnreadableImageError, match="damaged"):
        seen.extend(in_one_thread(frames(broken=7), DEPTH))
    assert seen == list(range(7))
