"""Fine-tunes the model, backbone and head, with Lightning's Trainer."""

import logging
import math
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from numpy.typing import NDArray
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar, WeightAveraging
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import BinaryAccuracy, BinaryAUROC

from deepfake_detection.allocator import keep_freed_memory
from deepfake_detection.distributed import SyncBatchNormOnCpu, check_launcher, own_parts
from deepfake_detection.errors import UserError
from deepfake_detection.frames import FrameDataset, derive_seed, normalise
from deepfake_detection.memory import find_batch_size, peak_memory, recompute_activations
from deepfake_detection.params import Train
from deepfake_detection.precision import fast_precision
from deepfake_detection.resume import BEST, LAST, AtomicCheckpoints, ResumableLoader, StopAndGoOn
from deepfake_detection.schedule import lr_schedule

# its tips advertise; warnings still come through, but for one about its own code and one about what is meant to be
logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec", module="pytorch_lightning")
warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")

Batch = tuple[Tensor, Tensor]
EpochLog = Callable[[dict[str, float]], None]
BATCH_ON_CPU = 16  # for batch_size: auto, where memory does not say when to stop


class FrameClassifier(pl.LightningModule):
    """BCEWithLogitsLoss on one logit, Adam; loss, accuracy and AUROC an epoch, means over frames."""

    def __init__(self, model: nn.Module, params: Train, seed: int, on_epoch: EpochLog | None = None) -> None:
        super().__init__()
        self.model, self.params, self.seed, self.on_epoch = model, params, seed, on_epoch
        self.loss = nn.BCEWithLogitsLoss()
        metrics = MetricCollection({"accuracy": BinaryAccuracy(), "auroc": BinaryAUROC()})
        self.train_metrics, self.val_metrics = metrics.clone("train_"), metrics.clone("val_")
        # torchmetrics' mean, for Lightning's own rounds the number of frames when processes share them unevenly
        self.train_loss, self.val_loss = MeanMetric(), MeanMetric()
        for metric in (self.train_loss, self.train_metrics):
            metric.persistent(True)  # a run stopped within an epoch goes on with what it has counted
        self.history: list[dict[str, float]] = []  # one entry an epoch
        self.unchecked: tuple[Tensor, Callable[[], str]] | None = None  # the last step's loss, and where that was

    def training_step(self, batch: Batch, index: int) -> Tensor:
        # Lightning takes the mean over parts and processes; weighted so, it is the mean over the step's frames
        weight = len(batch[1]) / cast(FrameSplits, self.trainer.datamodule).mean_part(index)  # type: ignore[attr-defined]
        return self._step(batch, index, self.train_loss, self.train_metrics) * weight

    def validation_step(self, batch: Batch, index: int) -> None:
        self._step(batch, index, self.val_loss, self.val_metrics)

    def _step(self, batch: Batch, index: int, mean_loss: MeanMetric, metrics: MetricCollection) -> Tensor:
        frames, labels = batch
        logits: Tensor = self.model(normalise(frames)).squeeze(1).float()
        loss: Tensor = self.loss(logits, labels)
        self._require_finite()  # of the step before: a GPU is still at this one
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.unchecked = loss.detach(), partial(self._place, self.training, index, self.global_step, rate)
        mean_loss.update(loss.detach(), len(labels))  # an epoch's value is the mean over frames
        metrics.update(logits.detach().sigmoid(), labels.int())
        name = "train_loss" if self.training else "val_loss"
        self.log(name, mean_loss, on_step=False, on_epoch=True, prog_bar=True)
        self.log_dict(metrics, on_step=False, on_epoch=True)
        return loss

    def _place(self, training: bool, index: int, step: int, rate: float) -> str:
        names = cast(FrameSplits, self.trainer.datamodule).names(training, index)  # type: ignore[attr-defined]
        when = f"step {step}" if training else f"validation after {step} steps"
        return f"in {when} of epoch {self.current_epoch}, at learning rate {rate:g}, on {', '.join(names)}"

    def _require_finite(self) -> None:
        """Raises UserError when the last step's loss is not a number, or infinite."""
        if self.unchecked and not self.unchecked[0].isfinite().item():
            loss, place = self.unchecked
            best = self.trainer.checkpoint_callback.best_model_path  # type: ignore[union-attr]
            kept = f"; the best epoch before is kept in {best}" if best else ""
            raise UserError(
                f"train: the loss is {loss.item()} {place()}: lower train.lr, or set train.precision to 32-true{kept}"
            )

    def on_train_epoch_start(self) -> None:
        self.train_loss.reset()  # a state to go on from holds those of its epoch
        self.train_metrics.reset()

    def on_train_batch_start(self, _: Batch, index: int) -> None:
        # dropout repeats, whatever else has drawn random numbers in between (data workers do)
        torch.manual_seed(derive_seed(self.seed, self.current_epoch, self.global_rank, index))

    def on_train_epoch_end(self) -> None:
        self._require_finite()
        self.unchecked = None
        values = {name: value.item() for name, value in sorted(self.trainer.callback_metrics.items())}
        self.history.append(values)
        if self.on_epoch and self.trainer.is_global_zero:
            self.on_epoch(values)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = checkpoint.get("history", [])
        if self.on_epoch and self.trainer.is_global_zero:
            for values in self.history:  # DVC has removed their curves
                self.on_epoch(values)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.params.lr, fused=True)
        # not Lightning's estimate, which would load an epoch's frames before it is known which epoch
        steps = cast(FrameSplits, self.trainer.datamodule).steps()  # type: ignore[attr-defined]
        schedule = lr_schedule(optimizer, self.params, steps * self.params.epochs)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}] if schedule else []


