"""Keeps a file or folder from being replaced by a program that did not write it: it may be somebody's only copy.

What is written is noted with its fingerprint. The notes are a file beside the data.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deepfake_detection.common.errors import UserError

ENDS = 1 << 16  # bytes at each end of a file that its fingerprint is made of
LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")  # what file managers leave

Lost = Callable[[list[Path]], list[Path]]


@contextmanager
def noting(path: Path, part: Path, note: Path, lost: Lost) -> Iterator[None]:
    """Notes what the block writes to ``part``, which is to replace ``path``. Raises UserError as ``require_own`` does.

    That is noted before it is in place: a kill in between must not make it look like somebody else's.
    """
    earlier = require_own(path, note, lost)
    yield
    note.parent.mkdir(parents=True, exist_ok=True)
    whole = note.with_suffix(".part")
    whole.write_text(json.dumps(sorted(earlier | set(_fingerprints(part).values()))) + "\n")
    whole.replace(note)


def require_own(path: Path, note: Path, lost: Lost) -> set[str]:
    """The fingerprints of what is at ``path``, a file or a folder.

    Raises UserError when it holds a file that is not in ``note`` and of which there is no other copy. ``lost`` says of
    which files of a list there is none.
    """
    found, noted = _fingerprints(path), _noted(note)
    unknown = [file for file, fingerprint in found.items() if fingerprint not in noted]
    if unknown and (foreign := lost(unknown)):
        number = f"{len(foreign)} file{'s' if len(foreign) > 1 else ''}"
        what = f"{path} is a file" if foreign == [path] else f"{path} holds {number}, e.g. {foreign[0]},"
        raise UserError(
            f"{what} that the pipeline did not write and would replace: move your files to a folder of their own, or "
            "delete what you do not need; nothing was removed"
        )
    return set(found.values())


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        if os.path.lexists(path):
            yield path
        return
    for parent, folders, names in os.walk(path):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        yield from (Path(parent, name) for name in links + names if name not in LITTER and not name.startswith("._"))


def _fingerprints(path: Path) -> dict[Path, str]:
    return {file: _fingerprint(file, file.relative_to(path).as_posix()) for file in _files(path)}


def _fingerprint(file: Path, name: str) -> str:
    if not file.is_file():
        return ""  # a link to a folder or to nothing: no stage writes one
    with file.open("rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        opened.seek(0)
        digest = hashlib.sha256(f"{name} {size} ".encode(errors="surrogateescape") + opened.read(ENDS))
        opened.seek(max(0, size - ENDS))
        digest.update(opened.read(ENDS))
    return digest.hexdigest()[:32]


def _noted(note: Path) -> set[str]:
    try:
        return set(json.loads(note.read_text()))
    except (OSError, ValueError, TypeError):  # none, or damaged: ``lost`` decides
        return set()
