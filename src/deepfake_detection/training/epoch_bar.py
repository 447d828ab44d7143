"""The progress of training, an epoch at a time."""

from typing import Any

import pytorch_lightning as pl
from tqdm import tqdm

from deepfake_detection.common.progress import progress


class EpochProgress(pl.Callback):
    """A bar for each epoch, over its training and validation batches, which is removed when the epoch ends.

    The line of an epoch's values then stands in its place. Lightning's own bar writes two lines a step into a log.
    """

    bar: "tqdm[Any] | None" = None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            total = int(trainer.num_training_batches + sum(trainer.num_val_batches))
            self.bar = progress(title=f"epoch {trainer.current_epoch}", total=total, unit="batch", leave=False)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.bar is not None:
            self.bar.update(batch_idx + 1 - self.bar.n)  # a resumed run starts within the epoch

    def on_validation_batch_end(self, *_: Any) -> None:
        if self.bar is not None:
            self.bar.update()

    def on_train_epoch_end(self, *_: Any) -> None:
        self._close()

    def on_exception(self, *_: Any) -> None:
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
