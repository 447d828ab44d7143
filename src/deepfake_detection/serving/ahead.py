"""Makes the next items in other threads while the caller works with the one before, in order and only a few ahead."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, repeat, takewhile
from typing import TypeVar, cast

Item = TypeVar("Item")
Result = TypeVar("Result")

DECODED_AHEAD = 4  # frames of a video, 3 MB each at 1280x720


def in_threads(
    pool: ThreadPoolExecutor, function: Callable[[Item], Result], items: Iterable[Item], depth: int
) -> Iterator[Result]:
    """Yields ``function(item)`` for each item, in order. Works at most ``depth`` items ahead of the caller."""
    waiting = iter(items)
    running = deque(pool.submit(function, item) for item in islice(waiting, depth))
    while running:
        found = running.popleft().result()
        running.extend(pool.submit(function, item) for item in islice(waiting, 1))
        yield found


def in_one_thread(items: Iterator[Item], depth: int = DECODED_AHEAD) -> Iterator[Item]:
    """Yields what ``items`` yields, which one other thread makes, at most ``depth`` items ahead of the caller."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        made = in_threads(pool, lambda _: next(items, end), repeat(None), depth)
        yield from cast("Iterator[Item]", takewhile(lambda item: item is not end, made))
