"""``deepfake-detect verify``: whether a case file and all that it rests on are as they were."""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import sha256_of
from deepfake_detection.common.progress import progress
from deepfake_detection.common.text import printable
from deepfake_detection.inference.tested import TESTED
from deepfake_detection.network.sidecar import FAMILIARITY, read_sidecar
from deepfake_detection.serving.case.seal import SIGNATURE, SUMS, read_sums, signature_of

OWN = {".html": "page", ".htm": "page", ".json": "data", ".pdf": "print"}  # named as the sums are
BESIDE = {TESTED: "test results", FAMILIARITY: "familiarity", ".json": "sidecar"}
NEEDED = ("page", "data", "checkpoint", "sidecar", "exhibit")
# Another processor, or another number of threads, changes the last digits of a score
TOLERANCE = 1e-3  # of a number, or absolutely below 1


def verify(
    case: Annotated[Path, typer.Argument(help="A case file's page, its sums, or a folder with one case file.")],
    allowed_signers: Annotated[
        Path | None, typer.Option(help="Whose signature counts: a file of names and keys, as for ssh-keygen.")
    ] = None,
    repeat: Annotated[
        bool, typer.Option("--repeat", help="Examine the files again, and compare what comes out.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="Where to repeat it; where it was computed if not given.")] = None,
) -> None:
    """Check a case file: its page and data, the files that were examined, the checkpoint, and the signature.

    Each is named with what became of it. The exit status is 1 if anything is not as it was. With --repeat the same
    checkpoint judges the files again with the same options. Numbers that differ by more than a thousandth are named.
    """
    sums = sums_of(case)
    listed = read_sums(sums)
    sidecars = {path for path, _ in listed if path.suffix == ".json"}
    named = [role_of(path, sums, sidecars) for path, _ in listed]
    # what a second network and Content Credentials rest on stands before the network's own files
    first = max((at for at, role in enumerate(named) if role == "checkpoint"), default=0)
    named = [role if at >= first or role in OWN.values() else "also used" for at, role in enumerate(named)]
    states = [(role, path, state_of(path, digest)) for role, (path, digest) in zip(named, listed, strict=True)]
    roles = set(named)
    states += [(role, sums, "not listed") for role in NEEDED if role not in roles]
    for role, path, state in states:
        print(f"{state:12}{role:14}{printable(str(path))}")
    signature = signature_of(sums, allowed_signers)
    print(f"{signature.state:12}{'signature':14}{printable(str(sums.with_suffix(SIGNATURE)))}: {signature.words}")
    wrong = [role for role, _, state in states if state != "unchanged"]
    if signature.state == "bad" or (signature.state == "none" and allowed_signers):
        wrong.append("signature")
    if repeat and set(wrong) <= {"page", "data", "print", "signature"}:
        data = next(path for role, path, _ in states if role == "data")
        network = next(path for role, path, _ in states if role == "checkpoint")
        found = list(repeated(data, network, [path for role, path, _ in states if role == "exhibit"], device))
        print(*(found or [f"repeated: all verdicts are the same, and all numbers within {TOLERANCE}"]), sep="\n")
        wrong += ["result"] * len(found)
    elif repeat:
        print("not repeated: it needs the files and the checkpoint as they were", file=sys.stderr)
    if wrong:
        print(f"not as it was: {', '.join(dict.fromkeys(wrong))}", file=sys.stderr)
        raise typer.Exit(1)


def sums_of(case: Path) -> Path:
    """The file of sums of a case that a user named. Raises UserError if a folder has none, or several."""
    if not case.is_dir():
        return case.with_suffix(SUMS)
    found = sorted(case.glob(f"*{SUMS}"))
    if len(found) != 1:
        raise UserError(f"{case} has {len(found)} files *{SUMS}: name one")
    return found[0]


def role_of(path: Path, sums: Path, sidecars: set[Path]) -> str:
    """What a file is to the case, by its name. A checkpoint may have any suffix, and has a sidecar."""
    if path.parent == sums.parent and path.stem == sums.stem and path.suffix.lower() in OWN:
        return OWN[path.suffix.lower()]
    rest = "checkpoint" if path.with_suffix(".json") in sidecars else "exhibit"
    return next((role for ending, role in BESIDE.items() if path.name.endswith(ending)), rest)


def state_of(path: Path, digest: str) -> str:
    """Whether a file still has this SHA-256: "unchanged", "changed", or "gone" if it cannot be read."""
    try:
        if not path.is_file():  # a device or a pipe, which the sums of a stranger may name, has no end
            return "gone"
        return "unchanged" if sha256_of(path) == digest else "changed"
    except OSError:
        return "gone"


def repeated(data: Path, checkpoint: Path, exhibits: list[Path], device: str | None) -> Iterator[str]:
    """Examines the files of a case again, and yields a line for each number or word that is not as it was.

    Raises UserError if ``data`` is not the JSON file of a case with as many files.
    """
    from deepfake_detection.serving.case.record import Case, examined
    from deepfake_detection.serving.detector import Detector

    try:
        case = Case.model_validate_json(data.read_bytes())
        pairs = list(zip(exhibits, case.files, strict=True))
    except ValueError:  # pydantic's too
        raise UserError(f"{data}: not the data of a case file with {len(exhibits)} files") from None
    rule = case.sidecar.threshold_rule
    own = read_sidecar(checkpoint.with_suffix(".json")).threshold_rule
    detector = Detector.load(checkpoint, device=device or case.device, threshold=None if rule == own else rule)
    for path, before in progress(pairs, title="examining", unit="file", leave=False):
        now, _ = examined(detector, path, None, case.frames)
        # words follow from the numbers, and what the file is from its bytes
        known, found = (json.loads(each.model_dump_json(include={"prediction"})) for each in (before, now))
        found["prediction"]["path"] = known["prediction"].get("path")  # the folder may have been moved
        yield from differences(known, found, printable(path.name))


def differences(before: Any, now: Any, where: str) -> Iterator[str]:
    """A line for each value of two JSON values that differs; for numbers, by more than TOLERANCE."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in before | now:
            yield from differences(before.get(key), now.get(key), f"{where}, {key}")
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for number, (one, other) in enumerate(zip(before, now, strict=True), 1):
            yield from differences(one, other, f"{where} {number}")
    elif isinstance(before, float) and isinstance(now, float):
        if not math.isclose(before, now, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            yield f"differs: {where}: {before:.4g} in the case file, {now:.4g} now"
    elif before != now:
        yield f"differs: {where}: {printable(str(before))} in the case file, {printable(str(now))} now"
