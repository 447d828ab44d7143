"""Copies frames from a local folder into the layout of the pipeline."""

import os
import shutil
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.progress import progress
from deepfake_detection.pictures.kinds import IMAGE_SUFFIXES
from deepfake_detection.sources.layout import FRAMES, LISTS


def lay_out(
    folder: Path, categories: Collection[str], raw: Path, trusted: bool = True, unseen: Collection[str] = ()
) -> None:
    """Copies the given categories of ``folder`` into ``raw``, and those of ``unseen`` that are there.

    ``folder`` holds ``FF++C32-Frames/<Category>/`` and optionally ``CSVs/<Category>.csv``, like the
    Kaggle data set. Symbolic links are followed, but a link that leads out of ``folder`` only if ``folder`` is
    ``trusted``. A user's own folder is trusted, because it may gather frames from several disks. Raises
    UserError when ``folder`` or one of the categories does not exist or holds no picture, and for a link that is not
    followed.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; data.local_dir must name one that holds {FRAMES}/")
    frames = folder / FRAMES
    present = sorted(entry.name for entry in frames.iterdir() if entry.is_dir()) if frames.is_dir() else []
    if missing := [category for category in categories if category not in present]:
        raise UserError(f"{frames}: no category {', '.join(missing)} ({_there(folder, present)}); see data.categories")
    if absent := [category for category in unseen if category not in present]:
        print(f"{frames}: no category {', '.join(absent)}: left out of data.categories.unseen")
    wanted = [*categories, *(category for category in unseen if category in present)]
    files = [path for category in wanted for path in _files(frames / category)]
    files += [path for category in wanted if (path := folder / LISTS / f"{category}.csv").is_file()]
    if not trusted:
        _require_inside(folder, files)
    for path in progress(files, "laying out frames", unit="file"):
        to = raw / path.relative_to(folder)
        to.parent.mkdir(parents=True, exist_ok=True)
        copy_file(path, to)


def _there(folder: Path, present: list[str]) -> str:
    if present:
        return f"there is {', '.join(present)}"
    beside = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())[:6]
    return f"the folders in {folder} are {', '.join(beside) or 'none'}: categories belong into {FRAMES}/ there"


def _files(category: Path) -> list[Path]:
    """The files of a category. Raises UserError, which says what is there instead, if none of them is a picture."""
    entries = sorted(category.iterdir())
    files = [path for path in entries if path.is_file()]
    folders = [path for path in entries if path.is_dir() and not path.name.startswith(".")]
    within = sum(path.suffix.lower() in IMAGE_SUFFIXES for inner in folders for path in inner.rglob("*"))
    found = f"{len(folders)} folders such as {folders[0].name}/, with {within} pictures," if folders else ""
    if any(path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") for path in files):
        if within:
            print(f"{category}: {found} are not read: pictures must lie directly in the folder of their category")
        return files
    if not folders:
        kinds = Counter(path.suffix.lower() or "without a suffix" for path in files).most_common(3)
        found = f"only other files ({', '.join(f'{count} {kind}' for kind, count in kinds)})" if files else "nothing"
    raise UserError(
        f"{category}: it holds {found} but no picture directly in it: the pictures must lie there, named like "
        "005_f4.jpg (an original) or 005_010_f4.jpg (a fake)"
    )


def _require_inside(folder: Path, files: list[Path]) -> None:
    root = folder.resolve()
    for path in files:
        if not path.resolve().is_relative_to(root):
            raise UserError(f"{path}: a link that leads out of {folder}; remove that folder and run this again")


def copy_file(path: Path, to: Path) -> None:
    """Copies a file. Its blocks are shared with the copy where the file system can (Btrfs, XFS)."""
    # A hard link would save the space, but its file would be the user's own: DVC's cache may take it in and make it
    # read-only.
    try:
        with path.open("rb") as source, to.open("wb") as target:
            while os.copy_file_range(source.fileno(), target.fileno(), 1 << 30):
                pass
    except (OSError, AttributeError):  # not Linux, or another file system than it can do
        shutil.copyfile(path, to)
