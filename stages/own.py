"""Keeps a stage from replacing what neither a stage wrote nor DVC has."""

import hashlib
from contextlib import AbstractContextManager
from pathlib import Path

from deepfake_detection.common import written

NOTES = Path("data/.written")


def noting(path: Path, part: Path) -> AbstractContextManager[None]:
    """Notes what is written to ``part``, which is to replace the output ``path``: see ``written.noting``."""
    return written.noting(path, part, _note_of(path), _not_in_dvc)


def require_own(path: Path) -> None:
    """Raises UserError when the output ``path`` holds what no stage wrote and DVC does not have."""
    written.require_own(path, _note_of(path), _not_in_dvc)


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
