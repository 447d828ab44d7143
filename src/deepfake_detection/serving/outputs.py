"""Where the commands write: files that are there stay, what is read is not written, and no two runs write one file."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import TEMPORARY
from deepfake_detection.serving.lines import UNFINISHED

try:
    import fcntl
except ImportError:  # on Windows, where nothing keeps another run out
    fcntl = None  # type: ignore[assignment]


LOCK = f"{TEMPORARY}lock-"  # before the name of the file that is written
# Bytes of a name. A file is first written under a longer name, and its lock has one.
LONGEST_NAME = 255 - max(len(UNFINISHED), len(LOCK))


def named_after(path: Path, ending: str) -> Path:
    """A file here that is called as another one, with another ending. So much of the name is left out as must be."""
    stem = os.fsencode(path.stem)
    whole = len(stem) + len(ending) <= LONGEST_NAME
    return Path((path.stem if whole else stem[: LONGEST_NAME - len(ending)].decode(errors="ignore")) + ending)


def may_write(paths: list[Path], force: bool, option: str = "--out") -> None:
    """Raises UserError if one of ``paths`` is a folder, has too long a name, or exists and ``force`` is not set."""
    for path in paths:
        _require_short(path)
        if path.is_dir():
            raise UserError(f"{path} is a folder: name a file, with {option}")
        if path.exists() and not force:
            raise UserError(f"{path} is there already: name another file with {option}, or replace it with --force")


def refuse_inputs(output: Path, inputs: list[Path], option: str = "--output") -> None:
    """Raises UserError if ``output`` is one of the files that are read."""
    if output.exists() and any(path.exists() and output.samefile(path) for path in inputs):
        raise UserError(f"{output} is one of the files that are read: name another file with {option}")


@contextmanager
def alone(*paths: Path) -> Iterator[None]:
    """Keeps other runs from writing to ``paths`` until the block ends, or the process does.

    Each has a file beside it that is locked. Raises UserError if another run holds it, or for too long a name. A file
    system without locks keeps nobody out.
    """
    with ExitStack() as stack:
        for path in paths:
            _require_short(path)
            lock = path.with_name(LOCK + path.name)
            try:
                lock.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(_locked(lock, path))
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(path)) from error
            # removed before it is freed, so that nobody can lock a file that is about to go
            stack.callback(lock.unlink, missing_ok=True)
        yield


def _require_short(path: Path) -> None:
    if (length := len(os.fsencode(path.name))) > LONGEST_NAME:
        raise UserError(
            f"{path.name[:30]}...: this name has {length} bytes, and at most {LONGEST_NAME} can be written: give a "
            "shorter one"
        )


def _locked(lock: Path, path: Path) -> TextIO:
    while True:
        file = lock.open("a")
        try:
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise UserError(f"{path}: another run writes there: let it end, or name another file") from None
        except OSError:
            return file  # no locks here
        try:
            if os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                return file
        except FileNotFoundError:
            pass
        file.close()  # whoever had it has removed it meanwhile
