"""How ``deepfake-detect predict`` writes its results: a line for each file, for people or as JSON or CSV."""

import codecs
import csv
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from deepfake_detection.common.files import replacing
from deepfake_detection.common.text import clock, percent, printable
from deepfake_detection.serving.jobs import resumed

if TYPE_CHECKING:  # --help does not need its imports
    from deepfake_detection.serving.results import Moment, Person, Prediction


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


def print_json(found: "Prediction", first: bool, out: TextIO) -> None:
    from deepfake_detection.serving.results import fields_of

    print(json.dumps(fields_of(found)), file=out)


def shown(name: object, out: TextIO) -> str:
    """A file's name as it is, for programs. A terminal does not get what would control it."""
    return printable(str(name)) if out.isatty() else str(name)


def print_csv(found: "Prediction", first: bool, out: TextIO) -> None:
    columns = ("path", "verdict", "probability", "logit", "reason", "unfamiliarity")
    row: dict[str, Any] = {name: getattr(found, name) for name in columns}
    row["path"] = shown(found.path, out)
    if found.transductive:
        row["transductive"] = True
    writer = csv.DictWriter(out, list(row), lineterminator="\n")
    if first:
        writer.writeheader()
    writer.writerow(row)


def print_line(found: "Prediction", first: bool, out: TextIO) -> None:
    if first:
        print(f"{'verdict':11}{'fake':>7}  path", file=out)
    probability = "" if found.probability is None else percent(found.probability)
    rest = f": {found.reason}" if found.reason else ""
    if people := getattr(found, "people", ()):
        rest += f"  ({said_of(people[0], len(people), found.moments)})"  # type: ignore[attr-defined]
    print(f"{found.verdict:11}{probability:>7}  {printable(found.path)}{rest}", file=out)


def said_of(person: "Person", people: int, moments: "Sequence[Moment]") -> str:
    """A few words on the person who decides on a video."""
    own = [each for each in moments if each.person == person.number]
    fakes = sum(each.face.verdict == "fake" for each in own)
    times = ", ".join(f"{clock(each.seconds)} {percent(each.face.probability, 0)}" for each in own[:3])
    said = [f"{fakes} of {len(own)} frames fake", f"most suspicious at {times}"]
    if person.stretch and person.stretch.decides:
        said.insert(0, f"fake from {clock(person.stretch.start)} to {clock(person.stretch.end)}")
    if people > 1:
        said.insert(0, f"the most suspicious of {people} people")
    return ", ".join(said)
