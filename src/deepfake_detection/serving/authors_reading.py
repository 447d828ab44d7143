"""Reads the scores of a network of others as its authors do, for as long as nobody has calibrated it here.

``sidecar.Imported`` says how: which faces of a frame count, and how the frames of a video are put together. The rules
are those of the authors' own programs that judge a file: see docs/concepts/crops.md.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from deepfake_detection.network.sidecar import Imported, Sidecar, sigmoid
from deepfake_detection.pictures.faces import DetectedFace

CONFIDENT = 0.8  # a score above it speaks clearly for a fake, and one below 1 - CONFIDENT for an original
CERTAIN = 1e-9  # a score as near as this to 0 or 1 has the logit of this one


def authors_of(sidecar: Sidecar) -> Imported | None:
    """How the scores are read, or None if the checkpoint is calibrated here, and read as ours are."""
    if sidecar.calibrated:
        return None
    return sidecar.imported or Imported(recipe="none", licence="not known", files=[])


def counting(faces: Sequence[DetectedFace], authors: Imported, video: bool) -> list[DetectedFace]:
    """The faces of a picture, or of a frame of a ``video``, that count. ``faces`` has the most prominent first.

    ``first`` is that one alone. ``large`` leaves out those whose box has less than half the area of the largest. It is
    for videos, where a passer-by must not decide; of a picture all faces then count.
    """
    if authors.faces == "first":
        return list(faces[:1])
    if authors.faces == "large" and video and faces:
        areas = [(box.right - box.left) * (box.bottom - box.top) for box, _ in faces]
        return [face for face, area in zip(faces, areas, strict=True) if area >= max(areas) / 2]
    return list(faces)


def video_score(frames: Sequence[Sequence[float]], authors: Imported) -> float:
    """The score of a video, from 0 to 1, from the logits of the faces in each of its frames.

    ``mean`` averages the highest score of each frame (Shiohara and Yamasaki 2022), ``mean_logit`` the highest logits
    (Bonettini et al. 2020). ``confident`` takes the scores of all faces together (Seferbekov 2020): the mean of those
    that speak clearly for a fake if they are more than 11 and more than two in five, else of those that speak clearly
    for an original if they are more than nine in ten, else of all.
    """
    if authors.frames == "mean":
        return float(np.mean([sigmoid(max(logits)) for logits in frames]))
    if authors.frames == "mean_logit":
        return sigmoid(float(np.mean([max(logits) for logits in frames])))
    scores = np.array([sigmoid(logit) for logit in chain.from_iterable(frames)])
    fake, original = scores > CONFIDENT, scores < 1 - CONFIDENT
    if fake.sum() > max(11, len(scores) // 2.5):
        return float(scores[fake].mean())
    return float(scores[original].mean() if original.sum() > 0.9 * len(scores) else scores.mean())


def logit_of(score: float) -> float:
    """The logit whose sigmoid is ``score``, finite also for 0 and 1."""
    from scipy.special import logit  # only videos that are read like this need it

    return float(logit(np.clip(score, CERTAIN, 1 - CERTAIN)))
