"""Numbers, times, names and errors are written so that a person can rely on them."""

import errno

import pytest

from deepfake_detection.common.text import (
    clock,
    figure,
    group_count,
    one_line,
    percent,
    printable,
    system_failure,
    system_words,
)


@pytest.mark.parametrize(
    ("probability", "words", "whole"),
    [
        (0.0, "<0.1%", "<1%"),
        (0.0004, "<0.1%", "<1%"),
        (0.0006, "0.1%", "<1%"),
        (0.006, "0.6%", "1%"),
        (0.5, "50.0%", "50%"),
        (0.9994, "99.9%", ">99%"),
        (0.9996, ">99.9%", ">99%"),
        (1.0, ">99.9%", ">99%"),
    ],
)
def test_no_percentage_is_certain(probability: float, words: str, whole: str) -> None:
    assert (percent(probability), percent(probability, 0)) == (words, whole)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00.0"), (59.94, "0:59.9"), (59.96, "1:00.0"), (62.5, "1:02.5"), (3600, "60:00.0")]
)
def test_a_clock_never_shows_sixty_seconds(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("groups", "words"), [(1, "1 group: too few groups"), (19, "19 groups: too few groups"), (20, "20 groups")]
)
def test_few_groups_are_called_so(groups: int, words: str) -> None:
    assert group_count(groups) == words


def test_a_figure_has_no_digit_that_its_interval_does_not_show() -> None:
    assert figure(0.7167, (0.6342, 0.7871)) == "0.72 [0.63, 0.79]"
    assert figure(0.9719, (0.9512, 0.9891)) == "0.972 [0.951, 0.989]"
    assert figure(0.9719) == "0.97"


def test_what_a_terminal_would_obey_is_replaced() -> None:
    hostile = "a\x1b[31m\u202egpj.exe\n"  # an escape character, a right-to-left override and a line end
    assert printable(hostile) == "a?[31m?gpj.exe?"
    assert printable(hostile, " ") == "a [31m gpj.exe "
    assert printable("Größe 5.jpg") == "Größe 5.jpg"


def test_an_error_of_several_lines_becomes_one() -> None:
    assert one_line(ValueError("first\n  second\t third \n")) == "first second third"


def test_words_of_the_system_come_without_number_and_file_name() -> None:
    assert system_words(PermissionError(errno.EACCES, "Permission denied", "secret.jpg")) == "permission denied"
    assert system_words(OSError("Cannot identify")) == "cannot identify"


def test_what_the_system_refused_has_advice_only_where_its_words_tell() -> None:
    lines = {number: system_failure(OSError(number, "Words", "a\nb")) for number in (errno.EACCES, errno.EIO)}
    assert lines == {errno.EACCES: "a?b: Words; check permissions", errno.EIO: "a?b: Words"}
    assert system_failure(OSError(errno.ENAMETOOLONG, "Words")) == "Words; give it a shorter name"
    assert system_failure(OSError("broken\n pipe")) == "broken pipe"
