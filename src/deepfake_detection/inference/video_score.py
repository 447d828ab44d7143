"""Reads a video from the logits of its frames, so that a short swap counts as much as a long one.

The score of a person is learnt, see ``evaluation.fit_video_score``, or where there were too few videos to learn from,
the mean of the odds of all windows. The most suspicious person decides on the video.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deepfake_detection.network.sidecar import VideoScore

Floats = NDArray[np.float64]

# Frames in the window that is searched for a stretch. A swap of three seconds has three of one frame a second.
WINDOW = 3
FEATURES = ("mean", "window", "contrast", "people", "frames")
FEWEST, MOST = 8, 128  # frames in a video: of fewer or more the number says nothing further


def window_means(logits: Floats) -> Floats:
    """The means of WINDOW consecutive frames, shape (frames - WINDOW + 1,); of fewer frames their mean, shape (1,)."""
    if len(logits) <= WINDOW:
        return np.array([logits.mean()])
    return np.convolve(logits, np.full(WINDOW, 1 / WINDOW), "valid")


def features_of(logits: Floats, windows: Floats, people: int, frames: int) -> Floats:
    """What the score of a person is made of, shape (len(FEATURES),).

    ``logits`` are those of the person's frames, ``windows`` the window_means that count; there may be none. The person
    is one of ``people`` in the video, who have ``frames`` frames together.
    """
    mean = float(logits.mean())
    window = float(windows.max()) if len(windows) else mean
    contrast = window - float(np.median(logits))
    return np.array([mean, window, contrast, math.log(people), math.log(min(max(frames, FEWEST), MOST))])


def person_scores(tracks: Sequence[Floats], score: VideoScore, windows: Sequence[Floats] | None = None) -> list[float]:
    """The log odds that each person of a video is a fake, before they are read by ``score.reading``.

    ``tracks`` are the logits of each person's frames. ``windows`` are the window_means that count, all by default.
    """
    windows = list(map(window_means, tracks)) if windows is None else windows
    if score.weights is not None:
        frames = sum(map(len, tracks))
        weights = np.array(score.weights)
        return [
            float(features_of(track, own, len(tracks), frames) @ weights)
            for track, own in zip(tracks, windows, strict=True)
        ]
    # The mean of e-values is one, however many there are (Vovk and Wang 2021, "E-values: Calibration, combination and
    # applications"). All windows of the video count, so one of many people needs higher odds.
    count = sum(max(1, len(own)) for own in windows)
    odds = [np.logaddexp.reduce(score.window.log_odds(own)) if len(own) else -math.inf for own in windows]
    return [max(float(each) - math.log(count), -1e3) for each in odds]
