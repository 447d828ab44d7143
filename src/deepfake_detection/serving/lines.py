"""The results of ``deepfake-detect predict``: a line for each file, and going on after a kill."""

import codecs
import csv
import hashlib
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing
from deepfake_detection.common.text import clock, percent, printable

if TYPE_CHECKING:  # --help does not need its imports
    from deepfake_detection.serving.results import Moment, Person, Prediction

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", " ", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # and the wide forms
_DIVIDING = re.compile(r"[;\t|]")
UNFINISHED = ".unfinished"
MOMENTS = 3  # the most suspicious ones that a line names
# Of a terminal, by their numbers in ANSI: bold red, red, cyan, yellow. The word says the same, so none is needed.
COLOURS = {"fake": "1;31", "partly fake": "31", "original": "36", "unfamiliar": "33", "uncertain": "33"}
ORDER = ("original", "fake", "partly fake", "unfamiliar", "uncertain", "uncalibrated", "none", "unreadable")


def as_stored(error: UnicodeError) -> tuple[str | bytes, int]:
    """Writes what an encoding lacks: bytes of a file's name that are not UTF-8 as they are, else \\u and a number."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


AS_STORED = "as-stored"
codecs.register_error(AS_STORED, as_stored)


@contextmanager
def results(path: Path | None, job: dict[str, Any] | None) -> Iterator[tuple[TextIO, Counter[str], Counter[str]]]:
    """Where results are printed: to standard output, or to a file that is there only when all of them are in it.

    Also gives what is there already from a killed run of the same ``job``, as ``resumed`` does; without a job nothing.
    """
    if path is None:
        yield sys.stdout, Counter(), Counter()
    elif job is None:
        with replacing(path) as (part,), part.open("w", encoding="utf-8", errors=AS_STORED, newline="") as out:
            yield out, Counter(), Counter()
    else:
        with resumed(path, job) as there:
            yield there


def print_json(found: "Prediction", first: bool, out: TextIO, about: Mapping[str, Any]) -> None:
    from deepfake_detection.serving.results import fields_of

    print(json.dumps({**fields_of(found), **about}), file=out)


def shown(name: object, out: TextIO) -> str:
    """A file's name as it is, for programs. A terminal does not get what would control it."""
    return printable(str(name)) if out.isatty() else str(name)


def print_csv(found: "Prediction", first: bool, out: TextIO, about: Mapping[str, Any]) -> None:
    from deepfake_detection.serving.words import frames_above

    people, moments = getattr(found, "people", ()), getattr(found, "moments", ())
    stretch = people[0].stretch if people else None
    frames, above = frames_above(found)
    own = [moment for moment in moments if moment.person == 1]
    row: dict[str, Any] = {
        "path": no_formula(shown(found.path, out)),
        "verdict": found.verdict,
        "probability": _digits(found.probability, 4),
        "logit": _digits(found.logit, 4),
        "reason": found.reason,
        "unfamiliarity": _digits(found.unfamiliarity, 2),
        "failed": found.failed,
        "faces": len(found.faces) or len(people),
        "frames": frames or None,
        "frames_above": above if frames and not _uncalibrated(about) else None,
        "stretch_start": _digits(stretch and stretch.start, 1),
        "stretch_end": _digits(stretch and stretch.end, 1),
        "stretch_probability": _digits(stretch and stretch.probability, 4),
        "moments": " ".join(f"{moment.seconds:.1f}" for moment in own[:MOMENTS]),
        "log10_lr": _digits(found.evidence.log10_lr if found.evidence else None, 2),
        **about,
    }
    if _uncalibrated(about):
        row["authors_score"] = _digits(found.authors_score, 4)
    if found.transductive:
        row["transductive"] = True
    # a spreadsheet may divide cells at semicolons or tabs, but not within quotes
    quoting: Literal[0, 1] = csv.QUOTE_ALL if _DIVIDING.search(row["path"]) else csv.QUOTE_MINIMAL
    writer = csv.DictWriter(out, list(row), lineterminator="\n", quoting=quoting)
    if first:
        writer.writeheader()
    writer.writerow(row)


def no_formula(path: str) -> str:
    """A path that no spreadsheet takes for a formula, which could start programs. It still names the same file."""
    return f"./{path}" if path.startswith(_FORMULA) else path


def _uncalibrated(about: Mapping[str, Any]) -> bool:
    """Whether these are a checkpoint's own words that it has no threshold, see Detector.about."""
    return about.get("threshold", ...) is None


def _digits(number: float | None, digits: int) -> str:
    return "" if number is None else f"{number:.{digits}f}"


