"""Outputs that are whole or not there: written beside their place, then put there in one step."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfake_detection.errors import UserError

if TYPE_CHECKING:  # slow to load, and not every stage has tables
    import pandas as pd

# hidden, so that no listing of frames takes it for one; git and DVC ignore it; the name's ending stays, which
# tells libraries the format
PART = ".part-"
OLD = ".part-old-"


@contextmanager
def replacing(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """Gives a path beside each of ``paths`` to write a file or a folder to, and puts them there when the block ends.

    Until all are written and on the disk (fsync) nothing at ``paths`` changes; then each is renamed. If the
    block fails, they are removed. What a killed run left is replaced by the next. The folders of ``paths`` are made.

    Raises OSError that names the path of ``paths`` where writing fails, also when the library that wrote gave no
    name. What else the block raises passes unchanged.
    """
    parts = tuple(path.with_name(PART + path.name) for path in paths)
    try:
        for part in parts:
            part.parent.mkdir(parents=True, exist_ok=True)
            _remove(part)
        yield parts
        for part in parts:
            _flush(part)
        for part, path in zip(parts, paths, strict=True):
            _put(part, path)
    except BaseException as error:
        for part in parts:
            with suppress(OSError):  # the error that led here says more
                _remove(part)
        if isinstance(error, OSError) and (named := _named(error, parts, paths)):
            raise named from error
        raise


def write_json(path: Path, content: Any) -> None:
    """Writes ``content`` as indented JSON, whole or not at all.

    Raises UserError when a number in it is NaN or infinite, which JSON cannot hold.
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


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Waits until a file, or a folder and all in it, is on the disk.

    Else a power cut could leave a new name without its content.
    """
    if path.is_dir():
        os.sync()  # one by one takes 2 ms a file: a minute for 30,000 frames
        return
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _put(part: Path, path: Path) -> None:
    if part.is_dir() and path.is_dir():  # which no rename replaces: for an instant neither is there
        old = path.with_name(OLD + path.name)
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


def _named(error: OSError, parts: tuple[Path, ...], paths: tuple[Path, ...]) -> OSError | None:
    """The same error under the name that the caller knows; None for an error of some other file."""
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    words = error.strerror or " ".join(str(error).split())
    for part, path in zip(parts, paths, strict=True):
        for name in names:
            if name == str(part) or name.startswith(f"{part}{os.sep}"):
                return OSError(error.errno, words, str(path) + name.removeprefix(str(part)))
    return None if names else OSError(error.errno, words, ", ".join(map(str, paths)))
