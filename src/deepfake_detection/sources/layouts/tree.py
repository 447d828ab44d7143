"""Lists what is below a folder. It opens no file, and follows no link that leads out of the folder."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.text import system_words
from deepfake_detection.pictures.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES, is_clutter

OUTSIDE = "link that leads out of the data"
LOOP = "link to a folder that it lies in"
MISSING = "listed but missing"
UPWARDS = "path that leads out of the data"
ABSOLUTE = "absolute path"
NOT_MEDIA = "neither a picture nor a video by its name"

_DRIVE = re.compile(r"[A-Za-z]:")
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # control characters, and bytes that are not UTF-8


class Listing(NamedTuple):
    """What a folder holds, without hidden names and clutter. Each name has the reason not to use it, or ""."""

    files: dict[str, str]
    folders: dict[str, str]


class Tree:
    """A folder and what is below it. Paths are POSIX and relative to it; "" is the folder itself.

    A link that leads out of the folder is followed only if the folder is ``trusted``, which a user's own may be.
    """

    def __init__(self, root: Path, trusted: bool = False) -> None:
        self.root = root
        self._trusted = trusted
        self._real = os.path.realpath(root)
        self._listings: dict[str, Listing] = {}
        self._links: set[str] = set()  # the folders that are links
        self._reasons: dict[str, str | None] = {"": ""}
        self.refused: dict[str, str] = {}  # the folders that cannot be used, in the folders that were asked for

    def listing(self, below: str = "") -> Listing:
        """What a folder holds. Nothing, if it is not there or cannot be used: ``refused`` then has the reason.

        Raises UserError if it cannot be read.
        """
        if below not in self._listings:
            if reason := self._folder_reason(below):
                self.refused[below] = reason
            self._listings[below] = self._scan(below) if reason == "" else Listing({}, {})
        return self._listings[below]

    def folders(self, below: str = "") -> list[str]:
        """The names of the folders in a folder that can be used, sorted. The others are kept in ``refused``."""
        folders = self.listing(below).folders
        self.refused |= {joined(below, name): reason for name, reason in folders.items() if reason}
        return sorted(name for name, reason in folders.items() if not reason)

    def files(self, below: str = "") -> list[str]:
        """The names of the files in a folder that can be used, sorted."""
        return sorted(name for name, reason in self.listing(below).files.items() if not reason)

    def walk(self, below: str = "") -> Iterator[tuple[str, str]]:
        """Yields every file below a folder, also in its folders, with the reason not to use it, or "".

        A folder that cannot be used counts as a file: it is one path with one reason.
        """
        waiting: list[tuple[str, frozenset[str]]] = [(below, frozenset())]
        while waiting:
            folder, followed = waiting.pop()
            files, folders = self.listing(folder)
            for name, reason in files.items():
                yield joined(folder, name), reason
            for name, reason in folders.items():
                path, seen = joined(folder, name), followed
                # a folder is resolved only if it may be reached twice, because that asks the disk
                if not reason and (followed or path in self._links):
                    real = os.path.realpath(self.root / path)
                    within = os.path.realpath(self.root / folder)
                    if real in followed or f"{within}{os.sep}".startswith(f"{real}{os.sep}"):
                        reason = LOOP
                    seen = followed | {real}
                if reason:
                    yield path, reason
                else:
                    waiting.append((path, seen))

    def find(self, text: str) -> tuple[str, str]:
        """The path that a line of a list means, and the reason not to use it, or "".

        Backslashes, "./" and the folder's own name in front are understood. A path that is absolute or leads upwards
        is not. No file is asked for: the folder that a path lies in is listed once.
        """
        path, reason = cleaned(text)
        if reason:
            return path, reason
        if (found := self.reason(path)) is None:
            first, _, rest = path.partition("/")
            if first == self.root.absolute().name and rest and (found := self.reason(rest)) is not None:
                path = rest
        return path, MISSING if found is None else found

    def list_at(self, path: str) -> Path | None:
        """A file that says what others are, or None if there is none. Raises UserError if it cannot be used."""
        if reason := self.reason(path):
            raise UserError(f"{self.root / path} cannot be used ({reason}): put the file itself there")
        return None if reason is None else self.root / path

    def reason(self, path: str) -> str | None:
        """The reason not to use a file, "" if there is none, and None if there is no such file."""
        above, _, name = path.rpartition("/")
        outer = self._folder_reason(above)
        return outer if outer or outer is None else self.listing(above).files.get(name)

    def _folder_reason(self, path: str) -> str | None:
        if path not in self._reasons:
            above, _, name = path.rpartition("/")
            outer = self._folder_reason(above)
            self._reasons[path] = outer if outer or outer is None else self.listing(above).folders.get(name)
        return self._reasons[path]

    def _scan(self, below: str) -> Listing:
        files: dict[str, str] = {}
        folders: dict[str, str] = {}
        folder = self.root / below
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if is_clutter(entry.name):
                        continue
                    is_folder, reason = self._judge(entry)
                    (folders if is_folder else files)[entry.name] = reason
                    if is_folder and entry.is_symlink():
                        self._links.add(joined(below, entry.name))
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            raise UserError(f"{folder} cannot be read ({system_words(error)}): correct its permissions") from None
        return Listing(files, folders)

    def _judge(self, entry: os.DirEntry[str]) -> tuple[bool, str]:
        """Whether an entry is a folder, and the reason not to use it. Only a link costs a question to the disk."""
        if _UNWRITABLE.search(entry.name):
            return False, "name with a character that is not text"
        try:
            is_folder, is_file = entry.is_dir(), entry.is_file()
        except OSError as error:  # a link to itself
            return False, system_words(error)
        if entry.is_symlink():
            if not (is_folder or is_file):
                return False, "link that leads nowhere"
            if not self._trusted and not self._holds(os.path.realpath(entry.path)):
                return is_folder, OUTSIDE
        return is_folder, "" if is_folder or is_file else "not a regular file"

    def _holds(self, real: str) -> bool:
        return f"{real}{os.sep}".startswith(f"{self._real.rstrip(os.sep)}{os.sep}")


def joined(below: str, name: str) -> str:
    """The path of a name in a folder, which may be ""."""
    return f"{below}/{name}" if below else name


def stem_of(path: str) -> str:
    """The name of a file without its suffix. It stands for pathlib's, which takes most of the time of a listing."""
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] or name


def cleaned(text: str) -> tuple[str, str]:
    """A path of a list with "/" between its parts and without ".", and the reason not to use it, or ""."""
    path = text.strip().replace("\\", "/")
    if not path:
        return "", "empty path"
    if path.startswith("/") or _DRIVE.match(path):
        return path, ABSOLUTE
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        return path, UPWARDS
    if _UNWRITABLE.search(path):
        return path, "path with a character that is not text"
    return "/".join(parts), ""


def kind_of(name: str) -> Literal["picture", "video", ""]:
    """What a file is by the suffix of its name. Its content decides when it is opened."""
    suffix = "".join(name.lower().rpartition(".")[1:])
    return "picture" if suffix in IMAGE_SUFFIXES else "video" if suffix in VIDEO_SUFFIXES else ""
