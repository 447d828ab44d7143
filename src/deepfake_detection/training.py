"""Fine-tunes the model, backbone and head, with Lightning's Trainer."""

import logging
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryAccuracy, BinaryAUROC

from deepfake_detection.frames import FrameDataset, derive_seed, frame_loader, normalise
from deepfake_detection.params import Train

# its tips advertise; warnings still come through, but for one about its own code
logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec", module="pytorch_lightning")

Batch = tuple[Tensor, Tensor]
EpochLog = Callable[[dict[str, float]], None]


class FrameClassifier(pl.LightningModule):
    """BCEWithLogitsLoss on one logit, Adam; loss, accuracy and AUROC an epoch, means over frames."""

    def __init__(self, model: nn.Module, lr: float = 0.0, seed: int = 0, on_epoch: EpochLog | None = None) -> None:
        super().__init__()
        self.model, self.lr, self.seed, self.on_epoch = model, lr, seed, on_epoch
        self.loss = nn.BCEWithLogitsLoss()
        metrics = MetricCollection({"accuracy": BinaryAccuracy(), "auroc": BinaryAUROC()})
        self.train_metrics, self.val_metrics = metrics.clone("train_"), metrics.clone("val_")
        self.history: list[dict[str, float]] = []  # one entry an epoch

    def training_step(self, batch: Batch, _: int) -> Tensor:
        return self._step(batch, "train_loss", self.train_metrics)

    def validation_step(self, batch: Batch, _: int) -> None:
        self._step(batch, "val_loss", self.val_metrics)

    def _step(self, batch: Batch, name: str, metrics: MetricCollection) -> Tensor:
        frames, labels = batch
        logits: Tensor = self.model(normalise(frames)).squeeze(1).float()
        loss: Tensor = self.loss(logits, labels)
        metrics.update(logits.detach().sigmoid(), labels.int())
        # Lightning weighs each batch by its size: the epoch's value is the mean over frames
        self.log(name, loss, on_step=False, on_epoch=True, batch_size=len(labels), prog_bar=True)
        self.log_dict(metrics, on_step=False, on_epoch=True, batch_size=len(labels))
        return loss

    def on_train_epoch_start(self) -> None:
        # dropout repeats, whatever else has drawn random numbers in between (data workers do)
        torch.manual_seed(derive_seed(self.seed, self.current_epoch))

    def on_train_epoch_end(self) -> None:
        values = {name: value.item() for name, value in sorted(self.trainer.callback_metrics.items())}
        self.history.append(values)
        if self.on_epoch:
            self.on_epoch(values)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.lr, fused=True)


class FrameSplits(pl.LightningDataModule):
    """The training frames, augmented anew each epoch, and the validation frames as they are."""

    def __init__(self, pixels: NDArray[np.uint8], rows: pd.DataFrame, params: Train, seed: int) -> None:
        super().__init__()
        self.pixels, self.params, self.seed = pixels, params, seed
        self.train_rows, self.val_rows = rows[rows["split"] == "train"], rows[rows["split"] == "val"]

    def train_dataloader(self) -> DataLoader[Batch]:
        epoch = self.trainer.current_epoch if self.trainer else 0
        # shuffled here, not by the loader, whose order depends on how often it was iterated before
        rows = self.train_rows.sample(frac=1, random_state=derive_seed(self.seed, epoch))
        frames = FrameDataset(self.pixels, rows, self.params.augment, self.seed, epoch)
        return frame_loader(frames, self.params.batch_size, self.params.num_workers)

    def val_dataloader(self) -> DataLoader[Batch]:
        frames = FrameDataset(self.pixels, self.val_rows)
        return frame_loader(frames, self.params.batch_size, self.params.num_workers)


def fit(
    model: nn.Module, splits: FrameSplits, params: Train, on_epoch: EpochLog | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Trains to the best validation loss, on whatever accelerator is there, deterministically.

    ``on_epoch`` is called after each epoch with its train_ and val_ loss, accuracy and auroc.
    Returns the best epoch's state_dict and a summary: the best epoch (from 0) with its losses,
    accuracies and AUROCs, the epochs run, and whether early stopping struck.
    """
    classifier = FrameClassifier(model, params.lr, splits.seed, on_epoch)
    stopping = EarlyStopping("val_loss", patience=params.patience)
    with tempfile.TemporaryDirectory() as folder:
        best = ModelCheckpoint(folder, monitor="val_loss", save_weights_only=True)
        trainer = pl.Trainer(
            max_epochs=params.epochs,
            precision=params.precision,
            deterministic=True,
            devices=1,
            logger=False,
            callbacks=[stopping, best, TQDMProgressBar()],  # rich's bar shows nothing in a log
            num_sanity_val_steps=0,
            # a new data set each epoch carries the epoch's number, and with it its augmentations
            reload_dataloaders_every_n_epochs=1,
            enable_model_summary=False,
        )
        print(
            f"training on {trainer.strategy.root_device}: {len(splits.train_rows)} frames, "
            f"{len(splits.val_rows)} to validate",
            flush=True,
        )
        trainer.fit(classifier, splits)
        kept = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
    prefix = "model."
    state = {name.removeprefix(prefix): value for name, value in kept["state_dict"].items() if name.startswith(prefix)}
    summary = {
        "best_epoch": kept["epoch"],
        **classifier.history[kept["epoch"]],
        "epochs_run": len(classifier.history),
        "early_stopped": stopping.stopped_epoch > 0,
    }
    return state, summary
