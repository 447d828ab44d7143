"""Writes a case file: HTML, JSON and, where Chromium or WeasyPrint is there to print it, PDF."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing, sha256_of
from deepfake_detection.common.progress import progress
from deepfake_detection.common.text import one_line, printable, system_words
from deepfake_detection.inference.tested import TESTED, read_tested
from deepfake_detection.network.sidecar import FAMILIARITY
from deepfake_detection.serving.case.record import Assignment, Case, case_of, examined
from deepfake_detection.serving.case.render import render_case
from deepfake_detection.serving.case.seal import SUMS, sign, write_sums
from deepfake_detection.serving.credentials import Anchors
from deepfake_detection.serving.detector import Detector
from deepfake_detection.serving.validation import with_alarms_in_use

if TYPE_CHECKING:  # needs packages of the pipeline
    from deepfake_detection.serving.second_opinion import SecondOpinion

MOST_FILES = 50  # a case file holds the pictures of all of them
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WEASYPRINT = "weasyprint"
SECONDS = 120


def check_files(paths: Sequence[Path]) -> None:
    """Raises UserError if there are too many files for a case, or if one cannot be opened."""
    if len(paths) > MOST_FILES:
        raise UserError(f"{len(paths)} files: a case file holds at most {MOST_FILES}, and `predict` judges any number")
    for path in paths:
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            raise UserError(f"{printable(str(path))}: {system_words(error)}") from None


@dataclass(frozen=True)
class Examination:
    """With what files are examined: ``detector``, the network of ``checkpoint``, and what was asked for.

    ``command`` is what the case file names as the command, and ``assignment`` what the examiner says of the case. Of a
    video ``frames`` frames are looked at, or as many as predict takes. ``anchors`` are those for Content Credentials. A
    ``second`` network is asked too.
    """

    checkpoint: Path
    detector: Detector
    command: str
    frames: int | None = None
    assignment: Assignment = field(default_factory=Assignment)
    anchors: Anchors | None = None
    second: "SecondOpinion | None" = None


def write_case(
    asked: Examination,
    paths: Sequence[Path],
    out: Path,
    printer: str | None = None,
    key: Path | None = None,
    others: Sequence[Path] = (),
) -> int:
    """Examines the files and writes ``out``, an HTML file, and the JSON file of the same name. Returns the failures.

    Beside them are the sums of all that they rest on, see seal.py, signed with ``key`` if there is one. ``printer`` is
    a program as of find_printer, which also prints a PDF. ``others`` are the files of anchors and of a second network.
    Raises UserError if test results beside the checkpoint are wrong, if printing or signing fails, and OSError if a
    file cannot be read or written.
    """
    with progress(paths, title="examining", unit="file", leave=False) as bar:
        case, html = composed(asked, ((path, str(path)) for path in bar))
    written = [out, out.with_suffix(".json")]
    with replacing(*written) as (page, data):
        page.write_text(html, encoding="utf-8", newline="\n")
        data.write_text(case.model_dump_json(indent=2) + "\n", encoding="utf-8", newline="\n")
    try:
        if printer:
            print_pdf(printer, out, out.with_suffix(".pdf"))
            written.append(out.with_suffix(".pdf"))
    finally:  # what could not be printed can still be checked
        network = {
            asked.checkpoint: case.network.checkpoint_sha256,
            asked.checkpoint.with_suffix(".json"): case.network.sidecar_sha256,
            asked.checkpoint.with_suffix(FAMILIARITY): case.network.familiarity_sha256,
            asked.checkpoint.with_suffix(TESTED): case.network.tested_sha256,
        }
        sums = [(path, sha256_of(path)) for path in [*written, *others]]
        sums += [(path, digest) for path, digest in network.items() if digest]
        sums += [(path, record.facts.sha256) for path, record in zip(paths, case.files, strict=True)]
        write_sums(out.with_suffix(SUMS), sums)
    if key:
        sign(out.with_suffix(SUMS), key)
    return sum(record.prediction["failed"] for record in case.files)


def composed(asked: Examination, files: Iterable[tuple[Path, str]], alone: bool = False) -> tuple[Case, str]:
    """Examines the files, each with the name that the case file has for it: the case, and its HTML.

    The HTML of one that is ``alone`` does not speak of a JSON file. Raises UserError and OSError like write_case.
    """
    tested = read_tested(asked.checkpoint)
    tested = tested and with_alarms_in_use(tested, asked.checkpoint, asked.detector.sidecar)
    records, shown = [], []
    for path, name in files:
        record, values = examined(asked.detector, path, tested, asked.frames, asked.anchors, asked.second)
        prediction = record.prediction | {"path": printable(name)}
        record = record.model_copy(update={"path": printable(name), "prediction": prediction})
        records.append(record)
        shown.append(values)
    time = datetime.now(UTC).isoformat(timespec="seconds")
    case = case_of(
        asked.checkpoint, asked.detector, tested, records, asked.command, time, asked.assignment, asked.frames
    )
    return case, render_case(case, shown, alone)


def find_printer() -> str:
    """The path of a program that prints. Raises UserError if there is none."""
    for name in (*BROWSERS, WEASYPRINT):
        if path := shutil.which(name):
            return path
    raise UserError("--pdf: neither Chromium nor WeasyPrint is there; install one, or print the HTML from a browser")


def print_pdf(printer: str, page: Path, pdf: Path) -> None:
    """Prints ``page``, a self-contained HTML file, whole or not at all. Raises UserError if that fails."""
    with TemporaryDirectory() as profile, replacing(pdf) as (part,):
        if Path(printer).name == WEASYPRINT:
            command = [printer, str(page), str(part)]
        else:
            command = [
                printer,
                "--headless",
                "--disable-gpu",
                "--disable-background-networking",
                "--no-first-run",
                f"--user-data-dir={profile}",
                "--no-pdf-header-footer",
                # a browser that runs as root refuses its sandbox; the page is ours and has no script
                *(["--no-sandbox"] if os.geteuid() == 0 else []),
                f"--print-to-pdf={part.resolve()}",
                page.resolve().as_uri(),
            ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603  no shell
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UserError(f"--pdf: {printer} failed: {one_line(error)}") from None
        if done.returncode or not part.exists():
            words = printable(one_line(done.stderr))[-300:]
            raise UserError(f"--pdf: {printer} wrote nothing: {words}")
