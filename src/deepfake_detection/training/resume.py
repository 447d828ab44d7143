"""Lets training resume after it was killed.

DVC removes a stage's outputs before it runs the stage, so the state to resume from is kept elsewhere. The name of
its folder is a hash of everything that the run depends on, so that no other run can use the state.
"""

import fcntl
import hashlib
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning_fabric.utilities.rank_zero import rank_zero_only
from pytorch_lightning.utilities.exceptions import SIGTERMException

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing
from deepfake_detection.network.weights import save_tensors

LAST, BEST = "last.ckpt", "best.ckpt"
MAX_AGE = 7 * 24 * 3600  # seconds for which the state of a run that nobody resumes is kept

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

    States that nobody has resumed for MAX_AGE seconds are removed, too. Raises UserError while another process
    trains the same run. When several processes train together, only the first one does all this.
    """
    state = folder / key
    if getattr(rank_zero_only, "rank", 0):
        yield state
        return
    state.mkdir(parents=True, exist_ok=True)
    for other in folder.iterdir():
        if other != state and time.time() - max(path.stat().st_mtime for path in [other, *other.iterdir()]) > MAX_AGE:
            shutil.rmtree(other)
    with (state / "lock").open("w") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process; data workers don't inherit it
        except OSError:
            raise UserError(f"{state}: another process trains this very run: wait for it, or stop it") from None
        yield state
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
