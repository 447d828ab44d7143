"""Reads the CSV that lists a category's frames, as spreadsheets and other people's scripts write it."""

import csv
import io
import re
from collections.abc import Collection
from pathlib import Path, PurePosixPath, PureWindowsPath

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.text import system_words

OUTSIDE = "CSV row points outside the category folder"
OTHER_FOLDER = "CSV row is of another folder"
NAMELESS = "CSV row names no file"
CLASSES = ("real", "fake")
COLUMNS = ("filename", "label")
ORIGINAL = "this is a copy, so do that in the folder of data.local_dir"


def read_list(path: Path, category: str, label: int, present: Collection[str]) -> dict[str, str] | None:
    """The names in a category's CSV, each with the reason not to use the row, or "". None without a CSV.

    Names are those of files in the category's folder, which holds ``present``. A row may give a path instead, such as
    ``Original/005_f4.jpg`` or one on the machine where the CSV was written; what is before the name is taken away if
    it is the category's folder, or the same in every row. Raises UserError when the CSV cannot be read or has no row.
    """
    rows = _rows(path)
    if rows is None:
        return None
    if not rows:
        raise UserError(f"{path} lists no file: add rows, or remove it to use every file; {ORIGINAL}")
    # The published CSVs give the category as the label. A CSV that gives the class is just as clear.
    expected = {category.casefold(), CLASSES[label], str(label)}
    folders = {_parent(name) for name, _ in rows}
    common = folders.pop() if len(folders) == 1 and any(_base(name) in present for name, _ in rows) else None
    listed: dict[str, str] = {}
    for name, text in rows:
        reason = "" if text.casefold() in expected else f"label in CSV differs from the category: {text or 'empty'}"
        if name not in present:  # a name may hold a backslash
            problem = _folder_problem(name, category, common)
            name, reason = (name, problem) if problem else (_base(name), reason)
        listed[name] = listed.get(name) or reason
    return listed


def _folder_problem(name: str, category: str, common: str | None) -> str:
    """The reason why a row's name, with what is before it, is of no file in the category's folder, or ""."""
    parent = _parent(name)
    parts = PurePosixPath(parent).parts
    if not name:
        return NAMELESS
    if _base(name) in (".", "..", "") or ".." in parts:
        return OUTSIDE
    if not parts or parent == common or parts[-1].casefold() == category.casefold():
        return ""
    return OUTSIDE if parts[0].startswith("/") or PureWindowsPath(parent).drive else OTHER_FOLDER


def _parent(name: str) -> str:
    parent, slash, _ = name.replace("\\", "/").rpartition("/")
    return parent or slash


def _base(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]


def _rows(path: Path) -> list[tuple[str, str]] | None:
    """The file name and the label of each row that is not blank. None without a CSV."""
    try:
        text = _decoded(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        problem = f"{path} cannot be read ({system_words(error)})"
        raise UserError(f"{problem}: correct that, or remove it to use every file; {ORIGINAL}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8: save it as UTF-8; {ORIGINAL}") from None
    text = re.sub(r"\Asep=.\r?\n", "", text).lstrip("\r\n")  # Excel's own line, which says the delimiter
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), skipinitialspace=True)
        columns = ["".join(_plain(name).split()).casefold() for name in next(rows, [])]
        if missing := [column for column in COLUMNS if column not in columns]:
            there = ", ".join(filter(None, columns)) or "none"
            raise UserError(
                f"{path} lacks the column {' and '.join(missing)} (there is {there}): name the columns "
                f"filename,label in its first line; {ORIGINAL}"
            )
        filename, label = map(columns.index, COLUMNS)
        cells = [[*map(_plain, row), *[""] * len(columns)] for row in rows if any(map(_plain, row))]
        return [(row[filename], " ".join(row[label].split())) for row in cells]
    except csv.Error as error:
        raise UserError(f"{path} is not a CSV file ({error}): write it again as CSV; {ORIGINAL}") from None


def _plain(cell: str) -> str:
    return cell.strip().strip("'").strip()


def _decoded(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):  # "Unicode text" of a spreadsheet
        return content.decode("utf-16")
    return content.decode("utf-8-sig")


def _delimiter(text: str) -> str:
    """The delimiter that a spreadsheet used, which depends on the language of its user: ``,``, ``;`` or a tab."""
    header = text.lstrip().partition("\n")[0]
    return max(",;\t|", key=header.count)
