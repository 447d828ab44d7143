"""Runs DVC's command line without the second that it takes to start: as a fork of a process that has loaded it.

That process does nothing else. A fork of the test's own process would inherit the locks that its other threads hold,
and could wait for them for ever.
"""

import atexit
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NoReturn

SECONDS_TO_SAY_WHERE = 2.0  # for the processes that hang


def run_dvc(words: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float) -> tuple[int, str]:
    """Runs ``dvc WORDS`` in ``folder``. Returns the exit status, and what it and its commands wrote.

    After ``timeout`` seconds all of it is killed. RuntimeError then says what was written, and where each process was.
    """
    with tempfile.NamedTemporaryFile() as output:
        request = [list(words), str(folder), dict(environment) | {"PYTHONFAULTHANDLER": "1"}, output.name, timeout]
        server = _server()
        assert server.stdin
        assert server.stdout
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        status = json.loads(server.stdout.readline())
        written = Path(output.name).read_text(encoding="utf-8", errors="replace")
    if status is None:
        raise RuntimeError(f"dvc {' '.join(words)}: not ended after {timeout} seconds\n{written}")
    return status, written


@cache
def _server() -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.support.forked_dvc"]
    root = Path(__file__).parents[2]
    server = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.kill)
    return server


def _serve() -> None:
    """Answers each line, a request of ``run_dvc``, with the exit status, or null if it ran out of time."""
    from dvc.cli.parser import get_main_parser

    get_main_parser()  # loads every command: once here, not in each fork
    for line in sys.stdin:
        words, folder, environment, output, timeout = json.loads(line)
        child = os.fork()
        if child == 0:
            _become_dvc(words, folder, environment, output)
        print(json.dumps(_ended(child, timeout)), flush=True)


def _ended(child: int, timeout: float) -> int | None:
    """The exit status of a process that leads a session, which is killed after ``timeout`` seconds."""
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.setitimer(signal.ITIMER_REAL, timeout)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except TimeoutError:
        os.killpg(child, signal.SIGABRT)  # Python then writes where its threads are
        with contextlib.suppress(TimeoutError):
            signal.setitimer(signal.ITIMER_REAL, SECONDS_TO_SAY_WHERE)
            signal.pause()
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _out_of_time(*_: object) -> NoReturn:
    raise TimeoutError


def _become_dvc(words: Sequence[str], folder: str, environment: Mapping[str, str], output: str) -> NoReturn:
    import faulthandler

    import dvc.logger
    from dvc.cli import main
    from tqdm import tqdm

    status = 255
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        written = os.open(output, os.O_WRONLY | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(written, stream)
        sys.stdout, sys.stderr = (os.fdopen(stream, "w", buffering=1, closefd=False) for stream in (1, 2))
        faulthandler.enable()
        tqdm.set_lock(threading.RLock())  # else all forks share one, and one that ends while it is held leaves it so
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


if __name__ == "__main__":
    _serve()
