"""Says of which files DVC has a copy."""

import hashlib
from pathlib import Path


def not_in_dvc(files: list[Path]) -> list[Path]:
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