class FrameSplits(pl.LightningDataModule):
    """The training frames, augmented anew each epoch, and the validation frames as they are.

    ``part`` is how many frames a device takes at once; several processes share the frames of each step.
    """

    def __init__(self, pixels: NDArray[np.uint8], rows: pd.DataFrame, params: Train, seed: int) -> None:
        super().__init__()
        self.pixels, self.params, self.seed = pixels, params, seed
        self.train_rows, self.val_rows = rows[rows["split"] == "train"], rows[rows["split"] == "val"]
        self.part = (BATCH_ON_CPU if params.batch_size == "auto" else params.batch_size) // params.accumulate

    def _sharing(self) -> tuple[int, int, int]:
        trainer = cast(pl.Trainer, self.trainer)
        return trainer.accumulate_grad_batches, trainer.world_size, trainer.global_rank

    def mean_part(self, index: int) -> float:
        """The mean number of frames in the parts of the step to which a process's part ``index`` belongs."""
        accumulate, world_size, _ = self._sharing()
        step = self.part * accumulate * world_size
        return min(step, len(self.train_rows) - index // accumulate * step) / (accumulate * world_size)

    def steps(self) -> int:
        """The optimiser's steps in an epoch."""
        return math.ceil(len(self._train_parts()) / self._sharing()[0])

    def names(self, training: bool, index: int) -> list[str]:
        """The paths of the frames in this process's part ``index`` of the epoch."""
        if training:
            return list(self._train_order()["path"].iloc[self._train_parts()[index]])
        return list(self.val_rows["path"].iloc[self._val_parts()[index]])

    def _train_order(self) -> pd.DataFrame:
        # shuffled here, not by the loader, whose order depends on how often it was iterated before
        epoch = cast(pl.Trainer, self.trainer).current_epoch
        return self.train_rows.sample(frac=1, random_state=derive_seed(self.seed, epoch))

    def _train_parts(self) -> list[list[int]]:
        accumulate, world_size, rank = self._sharing()
        return own_parts(len(self.train_rows), self.part * accumulate * world_size, accumulate, world_size, rank)

    def _val_parts(self) -> list[list[int]]:
        _, world_size, rank = self._sharing()
        own = range(rank, len(self.val_rows), world_size)
        return [list(own[start : start + self.part]) for start in range(0, len(own), self.part)]

    def train_dataloader(self) -> DataLoader[Batch]:
        epoch = cast(pl.Trainer, self.trainer).current_epoch
        frames = FrameDataset(self.pixels, self._train_order(), self.params.augment, self.seed, epoch)
        return ResumableLoader(frames, self._train_parts(), **self._reading())

    def val_dataloader(self) -> DataLoader[Batch]:
        frames = FrameDataset(self.pixels, self.val_rows)
        return DataLoader(frames, batch_sampler=self._val_parts(), **self._reading())

    def _reading(self) -> dict[str, Any]:
        return {"num_workers": self.params.num_workers, "pin_memory": torch.cuda.is_available()}


def fit(
    model: nn.Module,
    splits: FrameSplits,
    params: Train,
    on_epoch: EpochLog | None = None,
    state: Path | None = None,
) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Trains to the best validation loss, on whatever accelerator is there, deterministically unless told otherwise.

    ``on_epoch`` is called after each epoch with its train_ and val_ loss, accuracy and auroc. In the
    folder ``state``, where there is one, stands after each epoch, and when SIGTERM ends it, what the
    same run goes on from in its next call; on a CPU it then ends as if nothing had stopped it, to the byte.
    Returns the best epoch's state_dict and a summary: the best epoch (from 0) with its losses,
    accuracies and AUROCs, the epochs run, and whether early stopping struck; with batch_size auto
    also the size found. Where several processes train, the first returns that, the others None.
    Raises UserError when the devices are not there, the frames do not divide among them, or a loss is
    not finite.
    """
    shared: dict[str, Any] = {
        "precision": fast_precision() if params.precision == "auto" else params.precision,
        "deterministic": params.deterministic,
        "benchmark": not params.deterministic,
        "logger": False,
        "num_sanity_val_steps": 0,
        "enable_model_summary": False,
    }
    # a guard against operators that read what they have not written, which would fill each new tensor in every step
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if on_cpu := not torch.accelerator.is_available():
        keep_freed_memory()
    stopping = EarlyStopping("val_loss", patience=params.patience)
    average = get_ema_multi_avg_fn(params.ema)  # type: ignore[no-untyped-call]
    averaging = [WeightAveraging(multi_avg_fn=average)] if params.ema else []
    plugins: list[Any] = [AtomicCheckpoints()]
    plugins += [SyncBatchNormOnCpu()] if on_cpu else []
    # Lightning would save in the middle of a step and call for another job itself
    plugins += [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []
    with nullcontext(state) if state else tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # one state, replaced after each epoch; Lightning keeps averaged weights in whole checkpoints alone
        best, last = (
            ModelCheckpoint(folder, Path(file).stem, monitor, save_weights_only=weights, enable_version_counter=False)
            for file, monitor, weights in ((BEST, "val_loss", not averaging), (LAST, None, False))
        )
        try:
            trainer = pl.Trainer(
                max_epochs=params.epochs,
                devices=params.devices,
                num_nodes=params.num_nodes,
                accumulate_grad_batches=params.accumulate,
                sync_batchnorm=not on_cpu,
                plugins=plugins,
                use_distributed_sampler=False,  # FrameSplits shares the frames, and none is served twice
                # rich's bar shows nothing in a log
                callbacks=[stopping, best, last, *averaging, StopAndGoOn(folder / LAST), TQDMProgressBar()],
                # a new data set each epoch carries the epoch's number, and with it its augmentations
                reload_dataloaders_every_n_epochs=1,
                **shared,
            )
        except (MisconfigurationException, RuntimeError) as error:  # what Lightning says of devices, Slurm or precision
            raise UserError(f"train.devices: {' '.join(str(error).split())}") from None
        check_launcher(trainer.world_size)
        if params.checkpoint_activations:
            recompute_activations(model)
        classifier = FrameClassifier(model, params, splits.seed, on_epoch)
        batch_size = choose_batch_size(classifier, splits, trainer.world_size, shared)
        if params.compile != "none":
            model.compile(mode=params.compile)
        from_state = folder / LAST if (folder / LAST).exists() else None
        if trainer.is_global_zero:
            if from_state:
                print(f"going on from {from_state}", flush=True)
            print(
                f"training on {trainer.world_size} x {trainer.strategy.root_device.type}: "
                f"{len(splits.train_rows)} frames, {len(splits.val_rows)} to validate, {batch_size} a step",
                flush=True,
            )
        try:
            trainer.fit(classifier, splits, ckpt_path=from_state, weights_only=True)
        except SIGTERMException:
            print("stopped by SIGTERM: the same run goes on from here", flush=True)
            sys.exit(128 + signal.SIGTERM)
        if not trainer.is_global_zero:
            return None
        print(f"peak memory: {peak_memory(trainer.strategy.root_device) / 2**30:.2f} GiB", flush=True)
        kept = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
    prefix = "model."
    weights = {
        name.removeprefix(prefix): value for name, value in kept["state_dict"].items() if name.startswith(prefix)
    }
    summary = {
        "best_epoch": kept["epoch"],
        **classifier.history[kept["epoch"]],
        "epochs_run": len(classifier.history),
        "early_stopped": stopping.stopped_epoch > 0,
    }
    return weights, summary | ({"batch_size": batch_size} if params.batch_size == "auto" else {})


def choose_batch_size(
    classifier: FrameClassifier, splits: FrameSplits, world_size: int, settings: dict[str, Any]
) -> int:
    """The frames of one step of the optimiser, given or found; sets what a device takes of them at once in ``splits``.

    Raises UserError when they do not divide evenly.
    """
    params = splits.params
    if params.batch_size == "auto":
        if world_size > 1:
            raise UserError(
                "train.batch_size: auto finds what one device holds; with several find it with train.devices=1 "
                "and train.num_nodes=1, then set that number times the devices"
            )
        if torch.cuda.is_available():
            found = find_batch_size(classifier, splits, "part", **settings)
            splits.part = min(found, len(splits.train_rows) // params.accumulate)
        else:
            print(f"batch_size auto: a CPU's memory gives no measure, {BATCH_ON_CPU} frames are taken", flush=True)
        batch_size = splits.part * params.accumulate
    else:
        batch_size = params.batch_size
    splits.part, rest = divmod(batch_size, world_size * params.accumulate)
    if rest or batch_size < 2 * params.accumulate:
        raise UserError(
            f"train.batch_size: {batch_size} frames cannot be shared by {world_size} devices in {params.accumulate} "
            "parts each: it must be a multiple of both together, with 2 frames or more in a part of all devices"
        )
    if min(len(splits.train_rows), len(splits.val_rows)) < world_size:
        raise UserError(f"train.devices: fewer frames to train on or to validate than the {world_size} devices")
    return batch_size
