"""Measures how well a network says where a frame was changed, on blends, whose masks are known.

A place of the network's map counts as changed if the mask covers at least half of it, on average.
"""

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
from deepfake_detection.training.training_frames import TrainingFrames

BATCH = 32
STEPS = np.arange(1, 100) / 100  # thresholds that are tried


def measure_where(
    network: Network, pixels: Pixels, rows: pd.DataFrame, landmarks: NDArray[np.float32] | None
) -> Where | None:
    """What ``network`` finds in blends of the originals in ``rows``, which are those of an index of ``pixels``.

    Each original is blended once with itself, in the same way in every call. ``landmarks`` are those of TrainingFrames.
    None if the network has no WhereHead, or if no blend counts.
    """
    originals = rows[rows["label"] == 0]
    if not network.variant.localise or landmarks is None or originals.empty:
        return None
    frames = TrainingFrames(pixels, originals.assign(label=1, blended=True), None, landmarks, masked=True)
    device = next(network.parameters()).device
    found, masks = [], []
    with torch.inference_mode():
        for batch, *_, mask in frame_loader(frames, BATCH):
            places = network.located(batch.to(device))[1].sigmoid().cpu()
            found.append(places.numpy())
            masks.append(adaptive_avg_pool2d(mask[:, None], (places.shape[1], places.shape[2]))[:, 0].numpy())
    return compare_places(np.concatenate(found), np.concatenate(masks))


def compare_places(
    found: NDArray[np.float32], shares: NDArray[np.float32], thresholds: NDArray[np.float64] = STEPS
) -> Where | None:
    """Compares maps with masks, both from 0 to 1 and of shape (blends, rows, columns), at the best of ``thresholds``.

    A blend whose mask covers no place does not count. None if no blend does, or if every place of all was changed.
    """
    changed = shares >= 0.5
    known = changed.any((1, 2))
    found, changed = found[known], changed[known]
    if not known.any() or changed.all():
        return None
    blends = len(changed)
    ious = [_iou(found >= threshold, changed) for threshold in thresholds]
    best = int(np.argmax(ious))
    brightest = found.reshape(blends, -1).argmax(1)
    return Where(
        blends=blends,
        auroc=float(roc_auc_score(changed.ravel(), found.ravel())),
        threshold=float(thresholds[best]),
        iou=ious[best],
        hits=float(changed.reshape(blends, -1)[np.arange(blends), brightest].mean()),
        blind_hits=float(changed.mean(0).max()),
    )


def _iou(marked: NDArray[np.bool_], changed: NDArray[np.bool_]) -> float:
    """The mean over blends of the area in both, as a share of the area in either."""
    both, either = ((marked & changed).sum((1, 2)), (marked | changed).sum((1, 2)))
    return float((both / either).mean())
