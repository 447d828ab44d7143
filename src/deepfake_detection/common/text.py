"""Formats numbers, times, names and errors for people."""

import errno
from collections.abc import Sequence

_ADVICE = {
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "check permissions"),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "check free disk space and limits"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "allow more open files (ulimit -n)"),
    errno.ENAMETOOLONG: "give it a shorter name",
}
NARROW = 0.05  # an interval in which a third digit says something
FEW_GROUPS = 20  # fewer say little about the spread between groups


def percent(probability: float, digits: int = 1) -> str:
    """A probability in percent, but never 0% or 100%: if it would round to those, "<0.1%" or ">99.9%"."""
    smallest = 10.0 ** -(digits + 2)
    if probability < smallest / 2:
        return f"<{smallest:.{digits}%}"
    if probability > 1 - smallest / 2:
        return f">{1 - smallest:.{digits}%}"
    return f"{probability:.{digits}%}"


def clock(seconds: float) -> str:
    """Minutes, seconds and tenths: "1:02.5" for 62.5 seconds."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"


def printable(text: str, replacement: str = "?") -> str:
    """Replaces each character that controls a terminal, changes the text direction or breaks a line."""
    return "".join(char if char.isprintable() else replacement for char in text)


def one_line(error: object) -> str:
    """An error's message on one line, with single spaces between the words."""
    return " ".join(str(error).split())


def system_words(error: OSError) -> str:
    """The operating system's message for an error, without number and file name: "permission denied"."""
    return (error.strerror or str(error)).lower()


def system_failure(error: OSError) -> str:
    """One line on what the operating system refused: the file, its words, and what to do where they tell that."""
    where = f"{printable(str(error.filename))}: " if error.filename else ""
    advice = _ADVICE.get(error.errno or 0, "")
    return f"{where}{error.strerror or one_line(error)}{advice and '; '}{advice}"


def group_count(groups: int) -> str:
    """The number of groups behind an interval: "40 groups", or "9 groups: too few groups" below 20."""
    return f"{groups} groups" if groups >= FEW_GROUPS else f"{groups} group{'s' * (groups != 1)}: too few groups"


def figure(value: float, interval: Sequence[float] | None = None) -> str:
    """A share with the digits that it deserves: "0.72 [0.63, 0.79]", or "0.972 [0.951, 0.989]" if that is narrow."""
    if interval is None:
        return f"{value:.2f}"
    digits = 3 if interval[1] - interval[0] < NARROW else 2
    return f"{value:.{digits}f} [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]"


def guessing(auroc: float | None, interval: Sequence[float] | None, frames: str = "the test frames") -> str:
    """Says that a network is no better than guessing on some frames, or may be, or nothing ("").

    It is no better if its AUROC is 0.5 or less, and may be if the 95% ``interval`` reaches down to 0.5.
    """
    if auroc is None or (interval[0] if interval else auroc) > 0.5:
        return ""
    no_better = "May be no better" if auroc > 0.5 else "No better"
    return f"{no_better} than guessing on {frames}: the AUROC is {figure(auroc, interval)}, and guessing has 0.5."
