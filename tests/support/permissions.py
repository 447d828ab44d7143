"""File permissions that also apply when the tests run as root."""

# loaded now, because later the user nobody may be unable to read them
import encodings.utf_8_sig  # noqa: F401
import multiprocessing.popen_fork
import multiprocessing.synchronize  # noqa: F401
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

NOBODY = 65534


@contextmanager
def unprivileged() -> Iterator[None]:
    """In this block, file permissions also apply to root."""
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
    """A folder that other users may enter. tmp_path is inside a folder that only its owner may enter."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
