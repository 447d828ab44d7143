"""Lets training resume after it was killed.

DVC removes a stage's outputs before it runs the stage, so the state to resume from is kept elsewhere. The name of
its folder is a hash of everything that the run depends on, so that no other run can use the state.
"""

import fcntl
import hashlib
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning_fabric.utilities.rank_zero import rank_zero_only
from pytorch_lightning.utilities.exceptions import SIGTERMException

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import TEMPORARY, replacing
from deepfake_detection.network.weights import save_tensors

LAST, BEST, LOCK = "last.ckpt", "best.ckpt", "lock"
MAX_AGE = 7 * 24 * 3600  # seconds for which the state of a run that nobody resumes is kept

_KEY = re.compile(r"[0-9a-f]{16}")  # what run_key returns
_FILES = {LOCK, LAST, BEST, TEMPORARY + LAST, TEMPORARY + BEST}  # all that a run writes into its state

LIBRARIES = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "numpy", "pillow")


def run_key(params: str, files: Iterable[Path], folder: Path) -> str:
    """Names a run by its parameters, the contents of ``files``, the project's code in use and library versions.

    The absolute path of ``folder``, which will hold the state, is included because Lightning's state contains it.
    """
    digest = hashlib.sha256(params.encode())
    own = [name for name in sys.modules if name.split(".")[0] in ("__main__", "deepfake_detection", "stages")]
    code = {file for name in own if (file := getattr(sys.modules[name], "__file__", None))}
    for path in [*files, *map(Path, sorted(code))]:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    digest.update(f"{[version(name) for name in LIBRARIES]} {folder.absolute()}".encode())
    return digest.hexdigest()[:16]


@contextmanager
def training_state(folder: Path, key: str) -> Iterator[Path]:
    """The folder below ``folder`` for the state of run ``key``. It is removed when the block ends without an error.

    States of other runs that nobody has resumed for MAX_AGE seconds are removed, too. Anything else in ``folder``
    is left as it is, because the user may keep other files there. Raises UserError while another process trains the
    same run. When several processes train together, only the first one does all this.
    """
    state = folder / key
    if getattr(rank_zero_only, "rank", 0):
        yield state
        return
    state.mkdir(parents=True, exist_ok=True)
    for other in folder.iterdir():
        if other != state and _KEY.fullmatch(other.name):
            with suppress(OSError):  # it is in use, it may not be read, or its run has just ended
                _remove_if_abandoned(other)
    with (state / LOCK).open("w") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process; data workers don't inherit it
        except OSError:
            raise UserError(f"{state}: another process trains this very run: wait for it, or stop it") from None
        yield state
    shutil.rmtree(state)


def _remove_if_abandoned(state: Path) -> None:
    """Removes a folder if it holds a run's files and no others, all older than MAX_AGE, and no process uses it.

    Raises OSError if it has no lock, if another process holds the lock, or if the folder cannot be read.
    """
    if state.is_symlink():
        return
    with (state / LOCK).open("r+") as lock:  # locking needs a file that is open for writing
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        files = list(state.iterdir())
        ours = all(path.name in _FILES and path.is_file() and not path.is_symlink() for path in files)
        if ours and time.time() - max(path.stat().st_mtime for path in files) > MAX_AGE:
            shutil.rmtree(state)


class AtomicCheckpoints(TorchCheckpointIO):
    """Lightning's checkpoints, but never half-written under their name, and read as tensors only."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        with replacing(Path(path)) as (part,):
            save_tensors(checkpoint, part)

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        return super().load_checkpoint(path, map_location, weights_only=True)


class SaveOnSigterm(pl.Callback):
    """Saves the state of training when SIGTERM ends it within an epoch. Lightning reacts to SIGTERM after a step.

    It does not save when several processes train, because each one's share of the epoch's metrics would be needed.
    It does not save between two micro-batches of an optimiser step either. In both cases the run resumes from the
    last whole epoch.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        stopping = trainer.early_stopping_callback
        if stopping and stopping.stopped_epoch:  # the run was killed after it had stopped early
            trainer.should_stop = True

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        done = trainer.fit_loop.epoch_loop.batch_progress
        whole_steps = done.current.completed % trainer.accumulate_grad_batches == 0 and not done.is_last_batch
        if isinstance(exception, SIGTERMException) and whole_steps and trainer.world_size == 1:
            trainer.save_checkpoint(self.path)
