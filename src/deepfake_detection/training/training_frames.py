"""The frames that a network is trained on: blended with themselves where the method says so, and augmented."""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepfake_detection.frames.dataset import Frame, FrameDataset, derive_seed
from deepfake_detection.frames.prepared import SCALE, Pixels
from deepfake_detection.params.train_sections import Augment
from deepfake_detection.training.augment import augment_frame, augment_mask
from deepfake_detection.training.blending import Mask, self_blend
from deepfake_detection.training.changed import changed_mask

Points = NDArray[np.float32]
NO_MASK: Mask = np.empty((0, 0), np.float32)  # where none is wanted


class TrainingFrames(FrameDataset):
    """A FrameDataset that augments its frames and knows the landmarks of the faces.

    The random numbers depend only on the seed, the epoch and the frame's position among the frames served, in the order
    of the index. They do not depend on the worker that draws them, or on frames of other splits and categories.

    Where the column ``blended`` of ``rows`` is true, the frame is served blended with itself, as ``self_blend`` does
    with the SCALE of its row.
    ``landmarks`` are those of all frames, shape (all frames, 5, 2). Frames with the same number in the column ``pair``
    share the random numbers of their augmentation. ``augment`` is None for frames to validate.

    With ``masked`` the mask of what was changed is served last, float32 of shape (size, size), augmented as its frame
    is. It is 0 in originals. In blends it is the one that they were blended under, scaled to a maximum of 1, so that a
    faint blend counts as a strong one does. In fakes it is where they differ from the frame whose number the column
    ``original`` of ``rows`` has. In frames of which nobody knows what was changed it is NaN.
    """

    def __init__(
        self,
        pixels: Pixels,
        rows: pd.DataFrame,
        augment: Augment | None,
        landmarks: Points | None = None,
        seed: int = 0,
        epoch: int = 0,
        masked: bool = False,
    ) -> None:
        super().__init__(pixels, rows)
        self.masked = masked
        self.augment, self.landmarks, self.seed, self.epoch = augment, landmarks, seed, epoch
        self.numbers = rows["pair"].to_numpy() if "pair" in rows else self.rows.argsort().argsort()
        self.blended = rows["blended"].to_numpy(bool) if "blended" in rows else np.zeros(len(rows), bool)
        self.scales = rows[SCALE].to_numpy() if SCALE in rows else np.ones(len(rows))
        self.originals = rows["original"].to_numpy() if "original" in rows else np.full(len(rows), -1)

    def __getitem__(self, item: int) -> tuple[Tensor, ...]:
        frame, mask = self._made(item)
        served = self.labelled(frame, item)
        return (*served, torch.from_numpy(mask)) if self.masked else served

    def frame(self, item: int) -> Frame:
        return self._made(item)[0]

    def _made(self, item: int) -> tuple[Frame, Mask]:
        frame = super().frame(item)
        points = None if self.landmarks is None else self.landmarks[self.rows[item]]
        draw = self.seed, self.epoch, int(self.numbers[item])
        seed = derive_seed(*draw)
        if self.blended[item] and points is not None:
            # from a seed of its own, so that the augmentation is the one that the original gets
            frame, mask = self_blend(frame, points, np.random.default_rng(derive_seed(*draw, 1)), self.scales[item])
            mask /= max(mask.max(), 1e-6)
        else:
            mask = self._known_mask(item, frame) if self.masked else NO_MASK
        if self.augment and self.masked and mask.any() and np.isfinite(mask).all():
            mask = augment_mask(self.augment, mask, np.random.default_rng(seed), points)
        if self.augment:
            frame = augment_frame(self.augment, frame, np.random.default_rng(seed), points)
        return frame, mask

    def _known_mask(self, item: int, frame: Frame) -> Mask:
        """The mask of a frame that is served as it is."""
        if (original := self.originals[item]) >= 0:
            return changed_mask(frame, self.pixels[original]).astype(np.float32)
        return np.full(frame.shape[:2], 0 if self.labels[item] == 0 else np.nan, np.float32)
