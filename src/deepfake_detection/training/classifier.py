"""One step of training, as a LightningModule: loss, metrics, optimiser and learning rate."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins import MixedPrecision
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, binary_cross_entropy_with_logits
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, SequentialLR
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import BinaryAccuracy, BinaryAUROC

from deepfake_detection.common.errors import UserError
from deepfake_detection.frames.dataset import derive_seed
from deepfake_detection.network.model import Network
from deepfake_detection.params.train_sections import Train
from deepfake_detection.training.distillation import Teacher, distance
from deepfake_detection.training.feature_losses import Discriminator, alignment, coral, uniformity
from deepfake_detection.training.loader import Batch, FrameBatches

EpochLog: TypeAlias = Callable[[dict[str, float]], None]
OPTIMIZERS: dict[str, type[torch.optim.Adam]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
"""Kingma and Ba 2015, "Adam"; Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization"."""


class FrameClassifier(pl.LightningModule):
    """BCEWithLogitsLoss on one logit, with Adam or AdamW. Loss, accuracy and AUROC of an epoch are over its frames.

    With ``params.unlabelled: adapt`` the second half of a training batch has no labels. Only a ``teacher`` and
    ``params.adapt`` learn from it.
    """

    def __init__(
        self,
        model: Network,
        params: Train,
        seed: int,
        on_epoch: EpochLog | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        super().__init__()
        self.model, self.params, self.seed, self.on_epoch, self.teacher = model, params, seed, on_epoch, teacher
        self.captured: Callable[[Tensor], Tensor] | None = None  # computes what ``model`` does in training
        self.discriminator = Discriminator(model.width) if params.adapt == "dann" else None
        self.total_steps = 0  # of the run
        # both options spare looks at the values, for which a GPU's step would be waited for
        kinds = {"accuracy": BinaryAccuracy(validate_args=False), "auroc": BinaryAUROC(validate_args=False)}
        metrics = MetricCollection(kinds, compute_groups=False)  # type: ignore[arg-type]
        self.train_metrics, self.val_metrics = metrics.clone("train_"), metrics.clone("val_")
        # not Lightning's mean, because it rounds the number of frames when processes share them unevenly
        self.train_loss, self.val_loss = FrameMean(), FrameMean()
        for metric in (self.train_loss, self.train_metrics):
            metric.persistent(True)  # so that a run stopped within an epoch resumes with its counts
        self.history: list[dict[str, float]] = []  # one entry per epoch
        # the last step's loss, once it has arrived, and its description
        self.unchecked: tuple[Callable[[], float], Callable[[], str]] | None = None

    def training_step(self, batch: Batch, index: int) -> Tensor:
        # Lightning averages over micro-batches and processes; this weight makes the result the mean over frames
        labelled = self._labelled(len(batch[1]))
        weight = labelled / cast(FrameBatches, self.trainer.datamodule).mean_micro_batch(index)  # type: ignore[attr-defined]
        return self._step(batch, index, self.train_loss, self.train_metrics) * weight

    def validation_step(self, batch: Batch, index: int) -> None:
        self._step(batch, index, self.val_loss, self.val_metrics)

    def _step(self, batch: Batch, index: int, mean_loss: "FrameMean", metrics: MetricCollection) -> Tensor:
        frames, *rest = batch
        masks = rest.pop() if self.training and self.params.localise else None
        looks = self.training and self.params.looks_inside
        features, places = self.model.features_and_places(frames) if looks else (None, None)
        network = self.captured if self.training and self.captured else self.model
        every = network(frames) if features is None else self.model.logits(features)
        labelled = self._labelled(len(frames))
        logits, labels, *weights = (part[:labelled] for part in (every, *rest))
        loss = self._loss(logits, labels, weights[0] if weights else None)
        if self.teacher and self.training:
            share, temperature = self.params.teacher_weight, self.params.teacher_temperature
            taught = distance(every.reshape(len(frames), -1)[:, 0], self.teacher(frames), temperature)
            loss = (1 - share) * loss + share * taught
        if masks is not None and places is not None:
            loss = loss + self.params.localise * misplaced(places, masks)
        if features is not None:
            loss = loss + self._feature_losses(features[:labelled], features[labelled:], labels)
        self._require_finite()  # checks the previous step, because a GPU is still computing this one
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        describe = partial(self._describe_step, self.training, index, self.global_step, rate)
        self.unchecked = read_later(loss.detach()), describe
        mean_loss.update(loss.detach(), len(labels))
        metrics.update(logits.detach().reshape(len(labels), -1)[:, 0].sigmoid(), labels.clamp(max=1).int())
        name = "train_loss" if self.training else "val_loss"
        self.log(name, mean_loss, on_step=False, on_epoch=True)
        self.log_dict(metrics, on_step=False, on_epoch=True)
        return loss

    def _labelled(self, frames: int) -> int:
        """How many frames of a batch of ``frames`` have labels; they come first."""
        return frames // 2 if self.training and self.params.unlabelled == "adapt" else frames

    def _feature_losses(self, features: Tensor, unlabelled: Tensor, labels: Tensor) -> Tensor:
        """The weighted losses on the ``features`` of frames with ``labels`` and on those of frames without."""
        loss = features.new_zeros(())
        if self.params.align:
            loss = loss + self.params.align * alignment(features, labels)
        if self.params.uniform:
            loss = loss + self.params.uniform * uniformity(features)
        if self.params.adapt != "none":
            loss = loss + self.params.adapt_weight * self._unlikeness(features, unlabelled)
        return loss

    def _unlikeness(self, source: Tensor, target: Tensor) -> Tensor:
        """How well the features of frames with labels and without can be told apart, as ``params.adapt`` sees it."""
        if self.discriminator is None:
            return coral(source, target)
        loss: Tensor = self.discriminator(source, target, self.global_step / self.total_steps)
        return loss

    def _loss(self, logits: Tensor, labels: Tensor, weight: Tensor | None) -> Tensor:
        """The loss of one logit a frame, or of one for each of two levels: below 1 or not, below 2 or not.

        The second says whether a frame is a fake rather than an original or a blend of itself. It shapes the features
        in training alone, so that blends and fakes need not look alike (Cheng et al. 2024, "Can We Leave Deepfake Data
        Behind in Training Deepfake Detector?"). Validation is about the first.
        """
        levels = logits.reshape(len(labels), -1)[:, : 2 if self.training else 1].unbind(1)
        losses = [
            binary_cross_entropy_with_logits(level, self._targets((labels > number).float()), weight)
            for number, level in enumerate(levels)
        ]
        return torch.stack(losses).sum() if len(losses) > 1 else losses[0]

    def _targets(self, labels: Tensor) -> Tensor:
        """The labels that the loss compares with: smoothed in training, as they are in validation.

        Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision", section 7, with two classes.
        """
        return labels + self.params.label_smoothing * (0.5 - labels) if self.training else labels

    def _describe_step(self, training: bool, index: int, step: int, rate: float) -> str:
        names = cast(FrameBatches, self.trainer.datamodule).names(training, index)  # type: ignore[attr-defined]
        when = f"step {step}" if training else f"validation after {step} steps"
        return f"in {when} of epoch {self.current_epoch}, at learning rate {rate:g}, on {', '.join(names)}"

    def _require_finite(self) -> None:
        """Raises UserError when the last step's loss is NaN or infinite."""
        if self.unchecked is None:
            return
        read, place = self.unchecked
        if not math.isfinite(loss := read()):
            best = self.trainer.checkpoint_callback.best_model_path  # type: ignore[union-attr]
            kept = f"; the best epoch before is kept in {best}" if best else ""
            raise UserError(
                f"train: the loss is {loss} {place()}: lower train.lr, or set train.precision to 32-true{kept}"
            )

    def on_train_epoch_start(self) -> None:
        self.train_loss.reset()  # a checkpoint that a run resumes from still holds the metrics of its own epoch
        self.train_metrics.reset()

    def on_train_batch_start(self, _: Batch, index: int) -> None:
        # so that dropout is repeatable, whatever else draws random numbers in between (data workers do)
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
            for values in self.history:  # DVC removed the curves of these epochs before it ran the stage
                self.on_epoch(values)

    def configure_optimizers(self) -> Any:
        # with mixed precision Lightning clips no gradients for a fused optimiser, because that may unscale them itself
        fused = not (self.params.clip_norm and isinstance(self.trainer.precision_plugin, MixedPrecision))
        kind = OPTIMIZERS[self.params.optimizer]
        optimizer = kind(self.parameters(), self.params.lr, weight_decay=self.params.weight_decay, fused=fused)
        # not Lightning's estimate, which would load an epoch's frames before the number of the epoch is known
        steps = cast(FrameBatches, self.trainer.datamodule).steps()  # type: ignore[attr-defined]
        steps *= self.params.epochs
        self.total_steps = min(steps, self.params.max_steps or steps)
        schedule = lr_schedule(optimizer, self.params, steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}] if schedule else []


