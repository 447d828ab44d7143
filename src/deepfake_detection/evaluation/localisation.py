"""Measures how well a network says where a frame was changed, on frames whose masks are known.

A place of the network's map counts as changed if the mask covers at least half of it, on average.
"""

from typing import Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch.nn.functional import adaptive_avg_pool2d

from deepfake_detection.frames.dataset import frame_loader
from deepfake_detection.frames.prepared import Pixels
from deepfake_detection.network.model import Network
from deepfake_detection.network.sidecar import Where
from deepfake_detection.training.changed import originals_of
from deepfake_detection.training.training_frames import TrainingFrames

BATCH = 32
STEPS = np.arange(1, 100) / 100  # thresholds that are tried


def measure_where(
    network: Network, pixels: Pixels, rows: pd.DataFrame, landmarks: NDArray[np.float32] | None
) -> Where | None:
    """What ``network`` finds in the fakes of ``rows`` whose originals are there, too; if there are none, in blends.

    ``rows`` are those of an index of ``pixels``, and ``landmarks`` those of TrainingFrames. Each original is blended
    once with itself, in the same way in every call. None if the network has no WhereHead, or if no frame counts.
    """
    if not network.variant.localise or landmarks is None:
        return None
    fakes = rows.assign(original=originals_of(rows, landmarks)).query("original >= 0")
    originals = rows[rows["label"] == 0].assign(label=1, blended=True)
    known = originals if fakes.empty else fakes
    if known.empty:
        return None
    frames = TrainingFrames(pixels, known, None, landmarks, masked=True)
    device = next(network.parameters()).device
    found, masks = [], []
    with torch.inference_mode():
        for batch, *_, mask in frame_loader(frames, BATCH):
            places = network.located(batch.to(device))[1].sigmoid().cpu()
            found.append(places.numpy())
            masks.append(adaptive_avg_pool2d(mask[:, None], (places.shape[1], places.shape[2]))[:, 0].numpy())
    return compare_places(np.concatenate(found), np.concatenate(masks), "blends" if fakes.empty else "fakes")


def compare_places(
    found: NDArray[np.float32],
    shares: NDArray[np.float32],
    of: Literal["fakes", "blends"],
    thresholds: NDArray[np.float64] = STEPS,
) -> Where | None:
    """Compares maps with masks, both from 0 to 1 and of shape (frames, rows, columns), at the best of ``thresholds``.

    ``of`` says what kind of frames they are.
    A frame whose mask covers no place does not count. None if no frame does, or if every place of all was changed.
    """
    changed = shares >= 0.5
    known = changed.any((1, 2))
    found, changed = found[known], changed[known]
    if not known.any() or changed.all():
        return None
    frames, often = len(changed), changed.mean(0)
    ious = [_iou(found >= threshold, changed) for threshold in thresholds]
    best = int(np.argmax(ious))
    brightest = found.reshape(frames, -1).argmax(1)
    return Where(
        of=of,
        frames=frames,
        auroc=float(roc_auc_score(changed.ravel(), found.ravel())),
        threshold=float(thresholds[best]),
        iou=ious[best],
        blind_iou=max(_iou((often >= share)[None], changed) for share in np.unique(often[often > 0])),
        hits=float(changed.reshape(frames, -1)[np.arange(frames), brightest].mean()),
        blind_hits=float(often.max()),
    )


def _iou(marked: NDArray[np.bool_], changed: NDArray[np.bool_]) -> float:
    """The mean over frames of the area in both, as a share of the area in either."""
    both, either = ((marked & changed).sum((1, 2)), (marked | changed).sum((1, 2)))
    return float((both / either).mean())
