"""Removes DVC's lock file if a kill or a power cut left it half written: ``python -m tools.unlock``.

DVC notes in ``.dvc/tmp/rwlock`` which of its processes reads and writes what. It forgets the notes of a killed process,
but not a file that ends in the middle: every later command then fails with "JSON structure is corrupted".
"""

import json
from pathlib import Path

FOLDER = Path(".dvc/tmp")


def unlock(folder: Path) -> bool:
    """Removes ``folder``/rwlock if it is not JSON and no process of DVC is writing it. Says whether it did."""
    path = folder / "rwlock"
    if not _is_broken(path):
        return False
    from dvc.lock import LockError, make_lock  # slow to import, and hardly ever needed

    try:
        with make_lock(str(folder / "rwlock.lock"), tmp_dir=str(folder)):
            if broken := _is_broken(path):
                path.unlink()
    except LockError:
        return False
    return broken


def _is_broken(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return False


if __name__ == "__main__":
    if unlock(FOLDER):
        print(f"{FOLDER / 'rwlock'}: half written when DVC was killed, and removed")
