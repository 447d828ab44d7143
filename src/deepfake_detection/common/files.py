"""Writes outputs whole or not at all: first to a temporary path, which is then renamed in one step."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.text import one_line

if TYPE_CHECKING:  # slow to import, and not every stage writes tables or figures
    import pandas as pd
    from matplotlib.figure import Figure

# The prefix hides the file, so a listing of frames skips it. Git and DVC ignore it. The name's suffix stays the
# same, because libraries choose the format by it.
TEMPORARY = ".part-"
REPLACED = ".part-old-"
FEW = 50  # files that are flushed one by one, which takes milliseconds for each


def expanded(path: str) -> str:
    """A path with the user's home folder for a ``~`` at its start, as a shell has it; no variables are replaced."""
    return os.path.expanduser(path)  # noqa: PTH111, Path.expanduser raises for a user that is not there


@contextmanager
def replacing(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """Gives a temporary path beside each of ``paths`` for a file or a folder, and renames them when the block ends.

    Nothing at ``paths`` changes until everything is written and on the disk (fsync). If the block fails, the
    temporary paths are removed. What a killed run left there is replaced by the next run. Parent folders of
    ``paths`` are created.

    Raises OSError if writing fails. It names the path in ``paths``, even if the library that wrote gave no name.
    Any other exception in the block passes unchanged.
    """
    parts = tuple(path.with_name(TEMPORARY + path.name) for path in paths)
    try:
        for part in parts:
            part.parent.mkdir(parents=True, exist_ok=True)
            _remove(part)
        yield parts
        for part in parts:
            _flush(part)
        for part, path in zip(parts, paths, strict=True):
            _move_into_place(part, path)
    except BaseException as error:
        for part in parts:
            with suppress(OSError):  # the original error says more
                _remove(part)
        if isinstance(error, OSError) and (named := _with_final_path(error, parts, paths)):
            raise named from error
        raise


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits. Raises OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Writes ``content`` as indented JSON, whole or not at all.

    Raises UserError if it contains a number that is NaN or infinite, which JSON cannot hold.
    """
    try:
        text = json.dumps(content, indent=2, allow_nan=False)
    except ValueError:
        raise UserError(f"{path}: not written, a number to be put there is NaN or infinite") from None
    with replacing(path) as (part,):
        part.write_text(text + "\n", encoding="utf-8")


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Writes ``table`` without its pandas index, whole or not at all."""
    with replacing(path) as (part,):
        table.to_csv(part, index=False, lineterminator="\n")


def write_figure(path: Path, figure: "Figure") -> None:
    """Writes a PNG, whole or not at all. It holds no version and no time, so equal figures give equal files."""
    with replacing(path) as (part,):
        figure.savefig(part, dpi=200, bbox_inches="tight", metadata={"Software": None})


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Waits until a file, or a folder and everything in it, is on the disk.

    Otherwise a power cut could leave a new name without its content. For many files all of the machine's are flushed,
    which takes as long as other programs have written.
    """
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    if len(files) > FEW:
        os.sync()
        return
    for file in files:
        if not file.is_symlink():
            number = os.open(file, os.O_RDONLY)
            try:
                os.fsync(number)
            finally:
                os.close(number)


def _move_into_place(part: Path, path: Path) -> None:
    if part.is_dir() and path.is_dir():  # rename cannot replace a folder: for an instant neither is there
        old = path.with_name(REPLACED + path.name)
        _remove(old)
        path.rename(old)
        try:
            part.rename(path)
        except OSError:
            old.rename(path)
            raise
        _remove(old)
    else:
        part.replace(path)


def _with_final_path(error: OSError, parts: tuple[Path, ...], paths: tuple[Path, ...]) -> OSError | None:
    """The same error with the path that the caller knows, or None if the error is about another file."""
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    words = error.strerror or one_line(error)
    for part, path in zip(parts, paths, strict=True):
        for name in names:
            if name == str(part) or name.startswith(f"{part}{os.sep}"):
                return OSError(error.errno, words, str(path) + name.removeprefix(str(part)))
    return None if names else OSError(error.errno, words, os.path.commonpath(paths))  # of several, their folder
