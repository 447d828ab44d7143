"""Training that goes on where it was killed.

DVC removes a stage's outputs before it runs the stage, so the state to go on from lies elsewhere: in a
folder named by all that the run depends on, which no other run can take for its own.
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
from torch.utils.data import DataLoader

from deepfake_detection.checkpoint import save_tensors
from deepfake_detection.errors import UserError
from deepfake_detection.files import replacing

LAST, BEST = "last.ckpt", "best.ckpt"
KEPT = 7 * 24 * 3600  # seconds for which a run that nobody continues is kept

LIBRARIES = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "numpy", "pillow")


def run_key(params: str, files: Iterable[Path], folder: Path) -> str:
    """Names a run by its parameters, the contents of ``files``, the project's code in use and its libraries.

    The absolute path of ``folder``, where its state will lie, counts too: Lightning's state holds it.
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
    """The folder below ``folder`` that holds the state of run ``key``, removed when the block ends without an error.

    States that nobody has continued for KEPT seconds are removed. Raises UserError while another process
    has the same run. Of several processes that train together the first does all that.
    """
    state = folder / key
    if getattr(rank_zero_only, "rank", 0):
        yield state
        return
    state.mkdir(parents=True, exist_ok=True)
    for other in folder.iterdir():
        if other != state and time.time() - max(path.stat().st_mtime for path in [other, *other.iterdir()]) > KEPT:
            shutil.rmtree(other)
    with (state / "lock").open("w") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # falls with the process; data workers don't inherit it
        except OSError:
            raise UserError(f"{state}: another process trains this very run: wait for it, or stop it") from None
        yield state
    shutil.rmtree(state)


class AtomicCheckpoints(TorchCheckpointIO):
    """Lightning's checkpoints, never half-written under their name, never more than tensors when read."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        with replacing(Path(path)) as (part,):
            save_tensors(checkpoint, part)

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        return super().load_checkpoint(path, map_location, weights_only=True)


class StopAndGoOn(pl.Callback):
    """Saves where training stands when SIGTERM, which Lightning heeds after a step, ends it within an epoch.

    Not with several processes, whose parts of the epoch's metrics would all have to be saved, nor between
    two parts of one step of the optimiser: there the last whole epoch counts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        stopping = trainer.early_stopping_callback
        if stopping and stopping.stopped_epoch:  # it struck, and then the run was killed
            trainer.should_stop = True

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        done = trainer.fit_loop.epoch_loop.batch_progress
        whole_steps = done.current.completed % trainer.accumulate_grad_batches == 0 and not done.is_last_batch
        if isinstance(exception, SIGTERMException) and whole_steps and trainer.world_size == 1:
            trainer.save_checkpoint(self.path)


class ResumableLoader(DataLoader[Any]):
    """A loader of batches given as lists that goes on within an epoch, by Lightning's protocol for that."""

    def __init__(self, dataset: Any, batches: list[list[int]], **options: Any) -> None:
        super().__init__(dataset, batch_sampler=_From(batches), **options)
        self.served = 0

    def __iter__(self) -> Any:
        for batch in super().__iter__():
            self.served += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        return {"served": self.served}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.served = self.batch_sampler.start = state["served"]  # type: ignore[union-attr]


class _From(list[list[int]]):
    """Batches of which the first ``start`` are passed over, though they count."""

    start = 0

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self[self.start :])
