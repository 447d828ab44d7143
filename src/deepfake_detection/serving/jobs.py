"""Long lists of files: a share for each machine, going on after a kill, and what came out."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing

UNFINISHED = ".unfinished"
ORDER = ("original", "fake", "unfamiliar", "undecided", "not judged", "unreadable")


def in_shard(files: list[str], shard: str) -> list[str]:
    """The files of one share: ``2/4`` is the second of four. Raises UserError for what is no share.

    A file's share depends on its path alone. So every machine finds the same shares, whatever else is in the folder.
    """
    part, _, whole = shard.partition("/")
    if not (part.isdecimal() and whole.isdecimal() and 1 <= int(part) <= int(whole)):
        raise UserError(f"--shard {shard}: give a number and how many there are, such as 2/4")
    return [file for file in files if _number(file) % int(whole) == int(part) - 1]


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
    return "unreadable" if failed else "not judged" if verdict == "none" else verdict


def summary(outcomes: Counter[str]) -> str:
    """One line: "5 files: 2 original, 2 fake, 1 unreadable"."""
    total = outcomes.total()
    parts = ", ".join(f"{outcomes[kind]} {kind}" for kind in ORDER if outcomes[kind])
    return f"{total} file{'s' * (total != 1)}: {parts}"


@contextmanager
def resumed(path: Path, job: dict[str, Any]) -> Iterator[tuple[TextIO, Counter[str], Counter[str]]]:
    """Gives a file for JSON lines that goes on where a killed run of the same job stopped.

    Also gives how often each path has a line there already, and their outcomes. Until the block ends without an error,
    the lines are in a file beside ``path`` that ends in UNFINISHED, whose first line is ``job``. A line that was cut
    off is removed from it. Raises UserError if the file is of another job.
    """
    part = path.with_name(path.name + UNFINISHED)
    part.parent.mkdir(parents=True, exist_ok=True)
    header = json.dumps(job, sort_keys=True).encode() + b"\n"
    done, outcomes = Counter[str](), Counter[str]()
    with part.open("a+b") as file:
        file.seek(0)
        whole = len(header)
        if (first := file.readline()) == header:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                row = json.loads(line)
                done[row["path"]] += 1
                outcomes[outcome(row["verdict"], row["failed"])] += 1
                whole += len(line)
        elif first.endswith(b"\n"):
            raise UserError(
                f"{part}: of another checkpoint or with other options ({first.decode(errors='replace').strip()}): "
                "remove it, or name another --output"
            )
        else:  # nothing, or a header that was cut off
            file.truncate(0)
            file.write(header)
        file.truncate(whole)
    with part.open("a", encoding="utf-8", newline="") as out:
        yield out, done, outcomes
    with replacing(path) as (final,), part.open("rb") as lines, final.open("wb") as copy:
        lines.readline()
        copy.writelines(lines)
    part.unlink()


def job_of(checkpoint: Path, beside: Iterable[Path], **options: Any) -> dict[str, Any]:
    """What must be the same for the lines of two runs to belong together: the files of the checkpoint, and options."""
    digest = hashlib.sha256()
    for path in (checkpoint, *beside):
        if path.exists():
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return {"checkpoint": digest.hexdigest(), **options}


def _number(file: str) -> int:
    return int.from_bytes(hashlib.sha256(file.encode(errors="surrogateescape")).digest()[:8], "big")
