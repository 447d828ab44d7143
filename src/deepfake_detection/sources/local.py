"""Links or copies frames from a local folder into the layout of the pipeline."""

import os
import shutil
from pathlib import Path

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.progress import progress
from deepfake_detection.sources.layout import FRAMES, LISTS


def lay_out(folder: Path, categories: list[str], raw: Path, trusted: bool = True) -> None:
    """Puts the given categories of ``folder`` into ``raw``: hard links where possible, otherwise copies.

    ``folder`` holds ``FF++C32-Frames/<Category>/`` and optionally ``CSVs/<Category>.csv``, like the
    Kaggle data set. Symbolic links are followed, but a link that leads out of ``folder`` only if ``folder`` is
    ``trusted``. A user's own folder is trusted, because it may gather frames from several disks. Raises
    UserError when ``folder`` or one of the categories does not exist, and for a link that is not followed.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; data.local_dir must name one that holds {FRAMES}/")
    frames = folder / FRAMES
    present = sorted(entry.name for entry in frames.iterdir() if entry.is_dir()) if frames.is_dir() else []
    for category in categories:
        if category not in present:
            there = ", ".join(present) or "nothing"
            raise UserError(f"{frames}: no category {category} (there is {there}); see data.categories")
    files = [path for category in categories for path in sorted((frames / category).iterdir()) if path.is_file()]
    files += [path for category in categories if (path := folder / LISTS / f"{category}.csv").is_file()]
    if not trusted:
        _require_inside(folder, files)
    for path in progress(files, "laying out frames", unit="file"):
        _link(path, raw / path.relative_to(folder))


def _require_inside(folder: Path, files: list[Path]) -> None:
    root = folder.resolve()
    for path in files:
        if not path.resolve().is_relative_to(root):
            raise UserError(f"{path}: a link that leads out of {folder}; remove that folder and run this again")


def _link(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path.resolve(), to)
    except PermissionError:
        if not os.access(path, os.R_OK):
            raise
        shutil.copyfile(path, to)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(path, to)
