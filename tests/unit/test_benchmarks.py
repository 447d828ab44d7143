"""What the benchmarks share still fits the library: they are too long to be run here."""

from benchmarks import default_malloc, in_turn
from benchmarks.infer import drawn_frames


def test_frames_are_drawn_and_prepared_as_by_the_pipeline() -> None:
    frames = drawn_frames(20, 32, seed=1)
    assert frames.pixels.shape == (20, 32, 32, 3)
    assert sorted(frames.labels) == [0] * 10 + [1] * 10


def test_works_take_turns_and_the_first_round_does_not_count() -> None:
    called: list[str] = []
    with default_malloc():
        times = in_turn(2, lambda: called.append("ours"), lambda: called.append("theirs"))
    assert called == ["ours", "theirs"] * 3
    assert all(time > 0 for time in times)