def print_line(found: "Prediction", first: bool, out: TextIO, about: Mapping[str, Any], verbose: bool = False) -> None:
    from deepfake_detection.serving.likelihood import short_words

    if first:
        print(f"{'verdict':12}{'score' if _uncalibrated(about) else 'P(fake)':>8}  path", file=out)
    unfamiliar = found.verdict == "unfamiliar"  # its number says nothing
    number = "" if found.probability is None or unfamiliar else percent(found.probability)
    if found.authors_score is not None:
        number = f"{found.authors_score:.3f}"
    if credentials := about.get("credentials"):
        print(f"Content Credentials of {printable(found.path)}: {credentials['said']}", file=out)
    rest = f": {found.reason}" if found.reason else ""
    if people := getattr(found, "people", ()):
        rest += f"  ({said_of(people[0], len(people), found.moments)})"  # type: ignore[attr-defined]
    if verbose and found.evidence:
        rest += f"  {short_words(found.evidence)}"
    if together := about.get("together"):
        rest += f"  ({together})"
    word = f"{found.verdict:12}"
    if out.isatty() and "NO_COLOR" not in os.environ and (colour := COLOURS.get(found.verdict)):
        word = f"\x1b[{colour}m{word}\x1b[0m"
    print(f"{word}{number:>8}  {printable(found.path)}{rest}", file=out)


def said_of(person: "Person", people: int, moments: "Sequence[Moment]") -> str:
    """A few words on the person who decides on a video."""
    own = [each for each in moments if each.person == person.number]
    times = ", ".join(f"{clock(each.seconds)} {percent(each.face.probability or 0.0, 0)}" for each in own[:MOMENTS])
    said = [f"{len(own)} frames", f"most suspicious at {times}"]
    if stretch := person.stretch:
        where = f"{stretch.times()}: {percent(stretch.probability, 0)} by itself"
        said = [f"{len(own)} frames", f"most suspicious from {where}"]
    if people > 1:
        said.insert(0, f"the most suspicious of {people} people")
    return ", ".join(said)


def left_to_do(files: Iterable[str], done: Counter[str]) -> list[str]:
    """The files without those in ``done``, each as often as it is there."""
    done = done.copy()
    left = []
    for file in files:
        if done[file] > 0:
            done[file] -= 1
        else:
            left.append(file)
    return left


def outcome(verdict: str, failed: bool) -> str:
    """One of ORDER."""
    return "unreadable" if failed else verdict


def summary(outcomes: Counter[str]) -> str:
    """One line: "5 files: 2 original, 2 fake, 1 unreadable"."""
    total = outcomes.total()
    parts = ", ".join(f"{outcomes[kind]} {kind}" for kind in ORDER if outcomes[kind])
    return f"{total} file{'s' * (total != 1)}: {parts}"


@contextmanager
def resumed(path: Path, job: dict[str, Any]) -> Iterator[tuple[TextIO, Counter[str], Counter[str]]]:
    """Gives a file for JSON lines that goes on where a killed run of the same job stopped.

    Also gives how often each path has a line there already, and their outcomes. Until the block ends without an error,
    the lines are in a file beside ``path`` that ends in UNFINISHED, whose first line is ``job``. From a line on that
    was cut off, or that a power cut left as zeros, it is removed. Raises UserError if the file is of another job. No
    other run may write there meanwhile, see outputs.alone.
    """
    part = path.with_name(path.name + UNFINISHED)
    part.parent.mkdir(parents=True, exist_ok=True)
    header = json.dumps(job, sort_keys=True).encode() + b"\n"
    with part.open("a+b") as file:
        file.seek(0)
        first = file.readline()
        ours = first == header
        done, outcomes, size = _whole_lines(file if ours else [])
        if first.endswith(b"\n") and not ours and b"\0" not in first:
            raise UserError(
                f"{part}: of another checkpoint or with other options ({first.decode(errors='replace').strip()}): "
                "remove it, or name another --output"
            )
        if not ours:  # nothing, or a header that was cut off
            file.truncate(0)
            file.write(header)
        file.truncate(len(header) + size)
    with part.open("a", encoding="utf-8", newline="") as out:
        yield out, done, outcomes
    with replacing(path) as (final,), part.open("rb") as lines, final.open("wb") as copy:
        lines.readline()
        copy.writelines(lines)
    part.unlink()


def _whole_lines(lines: Iterable[bytes]) -> tuple[Counter[str], Counter[str], int]:
    """How often each path has a line, and their outcomes, up to the first line that is not whole; and their bytes."""
    done, outcomes, size = Counter[str](), Counter[str](), 0
    for line in lines:
        try:
            row = json.loads(line) if line.endswith(b"\n") else {}
            path, kind = row["path"], outcome(row["verdict"], row["failed"])
        except (ValueError, KeyError, TypeError):
            break
        done[path] += 1
        outcomes[kind] += 1
        size += len(line)
    return done, outcomes, size


def require_whole(path: Path, files: Sequence[str]) -> None:
    """Raises UserError if a finished file of JSON lines lacks a line for one of ``files``."""
    with path.open("rb") as lines:
        done, _, _ = _whole_lines(lines)
    if left := left_to_do(files, done):
        raise UserError(
            f"{path} is there already, and {len(left)} of {len(files)} files have no line in it, such as "
            f"{printable(left[0])}: judge them into another --output, or all files again with --force"
        )


def job_of(checkpoint: Path, beside: Iterable[Path], **options: Any) -> dict[str, Any]:
    """What must be the same for the lines of two runs to belong together: the files of the checkpoint, and options."""
    digest = hashlib.sha256()
    for path in (checkpoint, *beside):
        if path.exists():
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return {"checkpoint": digest.hexdigest(), **options}
