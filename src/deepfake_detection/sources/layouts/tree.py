"""Lists what is below a folder. It opens no file, and follows no link that leads out of the folder."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
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
        self._forms: dict[tuple[str, bool], Mapping[str, str]] = {}
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

        Backslashes, "./" and the folder's own name in front are understood. An absolute path is that of a file behind
        the folder's own name, also of a folder on another machine, if there is one such file. No file is asked for: the
        folder that a path lies in is listed once.
        """
        places, reason = self._places(text)
        there = [(path, found) for path in places if (found := self.reason(path)) is not None]
        if there and (not reason or len(there) == 1):
            return there[0]
        return cleaned(text)[0], reason or MISSING

    def find_all(self, texts: Iterable[str]) -> list[tuple[str, str]]:
        """As ``find`` for each line of a list, and more: a missing file may be called otherwise.

        Lists are written on systems that do not tell names apart which differ in case or Unicode form alone. The file
        that differs so is taken, if there is one and no other line names it.
        """
        texts = list(texts)
        found = [self.find(text) for text in texts]
        named = {path for path, _ in found}
        for number, (text, (_, reason)) in enumerate(zip(texts, found, strict=True)):
            if reason in (MISSING, ABSOLUTE) and (near := self.near(*self._places(text)[0])) not in {"", *named}:
                found[number] = near, self.reason(near) or ""
        return found

    def near(self, *paths: str) -> str:
        """The file that differs from one of ``paths`` in case or Unicode form alone, or "" if there is not just one."""
        found = {near for path in paths if (near := self._near(path))}
        return found.pop() if len(found) == 1 else ""

    def _places(self, text: str) -> tuple[list[str], str]:
        """The paths that a line of a list may mean, and ABSOLUTE or another reason why they are no plain ones."""
        path, reason = cleaned(text)
        if reason and reason != ABSOLUTE:
            return [], reason
        parts = [part for part in path.split("/") if part not in ("", ".")]
        own = {folded(Path(name).name) for name in (self.root.absolute(), self._real)}
        ends = [number for number, part in enumerate(parts[:-1], 1) if folded(part) in own]
        if reason:
            return ([] if ".." in parts else ["/".join(parts[end:]) for end in ends]), reason
        return [path, *("/".join(parts[end:]) for end in ends if end == 1)], ""

    def _near(self, path: str) -> str:
        *folders, name = path.split("/")
        below = ""
        for folder in folders:
            if not (there := self._in_any_form(below, folder, True)):
                return ""
            below = joined(below, there)
        there = self._in_any_form(below, name, False)
        return joined(below, there) if there else ""

    def _in_any_form(self, below: str, name: str, is_folder: bool) -> str:
        listing = self.listing(below)
        names = listing.folders if is_folder else listing.files
        if name in names:
            return name
        if (below, is_folder) not in self._forms:
            self._forms[below, is_folder] = unlike(names)
        return self._forms[below, is_folder].get(folded(name), "")

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
            raise UserError(f"{folder} cannot be read ({system_words(error)}): correct that") from None
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


def folded(name: str) -> str:
    """What names have in common that differ in case or in Unicode form alone."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def unlike(names: Iterable[str]) -> dict[str, str]:
    """The names that no other equals once they are ``folded``, by that."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in names:
        alike[folded(name)].append(name)
    return {form: those[0] for form, those in alike.items() if len(those) == 1}


def meant(listed: Iterable[str], present: Iterable[str]) -> dict[str, str]:
    """What each of ``listed`` is called in ``present``, if it is there.

    That is its own name, or else one that differs in case or Unicode form alone, if there is one on both sides.
    """
    listed, present = {*listed}, {*present}
    there = unlike(present - listed)
    others = {name: there[form] for form, name in unlike(listed - present).items() if form in there}
    return {name: name for name in listed & present} | others


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
