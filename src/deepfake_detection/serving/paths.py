"""Finds the pictures and videos that the arguments of a command stand for, and says what it leaves out."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.text import printable, system_words
from deepfake_detection.pictures.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES, file_kind, is_clutter

MODELS = Path("models")
CHECKPOINTS = (".pth", ".safetensors")
NO_DETECTOR = (
    "no detector here yet: train one with `dvc repro`, which writes it to models/; fetch what your team pushed with "
    "`dvc pull`; or name one that you were given, with --checkpoint"
)
HIDDEN, BROKEN, SPECIAL, VIDEO = "hidden", "broken link", "special file", "video"


@dataclass
class Found:
    """The ``files`` in their order, a line for each problem, and how many files were left out, by suffix."""

    files: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def find_checkpoint(given: Path | None) -> Path:
    """The checkpoint that a user named, or the only one in the folder that they named; without either that of MODELS.

    A checkpoint in a folder is a file of weights with a JSON file beside it. Raises UserError if there is none, or more
    than one.
    """
    if given and not given.is_dir():
        return given
    folder = given or MODELS
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    found = [path for path in there if path.suffix in CHECKPOINTS and path.with_suffix(".json").is_file()]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"{folder} has {len(found)} checkpoints: name one with --checkpoint, e.g. {found[0]}")
    raise UserError(f"{given}: no checkpoint in this folder, with its JSON file beside it" if given else NO_DETECTOR)


def find_files(arguments: list[str]) -> Found:
    """The files that ``arguments`` stand for: files, folders with all that is below them, and patterns.

    A file is taken as it is named, whatever it is, and as often as it is named. In a folder, and of a pattern, a file
    is taken if it is a picture or a video by its content, or is named like one. The others are counted. An argument
    that gives nothing is a problem, and so is a folder that cannot be read.
    """
    found = Found()
    for name in arguments:
        part = Found()
        if os.path.isdir(name):  # noqa: PTH112  where Path.is_dir raises an error, this says no
            part.files = sorted(path for path in _below(name, part, set()) if _is_wanted(path, part))
        elif has_magic(name) and not os.path.lexists(name):
            part.files = sorted(path for path in _matches(name, part) if _is_wanted(path, part))
        else:
            part.files = [name]
        found.files += part.files
        found.problems += part.problems
        if part.files:
            found.left_out += part.left_out
        elif part.left_out or not part.problems:
            rest = f" ({left_out(part)})" if part.left_out else ""
            found.problems.append(f"{printable(name)}: no picture or video there{rest}")
    return found


def left_out(found: Found) -> str:
    """One line: "left out: 3 .heic, 1 .txt, 2 broken links"."""
    counts = sorted(found.left_out.items(), key=lambda item: (-item[1], item[0]))
    several = {what: f"{what}s" for what in (BROKEN, SPECIAL, VIDEO)}
    return "left out: " + ", ".join(
        f"{count} {several.get(what, what) if count > 1 else what}" for what, count in counts
    )


def in_shard(files: list[str], shard: str) -> list[str]:
    """The files of one share: ``2/4`` is the second of four. Raises UserError for what is no share.

    A file's share depends on its path alone. So every machine finds the same shares, whatever else is in the folder.
    """
    part, _, whole = shard.partition("/")
    if not (part.isdecimal() and whole.isdecimal() and 1 <= int(part) <= int(whole)):
        raise UserError(f"--shard {shard}: give a number and how many there are, such as 2/4")
    return [file for file in files if _number(file) % int(whole) == int(part) - 1]


def _number(file: str) -> int:
    return int.from_bytes(hashlib.sha256(file.encode(errors="surrogateescape")).digest()[:8], "big")


def _below(top: str, found: Found, entered: set[tuple[int, int]]) -> Iterator[str]:
    """The files below a folder, and the folders that are hidden. Links to folders are followed, after all others.

    No folder is entered twice.
    """
    folders, links = [top], list[str]()
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        try:
            status = Path(folder).stat()
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                inside = list(entries)
        except OSError as error:
            found.problems.append(f"{printable(folder)}: {system_words(error)}")
            continue
        for entry in inside:
            if os.path.isdir(entry.path) and not is_clutter(entry.name):  # noqa: PTH112
                (links if entry.is_symlink() else folders).append(entry.path)
            else:
                yield str(Path(entry.path))


def _matches(pattern: str, found: Found) -> Iterator[str]:
    """The files that match a pattern, and those below a folder that does, each once."""
    seen: set[str] = set()
    entered: set[tuple[int, int]] = set()
    matches = glob(pattern, recursive=True)  # noqa: PTH207  Path.glob accepts no absolute pattern
    for match in sorted(matches, key=lambda match: (os.path.isdir(match), match.count(os.sep))):  # noqa: PTH112
        for path in _below(match, found, entered) if os.path.isdir(match) else [match]:  # noqa: PTH112
            folder, name = os.path.split(path)
            real = str(Path(os.path.realpath(folder), name))  # by links, glob comes to a file again and again
            if real not in seen and (is_clutter(name) or not os.path.isdir(real)):  # noqa: PTH112
                seen.add(real)
                yield path


def _is_wanted(path: str, found: Found) -> bool:
    """Whether a file is to be judged, if only to be given a line that says why it cannot be. If not, it is counted."""
    suffix = Path(path).suffix.lower()
    try:
        kind = file_kind(path)
    except OSError:
        what = "" if os.path.exists(path) else BROKEN  # noqa: PTH110
    else:
        if not Path(path).is_file():
            what = SPECIAL
        elif kind.read_as != "nothing" or suffix in IMAGE_SUFFIXES | VIDEO_SUFFIXES:
            what = ""
        else:
            what = printable(suffix) or "without a suffix"
    if is_clutter(Path(path).name):
        what = HIDDEN
    if what:
        found.left_out[what] += 1
    return not what
