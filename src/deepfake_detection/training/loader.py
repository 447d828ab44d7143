"""The batches of training and validation frames, shared by processes and resumable within an epoch."""

import math
import statistics
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader

from deepfake_detection.common.errors import UserError
from deepfake_detection.frames.dataset import derive_seed
from deepfake_detection.frames.prepared import Pixels, open_landmarks, open_set
from deepfake_detection.params.train_sections import Train
from deepfake_detection.training.changed import SAME_FRAME, originals_of
from deepfake_detection.training.distributed import rank_batches
from deepfake_detection.training.training_frames import TrainingFrames

Batch: TypeAlias = Sequence[Tensor]
"""Frames, labels and, unless the data are balanced, weights of the loss.

With ``train.localise`` a training batch ends in the masks of what was changed: see TrainingFrames.
"""
LEVELS: dict[str, list[list[str]]] = {
    "none": [],
    "class": [["label"]],
    "category": [["label"], ["category"]],
    "dataset": [["label"], ["dataset"], ["category"]],
    "video": [["label"], ["dataset"], ["category"], ["video_id", "source_id"]],
}
BATCH_ON_CPU = 16  # for batch_size: auto, because a CPU's memory sets no clear limit


class Unlabelled(NamedTuple):
    """Frames without labels: their numbers in ``pixels``, and the landmarks of all of these."""

    pixels: Pixels
    rows: pd.Index
    landmarks: NDArray[np.float32] | None = None


def open_unlabelled(folder: Path) -> Unlabelled:
    """All frames in a folder such as data/prepared/adapt. Raises UserError as ``open_set`` does."""
    pixels, rows = open_set(folder)
    return Unlabelled(pixels, rows.index, open_landmarks(folder))


