"""Where a fake differs from its original, where both were prepared: the masks of ``train.localise``."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from deepfake_detection.frames.dataset import Frame

ALTERED = 6.0  # grey levels, the mean over 3 x 3 pixels and the colours; the compression changes less
SAME_FRAME = ["dataset", "video_id", "frame"]  # what an original and the fakes made of one frame of it share


def originals_of(rows: pd.DataFrame, landmarks: NDArray[np.float32]) -> NDArray[np.int64]:
    """For each of ``rows`` the number of its original among the pixels, or -1.

    It is -1 for originals and blends, and for a fake whose original is not among ``rows`` or has another crop. The same
    crop of the same frame has the same ``landmarks``, those of all pixels, shape (frames, 5, 2): where an original has
    a face, its fakes are cropped by that.
    """
    keys = pd.MultiIndex.from_frame(rows[SAME_FRAME])
    real = (rows["label"] == 0).to_numpy()
    numbers = pd.Series(rows.index[real], keys[real])
    found = numbers[~numbers.index.duplicated()].reindex(keys).fillna(-1).to_numpy(np.int64)
    known = (found >= 0) & (landmarks[found] == landmarks[rows.index]).all((1, 2)) & ~real
    if "blended" in rows:
        known &= ~rows["blended"].to_numpy(bool)
    return np.where(known, found, -1)


def changed_mask(fake: Frame, original: Frame) -> NDArray[np.bool_]:
    """The pixels of ``fake`` that were changed, of shape (height, width)."""
    difference = np.abs(fake.astype(np.float32) - original).mean(-1)
    changed: NDArray[np.bool_] = uniform_filter(difference, 3) > ALTERED
    return changed
