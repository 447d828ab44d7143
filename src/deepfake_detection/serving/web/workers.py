"""The processes that judge. Each holds the network, and may be killed at any time.

One judges, and another one is loaded and waits. When a judgement is stopped or breaks off, its process is killed, the
waiting one takes its place at once, and a new one loads meanwhile.
"""

import multiprocessing
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock
from typing import Any

from anyio import BrokenWorkerProcess, to_thread

from deepfake_detection.common.errors import UserError
from deepfake_detection.pictures.images import UnreadableImageError

PROCESSES = 2
_SPAWN = multiprocessing.get_context("spawn")  # a fork would copy the server's threads and sockets


class Workers:
    """PROCESSES processes that have called ``load`` with ``arguments``, each with ``memory`` bytes more to judge with.

    ``run`` is to be called by one task at a time.
    """

    def __init__(self, load: Callable[..., object], arguments: tuple[Any, ...], memory: int) -> None:
        self._how = (load, arguments, memory)
        self._workers = [_Worker(*self._how) for _ in range(PROCESSES)]

    async def ready(self) -> None:
        """Waits until a process is loaded. Raises what ``load`` raises, or BrokenWorkerProcess."""
        try:
            await to_thread.run_sync(self._workers[0].ready, abandon_on_cancel=True)
        except Exception:  # a process says only once that it could not load
            self._replace_first()
            raise

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What ``function``, of a module, returns or raises in the first process.

        If this is cancelled or the process ends, the process is killed and another one is the first. Raises
        BrokenWorkerProcess if it ended, and MemoryError if it wanted more memory than it has.
        """
        worker = self._workers[0]
        done = False
        try:
            answered, value = await to_thread.run_sync(worker.call, function, arguments, abandon_on_cancel=True)
            done = True
        finally:
            if not done:
                self._replace_first()
        if answered:
            return value
        if isinstance(value, MemoryError):
            self._replace_first()  # what it had taken may not all come back
        raise value

    def close(self) -> None:
        """Ends all processes."""
        for worker in self._workers:
            worker.kill()

    def _replace_first(self) -> None:
        self._workers.pop(0).kill()
        self._workers.append(_Worker(*self._how))


class _Worker:
    def __init__(self, load: Callable[..., object], arguments: tuple[Any, ...], memory: int) -> None:
        self._connection, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_work, args=(theirs, load, arguments, memory), daemon=True)
        self._process.start()
        theirs.close()
        self._loaded, self._waiting = False, Lock()

    def ready(self) -> None:
        with self._waiting:  # a task that was cancelled may have left a thread here, which receives the answer
            if not self._loaded:
                answered, value = self._receive()
                if not answered:
                    raise value
                self._loaded = True

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[bool, Any]:
        self.ready()
        try:
            self._connection.send((function, arguments))
        except OSError:
            raise BrokenWorkerProcess from None
        return self._receive()

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def _receive(self) -> tuple[bool, Any]:
        try:
            found: tuple[bool, Any] = self._connection.recv()
        except (EOFError, OSError):
            raise BrokenWorkerProcess from None
        return found


def _work(connection: Connection, load: Callable[..., object], arguments: tuple[Any, ...], memory: int) -> None:
    """Answers calls until the server closes the connection, or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the server, which then ends this
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    connection.send(_answer(load, arguments))
    _limit_memory(memory)
    with suppress(EOFError, OSError):
        while True:
            connection.send(_answer(*connection.recv()))


def _answer(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    try:
        return True, function(*arguments)
    except MemoryError:
        return False, MemoryError()
    except RuntimeError as error:
        # torch has no exception of its own for memory on a CPU
        out = any(words in str(error) for words in ("can't allocate memory", "not enough memory", "bad allocation"))
        return False, MemoryError() if out else error
    except Exception as error:  # the server decides what it means
        return False, error if isinstance(error, UserError | UnreadableImageError) else RuntimeError(repr(error))


def _limit_memory(more: int) -> None:
    """Lets this process take ``more`` bytes than it has now. On Linux alone, where the limit counts what is its own."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[5])  # data and stack, proc(5)
        limit = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
