"""Links the user's own folders and files into the project, where DVC can see when they change.

A path in dvc.yaml cannot be a parameter that may be empty. So each parameter has a link with a fixed name, and DVC
computes the hash of what is behind it. It does not compute the hash of a file again until its time or size changes.
"""

import os
from pathlib import Path

from deepfake_detection.common.errors import UserError
from deepfake_detection.sources.layout import FRAMES


def link_inputs(paths: dict[str, str], folder: Path) -> list[Path]:
    """Puts a link into ``folder`` for each of ``paths``, named by the parameter, or a small file if the path is empty.

    Returns the folders of frames that are links themselves. The pipeline reads them, but DVC does not look into them.
    Raises UserError if there is nothing at a path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in paths.items():
        link, target = folder / name, Path(path).expanduser()
        if path and not target.exists():
            raise UserError(f"{name}: no file or folder {target}")
        link.unlink(missing_ok=True)
        if path:
            # a relative one stays right when the project is moved together with the folder
            link.symlink_to(target if target.is_absolute() else os.path.relpath(target.resolve(), folder.resolve()))
        else:
            link.write_text("not used\n")
    frames = [folder / name / FRAMES for name in paths]
    inside = [entry for parent in frames if parent.is_dir() for entry in (parent, *sorted(parent.iterdir()))]
    return [entry.resolve() for entry in inside if entry.is_symlink() and entry.is_dir()]
