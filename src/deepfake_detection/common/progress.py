"""Progress on stderr: tqdm's bar on a terminal; elsewhere a line a minute, and one at the end."""

import sys
import time
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

SECONDS = 60.0  # between two lines


def progress(
    items: Iterable[Any] | None = None,
    title: str | None = None,
    total: int | None = None,
    unit: str = "it",
    leave: bool = True,
) -> "tqdm[Any]":
    """A bar over ``items``, or one of ``total`` steps that is advanced with ``update``, as tqdm's.

    If stderr is not a terminal but a file or a pipe, such as the log of a job, each state of the bar would stay there
    as a line. So a line is then written at most once in SECONDS, and one at the end. Without ``leave`` the bar is
    removed at the end, and the last line is not written.
    """
    kind = tqdm if sys.stderr.isatty() else _Lines
    bar: tqdm[Any] = kind(items, title, total, leave, unit=unit)
    return bar


class _Lines(tqdm):  # type: ignore[type-arg]  # tqdm is generic for the type checker only
    """A bar whose states are lines. ``gui`` is how subclasses of tqdm say that they display themselves."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.written = time.monotonic()
        super().__init__(*arguments, **options | {"gui": True})

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        if time.monotonic() - self.written >= SECONDS:
            self._write_line()

    def clear(self, *_: Any, **__: Any) -> None:
        """A line that is written stays."""

    def close(self) -> None:
        if not self.disable and self.leave:
            self._write_line()
        super().close()

    def _write_line(self) -> None:
        self.written = time.monotonic()
        print(self, file=self.fp, flush=True)
