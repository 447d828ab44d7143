"""Keeps a stage from replacing what neither a stage wrote nor DVC has."""

import shutil
from contextlib import AbstractContextManager
from pathlib import Path

from deepfake_detection.common import written
from stages.dvc_cache import not_in_dvc

NOTES = Path("data/.written")
OWNED = [Path(name) for name in ("data", "models", "metrics", "report", ".dvc")]  # nothing of the user's is read there


def noting(path: Path, part: Path) -> AbstractContextManager[None]:
    """Notes what is written to ``part``, which is to replace the output ``path``: see ``written.noting``."""
    return written.noting(path, part, _note_of(path), not_in_dvc)


def require_own(path: Path) -> None:
    """Raises UserError when the output ``path`` holds what no stage wrote and DVC does not have."""
    written.require_own(path, _note_of(path), not_in_dvc)


def _note_of(path: Path) -> Path:
    return NOTES / f"{path.as_posix().replace('/', '-')}.json"


def remove_former(uses: dict[str, str]) -> None:
    """Removes what the stages wrote of data sets that the parameters do not name any more, or use for something else.

    Stages read whole folders such as data/prepared/train, because DVC's ``deps`` cannot list the data sets. DVC's cache
    keeps what is removed. Raises UserError when a file among it is the user's own.
    """
    data = Path("data")
    tables = ("index", "faces", "hashes", "missing", "rejected", "scores")
    wanted = {data / "raw" / name for name in uses} | {data / part / f"{name}.csv" for name in uses for part in tables}
    for name, use in uses.items():
        wanted |= {data / "prepared" / part / f"{name}{end}" for part in (use, "unseen") for end in (".csv", ".npy")}
    folders = {path.parent for path in wanted} | {data / "prepared" / use for use in ("train", "test", "adapt")}
    for path in sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir()):
        if path in wanted or path.name.startswith("."):
            continue
        require_own(path)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        print(f"{path}: removed, because no data set of params.yaml needs it; DVC's cache keeps it")
