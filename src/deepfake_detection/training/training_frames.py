"""The frames that a network is trained on: blended with themselves where the method says so, and augmented."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepfake_detection.frames.dataset import Frame, FrameDataset, derive_seed
from deepfake_detection.frames.prepared import Pixels
from deepfake_detection.params.train_sections import Augment
from deepfake_detection.training.augment import augment_frame
from deepfake_detection.training.blending import self_blend

Points = NDArray[np.float32]


class TrainingFrames(FrameDataset):
    """A FrameDataset that augments its frames and knows the landmarks of the faces.

    The random numbers depend only on the seed, the epoch and the frame's position among the frames served, in the order
    of the index. They do not depend on the worker that draws them, or on frames of other splits and categories.

    Where the column ``blended`` of ``rows`` is true, the frame is served blended with itself, as ``self_blend`` does.
    ``landmarks`` are those of all frames, shape (all frames, 5, 2). Frames with the same number in the column ``pair``
    share the random numbers of their augmentation. ``augment`` is None for frames to validate.
    """

    def __init__(
        self,
        pixels: Pixels,
        rows: pd.DataFrame,
        augment: Augment | None,
        landmarks: Points | None = None,
        seed: int = 0,
        epoch: int = 0,
    ) -> None:
        super().__init__(pixels, rows)
        self.augment, self.landmarks, self.seed, self.epoch = augment, landmarks, seed, epoch
        self.numbers = rows["pair"].to_numpy() if "pair" in rows else self.rows.argsort().argsort()
        self.blended = rows["blended"].to_numpy(bool) if "blended" in rows else np.zeros(len(rows), bool)

    def frame(self, item: int) -> Frame:
        frame = super().frame(item)
        points = None if self.landmarks is None else self.landmarks[self.rows[item]]
        draw = self.seed, self.epoch, int(self.numbers[item])
        if self.blended[item] and points is not None:
            # from a seed of its own, so that the augmentation is the one that the original gets
            frame = self_blend(frame, points, np.random.default_rng(derive_seed(*draw, 1))).frame
        if self.augment:
            frame = augment_frame(self.augment, frame, np.random.default_rng(derive_seed(*draw)), points)
        return frame
