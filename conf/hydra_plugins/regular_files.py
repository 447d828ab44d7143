"""Keeps DVC from what is no file in a user's folder. It would wait for ever at a pipe, and stop at a broken link.

DVC hashes the folder before any stage runs. `dvc exp run` loads Hydra's plugins first, from the folder that .dvc/config
names, so this is where the project can say a word. The stage download then rejects what was passed over.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dvc.ignore import DvcIgnoreFilter

_walk = DvcIgnoreFilter.walk


def walk(self: DvcIgnoreFilter, fs: Any, path: str, **options: Any) -> Iterator[tuple[str, list[str], list[str]]]:
    """As DVC's own, with the names of regular files alone, and of links to these."""
    for folder, folders, names in _walk(self, fs, path, **options):
        local = fs.protocol == "local"
        yield folder, folders, [name for name in names if not local or Path(folder, name).is_file()]


DvcIgnoreFilter.walk = walk
