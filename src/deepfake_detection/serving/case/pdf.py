"""Prints an HTML file to PDF with a program that is there: Chromium or WeasyPrint."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing
from deepfake_detection.common.text import one_line, printable

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WEASYPRINT = "weasyprint"
SECONDS = 120


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
