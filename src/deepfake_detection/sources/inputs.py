"""Links the user's own folders and files into the project, where DVC can see when they change.

A path in dvc.yaml cannot be a parameter that may be empty. So each parameter has a link with a fixed name, and DVC
computes the hash of what is behind it. It does not compute the hash of a file again until its time or size changes.
DVC does not follow a link to a folder inside of that, so such folders of frames have links of their own.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from deepfake_detection.common.errors import UserError
from deepfake_detection.sources.layout import FRAMES, LISTS

WHOLE = "whole"  # the folder of links to folders of which DVC looks at everything: see .dvcignore
LINKED = 8  # folders of frames that may be links themselves: data/inputs/linked/1 and so on in dvc.yaml


def link_inputs(paths: dict[str, str], folder: Path, owned: Iterable[Path] = ()) -> list[Path]:
    """Puts a link into ``folder`` for each of ``paths``, named by the parameter, or a small file if the path is empty.
    A name may begin with WHOLE and "/".

    ``owned`` are the folders that the pipeline writes. Returns those folders of frames that DVC does not look into,
    because more than LINKED of them are links themselves. Raises UserError if there is nothing at a path, or if it
    leads into one of ``owned``.
    """
    for name, path in paths.items():
        parameter = name.removeprefix(f"{WHOLE}/")
        if path and not Path(path).exists():
            raise UserError(f"{parameter}: no file or folder {path}")
        if path:
            _require_outside(parameter, Path(path), owned)
        for other in owned if name != parameter and path else ():
            if other.resolve().is_relative_to(Path(path).resolve()):
                raise UserError(
                    f"{parameter}: {path} holds {other}/, where the pipeline writes files: move your files to a folder "
                    "of their own, outside of the project or beside src/"
                )
    (folder / WHOLE).mkdir(parents=True, exist_ok=True)
    (folder / "linked").mkdir(parents=True, exist_ok=True)
    for name, path in paths.items():
        # a relative one stays right when the project is moved together with the folder
        link = folder / name
        _link(link, path and (path if Path(path).is_absolute() else _relative(Path(path), link.parent)))
    linked = [entry.resolve() for path in paths.values() if path for entry in _frames(Path(path)) if entry.is_symlink()]
    for number in range(LINKED):
        _link(folder / "linked" / str(number + 1), str(linked[number]) if number < len(linked) else "")
    return linked[LINKED:]


def _require_outside(name: str, path: Path, owned: Iterable[Path]) -> None:
    for place in (path, path / LISTS, *_frames(path)):
        for other in owned:
            if place.resolve().is_relative_to(other.resolve()):
                through = "" if place == path else f", through {place},"
                raise UserError(
                    f"{name}: {path} leads{through} into {other}/, where the pipeline removes and writes files: move "
                    "your files to a folder of their own, outside of the project or beside src/"
                )


def _frames(path: Path) -> list[Path]:
    """The folder of frames in ``path``, and the folders of its categories; without it, the folders that are links."""
    frames = path / FRAMES
    if frames.is_dir():
        return [frames, *sorted(entry for entry in frames.iterdir() if entry.is_dir())]
    folders = [entry for pattern in ("*", "*/*") for entry in path.glob(pattern) if entry.is_symlink()]
    return sorted(entry for entry in folders if entry.is_dir())


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path.resolve(), folder.resolve())


def _link(link: Path, target: str) -> None:
    link.unlink(missing_ok=True)
    if target:
        link.symlink_to(target)
    else:
        link.write_text("not used\n")
