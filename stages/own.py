"""Keeps a stage from replacing what the pipeline did not write, because it may be the user's only copy.

What a stage writes is noted with its fingerprint. What `dvc checkout` or `dvc pull` brought is in DVC's cache.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deepfake_detection.common.errors import UserError

NOTES = Path("data/.written")
ENDS = 1 << 16  # bytes at each end of a file that its fingerprint is made of
LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")  # what file managers leave


@contextmanager
def noting(path: Path, part: Path) -> Iterator[None]:
    """Notes what the block writes to ``part``, which is to replace ``path``. Raises UserError as ``require_own`` does.

    That is noted before it is in place: a kill in between must not make it look like the user's.
    """
    earlier = require_own(path)
    yield
    note = _note_of(path)
    note.parent.mkdir(parents=True, exist_ok=True)
    whole = note.with_suffix(".part")
    whole.write_text(json.dumps(sorted(earlier | set(_fingerprints(part).values()))) + "\n")
    whole.replace(note)


def require_own(path: Path) -> set[str]:
    """The fingerprints of what is at ``path``, a file or a folder.

    Raises UserError when it holds a file that no stage wrote and that DVC does not have.
    """
    found, noted = _fingerprints(path), _noted(path)
    unknown = [file for file, fingerprint in found.items() if fingerprint not in noted]
    if unknown and (foreign := _not_in_dvc(unknown)):
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


def _noted(path: Path) -> set[str]:
    try:
        return set(json.loads(_note_of(path).read_text()))
    except (OSError, ValueError, TypeError):  # none, or damaged: DVC's cache decides
        return set()


def _note_of(path: Path) -> Path:
    return NOTES / f"{path.as_posix().replace('/', '-')}.json"


def _not_in_dvc(files: list[Path]) -> list[Path]:
    """Those of ``files`` that DVC could not bring back: not in its cache, nor in dvc.lock."""
    lock, cache = Path("dvc.lock"), _dvc_cache()
    hashes = lock.read_text(encoding="utf-8") if lock.is_file() else ""
    foreign = []
    for file in files:
        if file.is_file():
            with file.open("rb") as opened:
                md5 = hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
            if md5 in hashes or (cache and (cache / md5[:2] / md5[2:]).exists()):
                continue
        foreign.append(file)
    return sorted(foreign)


def _dvc_cache() -> Path | None:
    try:
        from dvc.exceptions import NotDvcRepoError
        from dvc.repo import Repo
    except ImportError:  # a machine that only trains may lack DVC
        return None
    try:
        with Repo() as repo:
            return Path(repo.cache.local.path)
    except NotDvcRepoError:
        return None
