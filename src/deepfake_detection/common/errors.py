"""The error for mistakes that a user can fix, and how a command ends with it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from deepfake_detection.common.text import printable


class UserError(Exception):
    """A mistake that the user can fix. The message is one line: what is wrong, where, and what to do."""


@contextmanager
def one_line_exit() -> Iterator[None]:
    """Ends a command at a UserError or OSError with one line and exit status 1."""
    try:
        yield
    except UserError as error:
        sys.exit(f"error: {printable(str(error))}")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(f"error: {where}{error.strerror or error}")
