"""Runs the command deepfake-detect in this process, as a user types it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deepfake_detection.serving import cli


def command(*words: object) -> object:
    """Returns the exit status, or the error message that ended the command."""
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
