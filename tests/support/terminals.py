"""A command whose stderr is a terminal."""

import os
import pty
import subprocess
import sys
import termios
from pathlib import Path


def on_terminal(*arguments: str, cwd: Path) -> str:
    """What Python with ``arguments`` writes to stderr where that is a terminal. Raises what ends it with an error."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))  # a new one has no columns, and tqdm then draws nothing
    seen = b""
    with subprocess.Popen([sys.executable, *arguments], cwd=cwd, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        try:
            while part := os.read(ours, 4096):
                seen += part
        except OSError:  # how Linux says that nobody holds the other end any more
            pass
        finally:
            os.close(ours)
    assert process.returncode == 0, seen.decode()
    return seen.decode()