def misplaced(places: Tensor, masks: Tensor) -> Tensor:
    """The binary cross-entropy of ``places``, logits of shape (batch, rows, columns), with the ``masks`` of the frames.

    Each place is compared with the mean of its part of the mask. Frames whose mask is NaN do not count.
    """
    shares = adaptive_avg_pool2d(masks[:, None], (places.shape[1], places.shape[2]))[:, 0]
    known = shares.isfinite().float()
    total = binary_cross_entropy_with_logits(places, shares.nan_to_num(), known, reduction="sum")
    return total / known.sum().clamp(min=1)


class FrameMean(Metric):
    """The mean of a value over frames, from the means of batches of different sizes.

    torchmetrics' MeanMetric looks for NaN in each update, so the host would wait for the GPU twice a step. Without that
    look (nan_strategy="disable") its release 1.9.0 ignores the weights.
    """

    total: Tensor
    frames: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("total", "frames"):
            self.add_state(name, torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, mean: Tensor, frames: int) -> None:
        self.total += mean * frames
        self.frames += frames

    def compute(self) -> Tensor:
        return self.total / self.frames


def read_later(value: Tensor) -> Callable[[], float]:
    """Starts to copy one number from its device. The function returned waits for the copy and gives the number.

    What is computed on the device after this call is not waited for.
    """
    on_gpu = value.is_cuda  # only there can an event say when the copy is there
    copy = torch.empty_like(value, device="cpu", pin_memory=on_gpu).copy_(value, non_blocking=on_gpu)
    arrived = torch.cuda.Event() if on_gpu else None  # type: ignore[no-untyped-call]
    if arrived:
        arrived.record()

    def read() -> float:
        if arrived:
            arrived.synchronize()
        return copy.item()

    return read


def lr_schedule(optimizer: Optimizer, params: Train, steps: int) -> LRScheduler | None:
    """A linear warm-up, then a constant rate or half a cosine that reaches 0 at the end of the run.

    ``steps`` are those of all epochs; with ``params.max_steps`` the run may end before.

    Goyal et al. 2017, "Accurate, Large Minibatch SGD" (warm-up); Loshchilov and Hutter 2017, "SGDR" (cosine).
    """
    rising = round(steps * params.warmup_epochs / params.epochs)
    parts: list[LRScheduler] = []
    if rising:
        parts.append(LinearLR(optimizer, 1 / (rising + 1), total_iters=rising))
    if params.schedule == "cosine":
        parts.append(CosineAnnealingLR(optimizer, max(min(steps, params.max_steps or steps) - rising, 1)))
    return SequentialLR(optimizer, parts, [rising]) if len(parts) == 2 else next(iter(parts), None)
