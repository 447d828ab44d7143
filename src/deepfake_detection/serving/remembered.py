"""``deepfake-detect remember`` and ``recheck``: files whose truth a user knows, and a test of the next checkpoint.

They are a JSON lines file in a folder of the user's: hash, path, label and verdict. A new network has to see the
picture again. What the old one made of it would not do, and so no features are kept: the picture is looked for where it
was, by its hash, or with ``--keep`` a copy of it is taken.
"""

import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing, sha256_of
from deepfake_detection.common.progress import progress
from deepfake_detection.common.text import printable
from deepfake_detection.serving.options import Checkpoint, Device, load_detector
from deepfake_detection.serving.outputs import alone
from deepfake_detection.serving.paths import find_checkpoint, find_files, left_out

LINES = "remembered.jsonl"
RIGHT = {"real": {"original"}, "fake": {"fake", "partly fake"}}  # any other verdict takes no side, or the wrong one

Label = Literal["real", "fake"]
Folder = Annotated[Path, typer.Option(help="Where they are remembered.")]


@dataclass(frozen=True)
class Remembered:
    """A file whose truth is known. ``verdict`` is the one that the next checkpoint is compared with.

    ``kept`` is the name of a copy in the folder, or empty.
    """

    sha256: str
    path: str
    label: Label
    verdict: str
    note: str = ""
    kept: str = ""

    @property
    def right(self) -> bool:
        return self.verdict in RIGHT[self.label]


def remember(
    paths: Annotated[list[str], typer.Argument(help="Pictures, videos, folders of them, or patterns.")],
    label: Annotated[Label, typer.Option(help="What they are.")],
    note: Annotated[str, typer.Option(help="How you know, or anything else.")] = "",
    keep: Annotated[
        bool, typer.Option("--keep", help="Copy them to the folder: they may not stay where they are.")
    ] = False,
    folder: Folder = Path("remembered"),
    checkpoint: Checkpoint = None,
    device: Device = None,
) -> None:
    """Remember files whose truth you know, with what the checkpoint says of them, for recheck.

    Without --keep no picture is copied: recheck looks for it where it is now, and knows it by its SHA-256.
    """
    found = find_files(paths)
    if found.problems:
        raise UserError(found.problems[0])
    if found.left_out:
        print(left_out(found), file=sys.stderr)
    network = find_checkpoint(checkpoint)
    with changing(folder) as known:
        verdicts = judged([Path(path) for path in found.files], network, device)
        for path, verdict in zip(map(Path, found.files), verdicts, strict=True):
            digest = sha256_of(path)
            kept = f"{digest}{path.suffix}" if keep else ""
            if keep:
                shutil.copyfile(path, folder / kept)
            known[digest] = Remembered(digest, str(path.resolve()), label, verdict, note, kept)
            said = "right" if known[digest].right else "not right"
            print(f"{label}, judged {verdict}, which is {said}: {printable(str(path))}")


def recheck(
    folder: Folder = Path("remembered"),
    checkpoint: Checkpoint = None,
    require_all: Annotated[
        bool, typer.Option("--require-all", help="Every file must be there, and its verdict right.")
    ] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="If it passes, compare the next checkpoint with these verdicts.")
    ] = False,
    device: Device = None,
) -> None:
    """Judge what was remembered again: a test that a checkpoint must pass before it replaces another.

    The exit status is 1 if a verdict was right and is not any more. A verdict that takes no side, such as unfamiliar,
    is not right. Files that are neither kept nor where they were are named, and not judged.
    """
    network = find_checkpoint(checkpoint)
    if not (folder / LINES).exists():
        raise UserError(f"{folder}: nothing is remembered there; `deepfake-detect remember` does it")
    with changing(folder) as known:
        there = {digest: path for digest, row in known.items() if (path := place_of(row, folder))}
        if not there:
            raise UserError(f"{folder}: none of the {len(known)} files is where it was: nothing can be judged")
        verdicts = dict(zip(there, judged(list(there.values()), network, device), strict=True))
        now = {digest: replace(known[digest], verdict=verdict) for digest, verdict in verdicts.items()}
        counts = Counter[str]()
        print(f"{'change':26}{'truth':7}{'was':14}{'is':14}path")
        for digest, row in known.items():
            change = change_of(row, now.get(digest))
            counts[change] += 1
            verdict = now[digest].verdict if digest in now else "-"
            print(f"{change:26}{row.label:7}{row.verdict:14}{verdict:14}{printable(row.path)}")
        print(", ".join(f"{count} {change}" for change, count in counts.items()), file=sys.stderr)
        passed = not counts["was right, is not"]
        if accept and passed:
            known |= now
    if not passed or (require_all and counts.keys() - {"still right", "was not right, is right"}):
        raise typer.Exit(1)


def change_of(before: Remembered, now: Remembered | None) -> str:
    if now is None:
        return "file gone"
    if before.right == now.right:
        return "still right" if now.right else "still not right"
    return "was not right, is right" if now.right else "was right, is not"


def place_of(row: Remembered, folder: Path) -> Path | None:
    """Where a remembered file is, by its hash; None if it is gone or another one is there."""
    for path in (folder / row.kept, Path(row.path)):
        if path.is_file() and sha256_of(path) == row.sha256:
            return path
    return None


def judged(paths: list[Path], checkpoint: Path, device: str | None) -> list[str]:
    """The verdict of each file. Raises UserError if one cannot be read."""
    detector = load_detector(checkpoint, device=device)
    verdicts = []
    # full batches, so that a verdict does not depend on how many files are judged with it
    stream = detector.stream(map(str, paths), fill=True)
    for found in progress(stream, total=len(paths), unit="file", leave=False):
        if found.failed:
            raise UserError(f"{printable(found.path)}: {found.reason}")
        verdicts.append(found.verdict)
    return verdicts


@contextmanager
def changing(folder: Path) -> Iterator[dict[str, Remembered]]:
    """What is remembered in a folder, by hash. What the block changes is written at its end, if it ends without error.

    Raises UserError if the file holds something else, or if another run writes there.
    """
    path = folder / LINES
    with alone(path):
        before = read_lines(path)
        known = before.copy()
        yield known
        if known != before:
            with replacing(path) as (part,):
                part.write_text("".join(json.dumps(asdict(row)) + "\n" for row in known.values()), encoding="utf-8")


def read_lines(path: Path) -> dict[str, Remembered]:
    """The lines of a file, by hash; none if it is not there."""
    known = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines() if path.exists() else [], 1):
        try:
            row = Remembered(**json.loads(line))
            if row.label not in RIGHT:
                raise ValueError(row.label)
        except (ValueError, TypeError):
            raise UserError(f"{path}: line {number} is not as `deepfake-detect remember` writes it") from None
        known[row.sha256] = row
    return known
