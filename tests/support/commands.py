"""The command deepfake-detect as a user types it, in this process."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deepfake_detection.serving import cli


def command(*words: object) -> object:
    """The exit status, or the line that ends it."""
    with _typed("deepfake-detect", *map(str, words)), pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code


@contextmanager
def _typed(*words: str) -> Iterator[None]:
    before = sys.argv
    sys.argv = list(words)
    try:
        yield
    finally:
        sys.argv = before
