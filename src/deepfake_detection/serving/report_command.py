"""``deepfake-detect report``: case files."""

import shlex
import sys
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from deepfake_detection.common.errors import UserError
from deepfake_detection.inference.tested import TESTED
from deepfake_detection.network.sidecar import FAMILIARITY
from deepfake_detection.serving import options
from deepfake_detection.serving.credentials import read_anchors
from deepfake_detection.serving.lines import shown
from deepfake_detection.serving.options import Checkpoints, Device, Frames, Scores, Threshold, TrustAnchors
from deepfake_detection.serving.outputs import alone, may_write, refuse_inputs
from deepfake_detection.serving.paths import find_files, left_out


def report(
    paths: Annotated[list[str], typer.Argument(help="Pictures and videos, folders of them, or patterns.")],
    out: Annotated[Path, typer.Option(help="HTML file; the JSON file is written beside it.")] = Path("case.html"),
    pdf: Annotated[bool, typer.Option("--pdf", help="Print a PDF too, with Chromium or WeasyPrint.")] = False,
    case: Annotated[str, typer.Option(help="Number or name of the case, to stand at the top.")] = "",
    exhibit: Annotated[str, typer.Option(help="Number or name under which the files were handed in.")] = "",
    question: Annotated[str, typer.Option(help="What the examiner was asked.")] = "",
    examiner: Annotated[str, typer.Option(help="Who examined the files.")] = "",
    reviewer: Annotated[str, typer.Option(help="Who checked the examination.")] = "",
    note: Annotated[str, typer.Option(help="Where the files come from, or anything else.")] = "",
    sign: Annotated[
        Path | None, typer.Option(help="Sign the sums with this SSH key, private or public with its agent.")
    ] = None,
    checkpoints: Checkpoints = None,
    frames: Frames = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    device: Device = None,
    threshold: Threshold = None,
    trust_anchors: TrustAnchors = None,
    scores: Scores = None,
) -> None:
    """Write a case file: what was examined, with what, how, and what came out.

    Beside it are the SHA-256 sums of all that it rests on, which verify checks. A file that cannot be read is named
    with the reason, and makes the exit status 1.
    """
    try:
        from deepfake_detection.serving.case.record import Assignment
        from deepfake_detection.serving.case.seal import SIGNATURE, SUMS, require_signer
        from deepfake_detection.serving.case.write import Examination, check_files, find_printer, write_case
    except ModuleNotFoundError as error:
        raise UserError(f"report: {error.name} is not installed; run make env, or pip install {error.name}") from None

    if out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {out}: it will be an HTML page, so name it .html")
    printer = find_printer() if pdf else None
    if sign:
        require_signer(sign)
    endings = [".json", *([".pdf"] if pdf else []), SUMS, *([SIGNATURE] if sign else [])]
    written = [out, *map(out.with_suffix, endings)]
    may_write([*written, out.with_suffix(SIGNATURE)], force)
    listed = find_files(paths)
    if listed.problems:
        raise UserError(listed.problems[0])
    if listed.left_out:
        print(left_out(listed), file=sys.stderr)
    files = list(map(Path, listed.files))
    check_files(files)
    anchors = read_anchors(trust_anchors) if trust_anchors else None
    checkpoint, *others = options.checkpoints_of(checkpoints, scores)
    own, *further = [[each, *map(each.with_suffix, (".json", FAMILIARITY, TESTED))] for each in (checkpoint, *others)]
    also = [path for path in [*chain(*further), *([trust_anchors] if trust_anchors else [])] if path.exists()]
    for path in written:
        refuse_inputs(path, [*files, *own, *also], "--out")
    command = shlex.join(["deepfake-detect", *sys.argv[1:]])
    assignment = Assignment(
        case=case, exhibit=exhibit, question=question, examiner=examiner, reviewer=reviewer, note=note
    )
    with alone(*written):
        detector = options.load_detector(checkpoint, device=device, threshold=threshold)
        second = options.second_opinion(detector, others[0], scores, device, threshold) if others else None
        asked = Examination(checkpoint, detector, command, frames, assignment, anchors, second)
        failed = write_case(asked, files, out, printer, sign, also)
    for path in written:
        print(shown(path, sys.stdout))
    if failed:
        print(f"{failed} of {len(files)} files could not be read", file=sys.stderr)
        raise typer.Exit(1)
