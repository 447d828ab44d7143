"""Runs DVC's command line without the second that it takes to start: as a fork of this process, which has loaded it."""

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import dvc.logger
from dvc.cli import main
from dvc.cli.parser import get_main_parser


def run_dvc(words: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float) -> tuple[int, str]:
    """Runs ``dvc WORDS`` in ``folder``. Returns the exit status, and what it and its commands wrote.

    Raises subprocess.TimeoutExpired after ``timeout`` seconds.
    """
    get_main_parser()  # loads every command: once here, not in each fork
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            _become_dvc(words, folder, environment, output.fileno())
        end = time.monotonic() + timeout
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if time.monotonic() > end:
                os.kill(child, 9)
                os.waitpid(child, 0)
                raise subprocess.TimeoutExpired(["dvc", *words], timeout)
            time.sleep(0.01)
        output.seek(0)
        return os.waitstatus_to_exitcode(ended[1]), output.read().decode()


def _become_dvc(words: Sequence[str], folder: Path, environment: Mapping[str, str], output: int) -> NoReturn:
    status = 255
    try:
        for stream in (1, 2):
            os.dup2(output, stream)
        sys.stdout, sys.stderr = (os.fdopen(stream, "w", buffering=1, closefd=False) for stream in (1, 2))
        for name in ("dvc", "dvc_objects", "dvc_data"):
            logging.getLogger(name).handlers.clear()
        dvc.logger.setup()  # with handlers that write to the new streams
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        status = main(list(words))
    except SystemExit as error:  # wrong words
        status = error.code if isinstance(error.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
