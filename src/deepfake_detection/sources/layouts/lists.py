"""Reads the lists that lie beside the pictures: JSON, and CSV however a spreadsheet wrote it."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.text import one_line, system_words

_DELIMITERS = ",;\t|"
_SEPARATOR_LINE = re.compile(r"\Asep=.\r?\n")  # Excel's own line, which says the delimiter


def read_text(path: Path) -> str:
    """A text file in UTF-8, or with a byte order mark in UTF-16. Raises UserError if it cannot be read."""
    try:
        content = path.read_bytes()
        # "Unicode text" of a spreadsheet is UTF-16
        return content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path} is missing: get it again and put it there") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({system_words(error)}): correct that") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8: save it as UTF-8") from None


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object. Raises UserError if the file cannot be read or holds something else."""
    text = read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON ({one_line(error)}): get it again") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} is JSON, but not an object of names: get it again")
    return content


def starts_with(path: Path, pattern: re.Pattern[str]) -> bool:
    """Whether a text file starts with a pattern. Only its first 64 kB are read, because such files may be large."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            return bool(pattern.match(file.read(1 << 16)))
    except (OSError, ValueError):
        return False


def header(path: Path) -> list[str]:
    """The column names of a CSV in lower case, or [] if the file has none that can be read."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            line = file.readline(10_000)
        return [name.strip().lower() for name in next(csv.reader([line], delimiter=_delimiter(line)), [])]
    except (OSError, ValueError, csv.Error):
        return []


def read_rows(path: Path, needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields each row of a CSV with the number of its line: the header's is 1. Column names are in lower case.

    Columns are divided by commas, semicolons, tabs or bars, whichever the header has most of. A cell that is missing is
    "". Single quotes around a column's name do not count.
    Raises UserError if the file cannot be read as such, or lacks a column that is ``needed``.
    """
    text = _SEPARATOR_LINE.sub("", read_text(path)).lstrip("\r\n")
    delimiter = _delimiter(text.partition("\n")[0])
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        columns = [_plain(name).lower() for name in next(rows, [])]
        if missing := [name for name in needed if name not in columns]:
            there = ", ".join(columns) or "none"
            raise UserError(f"{path} lacks the column {' and '.join(missing)} (there is {there}): add it")
        for row in rows:
            if any(_plain(cell) for cell in row):
                cells = [cell.strip() for cell in row] + [""] * (len(columns) - len(row))
                yield rows.line_num, dict(zip(columns, cells, strict=False))
    except csv.Error as error:
        raise UserError(f"{path} is not a CSV file ({error}): write it again as CSV") from None


def _plain(name: str) -> str:
    return name.strip().strip("'").strip()


def _delimiter(line: str) -> str:
    return max(_DELIMITERS, key=line.count)
