"""File permissions that bind, for root as well."""

import encodings.utf_8_sig  # noqa: F401, read lazily otherwise, and perhaps from where nobody may read
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

NOBODY = 65534


@contextmanager
def unprivileged() -> Iterator[None]:
    """File permissions bind in here, for root as well."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that others may enter: tmp_path lies in one that is closed to all but its owner."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
