"""The frames that a network is trained on: blended with themselves where the method says so, and augmented."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepfake_detection.frames.augment import augment_frame
from deepfake_detection.frames.blending import self_blend
from deepfake_detection.frames.dataset import Frame, FrameDataset, derive_seed
from deepfake_detection.params.train import Augment

Points = NDArray[np.float32]


class TrainingFrames(FrameDataset):
    """A FrameDataset that knows the landmarks of the faces.

    Where the column ``blended`` of ``rows`` is true, the frame is served blended with itself, as ``self_blend`` does.
    ``landmarks`` are those of all frames, shape (all frames, 5, 2). Frames with the same number in the column ``pair``
    share the random numbers of their augmentation. ``augment`` is None for frames to validate.
    """

    def __init__(
        self, pixels: Frame, rows: pd.DataFrame, augment: Augment | None, landmarks: Points | None, **draw: int
    ) -> None:
        super().__init__(pixels, rows, **draw)  # type: ignore[arg-type]
        self.effects, self.landmarks = augment, landmarks
        if "pair" in rows:
            self.numbers = rows["pair"].to_numpy()
        self.blended = rows["blended"].to_numpy(bool) if "blended" in rows else np.zeros(len(rows), bool)

    def frame(self, item: int) -> Frame:
        frame = super().frame(item)
        points = None if self.landmarks is None else self.landmarks[self.rows[item]]
        draw = self.seed, self.epoch, int(self.numbers[item])
        if self.blended[item] and points is not None:
            # from a seed of its own, so that the augmentation is the one that the original gets
            frame = self_blend(frame, points, np.random.default_rng(derive_seed(*draw, 1))).frame
        if self.effects:
            frame = augment_frame(self.effects, frame, np.random.default_rng(derive_seed(*draw)), points)
        return frame