class FrameBatches(pl.LightningDataModule):
    """The training frames, with new augmentations in each epoch, and the validation frames without augmentation.

    ``micro_batch_size`` is how many frames a device takes at once. Several processes share the frames of each step. A
    step takes fewer where the next of ``pairs_of`` would not fit.
    ``landmarks`` are those of TrainingFrames; without them nothing is erased, and a line says so. With
    ``params.unlabelled: adapt`` each training batch ends in as many frames of ``unlabelled``, whose label is -1. They
    are augmented as the others are. Raises UserError when there are none.
    """

    def __init__(
        self,
        pixels: Pixels,
        rows: pd.DataFrame,
        params: Train,
        seed: int,
        landmarks: NDArray[np.float32] | None = None,
        unlabelled: Unlabelled | None = None,
    ) -> None:
        super().__init__()
        self.unlabelled = unlabelled if params.unlabelled == "adapt" else None
        if params.unlabelled == "adapt" and (unlabelled is None or unlabelled.rows.empty):
            raise UserError("train.unlabelled: there are no frames without labels: name a data set with use: adapt")
        self.pixels, self.params, self.seed, self.landmarks = pixels, params, seed, landmarks
        if landmarks is None and params.augment.erase:
            print("train.augment.erase does nothing: the faces are not known with prepare.crop=none")
        train, val = (rows[rows["split"] == split] for split in ("train", "val"))
        if params.method != "supervised":
            train, val = with_blends(train, val, params.method, landmarks)
        train = train.assign(pair=pairs_of(train, params.pairs))
        self._steps_by_sharing: dict[tuple[int, ...], list[int]] = {}
        if params.localise:
            train = with_originals(train, landmarks)
        self.train_rows, self.val_rows = (with_weights(part, params.balance) for part in (train, val))
        self.micro_batch_size = (
            BATCH_ON_CPU if params.batch_size == "auto" else params.batch_size
        ) // params.accumulate

    def _sharing(self) -> tuple[int, int, int]:
        trainer = cast(pl.Trainer, self.trainer)
        return trainer.accumulate_grad_batches, trainer.world_size, trainer.global_rank

    def mean_micro_batch(self, index: int) -> float:
        """The mean size of the micro-batches in the step to which a process's micro-batch ``index`` belongs."""
        accumulate, world_size, _ = self._sharing()
        return self._step_sizes()[index // accumulate] / (accumulate * world_size)

    def usual_batch(self) -> int:
        """The commonest number of frames in a training batch, those without labels included."""
        return statistics.mode(map(len, self._whole_epoch())) * (2 if self.unlabelled else 1)

    def steps(self) -> int:
        """The number of optimiser steps in a whole epoch."""
        return math.ceil(len(self._whole_epoch()) / self._sharing()[0])

    def names(self, training: bool, index: int) -> list[str]:
        """The paths of the frames in micro-batch ``index`` of this process in the epoch."""
        if training:
            return list(self._train_order()["path"].iloc[self._train_batches()[index]])
        return list(self.val_rows["path"].iloc[self._val_batches()[index]])

    def _train_order(self) -> pd.DataFrame:
        # shuffled here, because a loader's own order depends on how often it was iterated before
        epoch, sizes_served = cast(pl.Trainer, self.trainer).current_epoch, self._pair_sizes()
        sizes = np.bincount(self.train_rows["pair"])
        shuffled = pd.Series(range(len(sizes))).sample(frac=1, random_state=derive_seed(self.seed, epoch)).to_numpy()
        pairs = np.empty_like(shuffled)
        for size in np.unique(sizes):
            pairs[sizes_served == size] = shuffled[sizes[shuffled] == size]
        return self.train_rows.iloc[pairs.argsort()[self.train_rows["pair"]].argsort(kind="stable")]

    def _train_batches(self) -> list[list[int]]:
        """The micro-batches of this process in the epoch, which ends early where the run does."""
        batches, limit = self._whole_epoch(), self.params.max_steps
        left = limit - cast(pl.Trainer, self.trainer).current_epoch * self.steps()
        return batches[: max(left, 0) * self._sharing()[0]] if limit else batches

    def _whole_epoch(self) -> list[list[int]]:
        batches, share = rank_batches(self._step_sizes(), *self._sharing()), self.params.epoch_share
        if share == 1:
            return batches
        accumulate, world_size, _ = self._sharing()
        steps = math.ceil(share * len(self.train_rows) / (self.micro_batch_size * accumulate * world_size))
        return batches[: steps * accumulate]

    def _step_sizes(self) -> list[int]:
        accumulate, world_size, _ = self._sharing()
        sharing = self.micro_batch_size * accumulate * world_size, accumulate * max(world_size, 2)
        key = *sharing, *self._order_of_sizes()
        if key not in self._steps_by_sharing:
            self._steps_by_sharing[key] = step_sizes(self._pair_sizes().tolist(), *sharing)
        return self._steps_by_sharing[key]

    def _pair_sizes(self) -> NDArray[np.int64]:
        """The sizes of the pairs in the order in which they are served."""
        order = np.random.default_rng(derive_seed(self.seed, *self._order_of_sizes()))
        return order.permutation(np.bincount(self.train_rows["pair"]))

    def _order_of_sizes(self) -> list[int]:
        """What the seed is extended by for the order of the pair sizes.

        It is nothing, so that all epochs have the same order and so the same steps. If they take a share of the frames
        it is the epoch: a pair of a rare size has to come in some of them.
        """
        return [cast(pl.Trainer, self.trainer).current_epoch] if self.params.epoch_share < 1 else []

    def _val_batches(self) -> list[list[int]]:
        _, world_size, rank = self._sharing()
        own = range(rank, len(self.val_rows), world_size)
        return [list(own[start : start + self.micro_batch_size]) for start in range(0, len(own), self.micro_batch_size)]

    def train_dataloader(self) -> DataLoader[Batch]:
        epoch = cast(pl.Trainer, self.trainer).current_epoch
        frames = TrainingFrames(
            self.pixels,
            self._train_order(),
            self.params.augment,
            self.landmarks,
            seed=self.seed,
            epoch=epoch,
            masked=self.params.localise > 0,
        )
        if self.unlabelled is None:
            return ResumableLoader(frames, self._train_batches(), **self._reading())
        others = self._without_labels(self.unlabelled, epoch)
        both: ConcatDataset[tuple[Tensor, ...]] = ConcatDataset([frames, others])
        return ResumableLoader(both, self._with_unlabelled(len(frames), len(others), epoch), **self._reading())

    def _without_labels(self, unlabelled: Unlabelled, epoch: int) -> TrainingFrames:
        rows = pd.DataFrame({"label": -1}, index=unlabelled.rows)
        if "weight" in self.train_rows:  # of the loss with the labels, in which they have no part
            rows["weight"] = 0.0
        draw = derive_seed(self.seed, 1)  # not the augmentations of the frames with labels
        return TrainingFrames(
            unlabelled.pixels,
            rows,
            self.params.augment,
            unlabelled.landmarks,
            seed=draw,
            epoch=epoch,
            masked=self.params.localise > 0,
        )

    def _with_unlabelled(self, labelled: int, unlabelled: int, epoch: int) -> list[list[int]]:
        """The batches of an epoch, each with as many frames without labels, which are numbered from ``labelled`` on.

        All of them are taken before one is taken again. With several processes each takes its share.
        """
        _, world_size, rank = self._sharing()
        batches = self._train_batches()
        shuffled = np.random.default_rng(derive_seed(self.seed, epoch, 1)).permutation(unlabelled)
        share = np.resize(shuffled, world_size * sum(map(len, batches)))[rank::world_size]
        others = iter((labelled + share).tolist())
        return [[*batch, *islice(others, len(batch))] for batch in batches]

    def val_dataloader(self) -> DataLoader[Batch]:
        frames = TrainingFrames(self.pixels, self.val_rows, None, self.landmarks, seed=self.seed)
        return DataLoader(frames, batch_sampler=self._val_batches(), **self._reading())

    def _reading(self) -> dict[str, Any]:
        return {"num_workers": self.params.num_workers, "pin_memory": torch.cuda.is_available()}


def with_blends(
    train: pd.DataFrame, val: pd.DataFrame, method: str, landmarks: NDArray[np.float32] | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of the methods ``self_blended`` and ``nested``, with the column ``blended``.

    Each original is there a second time, blended with itself. ``self_blended`` leaves the fakes out, also when it
    validates. ``nested`` numbers originals, blends and fakes 0, 1 and 2 in training, and validates on what it finally
    tells apart, originals and fakes. Raises UserError when the landmarks of the faces are not there.
    """
    if landmarks is None:
        raise UserError(
            f"train.method: {method} needs the landmarks of faces: set prepare.crop=face, or train.method=supervised"
        )
    parts = []
    for part in (train, val):
        part = part.assign(blended=False)
        originals = part[part["label"] == 0]
        blends = originals.assign(label=1, blended=True, category="self-blended")
        parts.append((originals, blends, part))
    (originals, blends, every), (val_originals, val_blends, _) = parts
    if method == "self_blended":
        return pd.concat([originals, blends]), pd.concat([val_originals, val_blends])
    levels = every.assign(label=every["label"] * 2)
    return pd.concat([levels, blends]), val


def with_originals(train: pd.DataFrame, landmarks: NDArray[np.float32] | None) -> pd.DataFrame:
    """``train`` with the column ``original`` of TrainingFrames.

    Raises UserError if it is known of no row where it was changed.
    """
    if landmarks is None:
        raise UserError("train.localise needs the same crop of a fake and of its original: set prepare.crop=face")
    originals = originals_of(train, landmarks)
    if (originals < 0).all() and not train.get("blended", pd.Series(dtype=bool)).any():
        raise UserError(
            "train.localise: no fake has its original among the frames, so nobody knows where it was changed: set "
            "train.method=nested, which learns from blends"
        )
    return train.assign(original=originals)


def pairs_of(rows: pd.DataFrame, same_frame: bool) -> NDArray[np.int64]:
    """A number for each row, from 0 on: the same for a frame and its blend.

    With ``same_frame`` it is also the same for an original and the fakes made of the same frame of its video.
    """
    keys = rows.groupby(SAME_FRAME).ngroup() if same_frame else rows.index
    return pd.factorize(np.asarray(keys), sort=True)[0]


def step_sizes(pairs: Sequence[int], step: int, least: int) -> list[int]:
    """How many frames each step takes, at most ``step``, so that no pair is in two steps.

    ``pairs`` are the sizes of the pairs in the order in which they are served. One that is larger than ``step`` is cut,
    and so is one before which a step would have fewer than ``least`` frames.
    """
    steps, filled = [], 0
    for size in pairs:
        if filled + size > step and filled >= least:
            steps.append(filled)
            filled = 0
        filled += size
        while filled > step:
            steps.append(step)
            filled -= step
    return [*steps, filled] if filled else steps


def with_weights(rows: pd.DataFrame, balance: str) -> pd.DataFrame:
    """``rows`` with a column ``weight`` for the loss, of mean 1; unchanged if all weights would be 1.

    ``balance`` is a key of LEVELS. With ``class`` the labels have equal sums of weights, with ``category`` also the
    categories of a label. With ``dataset`` the data sets of a label have equal sums, and the categories of each, and
    with ``video`` also the videos of each of these. With ``none`` all weights are 1.
    """
    if not LEVELS[balance] or rows.empty:
        return rows
    share = pd.Series(1.0, index=rows.index)
    part = pd.Series(0, index=rows.index)
    for level in LEVELS[balance]:
        inner = rows.assign(part=part).groupby(["part", *level]).ngroup()
        share /= inner.groupby(part).transform("nunique")
        part = inner
    weights = len(rows) * share / part.groupby(part).transform("size")
    return rows if np.allclose(weights, 1) else rows.assign(weight=weights)


class ResumableLoader(DataLoader[Any]):
    """A loader of given batches that can resume within an epoch, with Lightning's protocol for stateful loaders."""

    def __init__(self, dataset: Any, batches: list[list[int]], **options: Any) -> None:
        super().__init__(dataset, batch_sampler=_ResumableBatches(batches), **options)
        self.served = 0

    def __iter__(self) -> Any:
        for batch in super().__iter__():
            self.served += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        return {"served": self.served}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.served = self.batch_sampler.start = state["served"]  # type: ignore[union-attr]


class _ResumableBatches(list[list[int]]):
    """A list of batches that is iterated from batch ``start`` on; its length still counts all batches."""

    start = 0

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self[self.start :])
