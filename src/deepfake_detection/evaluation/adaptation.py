"""What a network gains, or loses, from batch-norm statistics of the frames to be judged: see ``inference.adabn``."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import VIDEO_KEY
from deepfake_detection.evaluation.compare import compare
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.frames.prepared import Pixels
from deepfake_detection.inference.adabn import with_statistics_of
from deepfake_detection.inference.logits import predict_logits
from deepfake_detection.network.model import Network
from deepfake_detection.network.sidecar import Sidecar


def adaptation(
    network: Network,
    sidecar: Sidecar,
    target: Pixels,
    scored: tuple[Pixels, pd.DataFrame],
    batch_size: int,
    seed: int,
    draws: int,
) -> dict[str, Any]:
    """Each data set of ``scored`` before and after the statistics of ``target``, for metrics/adapt/adabn.json.

    ``target`` are frames without labels, ``scored`` the pixels and rows of frames with labels. A video of which a frame
    is in ``target`` too is not scored, and ``videos_left_out`` counts these. The calibration is that of ``sidecar``,
    fitted before. ``metrics`` are as ``evaluation.compare.compare`` gives them, with the interval of the difference.
    The result is transductive: it says nothing of frames that are no more like ``target`` than the training was.

    Raises UserError when ``target`` is empty, or nothing is left to score.
    """
    if not len(target):
        raise UserError("adapt: there are no frames to adapt to: name a data set with use: adapt in datasets")
    pixels, rows = scored
    kept, left_out = without_videos_in(target, pixels, rows)
    if kept.empty:
        raise UserError("adapt: no video is left to score: name another data set with use: test in datasets")
    adapted = with_statistics_of(network, shuffled_batches(target, batch_size, seed))
    frames = FrameDataset(pixels, kept)
    tables = {
        name: kept.assign(probability=sidecar.frame.probability(predict_logits(each, frames, batch_size)))
        for name, each in (("none", network), ("adabn", adapted))
    }
    data_sets = {}
    for dataset, part in kept.groupby("dataset", sort=True):
        chosen = {name: table.loc[part.index].reset_index(drop=True) for name, table in tables.items()}
        (pair,) = compare(chosen, part["group"].reset_index(drop=True), sidecar.frame.threshold, seed, draws)
        data_sets[str(dataset)] = {
            "frames": len(part),
            "groups": int(part["group"].nunique()),
            "videos_left_out": left_out.get(str(dataset), 0),
            "metrics": pair["metrics"],
        }
    return {"transductive": True, "adapted_to": len(target), "data_sets": data_sets}


def without_videos_in(target: Pixels, pixels: Pixels, rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """The ``rows`` of videos of which no frame is in ``target``, and how many of each data set are left out.

    Frames are the same if all their bytes are.
    """
    known = {target[row].tobytes() for row in range(len(target))}
    same = pd.Series([pixels[row].tobytes() in known for row in rows.index], index=rows.index)
    videos = rows.groupby(VIDEO_KEY, dropna=False).ngroup()
    shared = videos.isin(videos[same])
    left_out = rows[shared].assign(video=videos[shared]).groupby("dataset")["video"].nunique()
    return rows[~shared], {str(name): int(count) for name, count in left_out.items()}


def shuffled_batches(frames: Pixels, batch_size: int, seed: int) -> Iterator[Tensor]:
    """``frames`` in batches of about the same size, in an order drawn from ``seed``, so that each is a fair sample."""
    order = np.random.default_rng(seed).permutation(len(frames))
    for part in np.array_split(order, max(1, round(len(frames) / batch_size))):
        yield torch.from_numpy(np.stack([frames[row] for row in np.sort(part)]))
