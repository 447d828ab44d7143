"""Joins what shares a recording: such videos show the same place or the same face."""

from collections.abc import Iterable


def join(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The group of each name: the smallest of the names that pairs join it to. A name "" joins nothing."""
    above: dict[str, str] = {}

    def top(name: str) -> str:
        above.setdefault(name, name)
        while above[name] != name:
            above[name] = above[above[name]]  # halves the way for the next call
            name = above[name]
        return name

    for first, second in pairs:
        one, other = top(first), top(second or first)
        above[max(one, other)] = min(one, other)
    return {name: top(name) for name in above}
