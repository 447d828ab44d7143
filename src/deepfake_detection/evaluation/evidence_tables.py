"""What likelihood ratios are worth on test frames and test videos: the tables behind a report."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

from deepfake_detection.common.tables import VIDEO_KEY, headline_rows
from deepfake_detection.common.units import drawn_units
from deepfake_detection.evaluation.conditions import file_conditions
from deepfake_detection.evaluation.likelihood_ratios import (
    best_ratios,
    cross_entropy,
    group_weights,
    judged_by,
    measured_ratios,
)
from deepfake_detection.evaluation.metrics import each_manipulation
from deepfake_detection.inference.video_score import person_scores
from deepfake_detection.network.sidecar import Sidecar

PRIORS = np.linspace(-2.5, 2.5, 41)  # log10 of the odds of a fake, over which the cross-entropy is drawn
POINTS = 31  # of a Tippett plot


def measured_evidence(
    frames: pd.DataFrame, sidecar: Sidecar, only_evaluated: Collection[str], boxes: pd.DataFrame
) -> dict[str, Any]:
    """What likelihood ratios are worth on the test ``frames``, which are as for ``judged``, by level.

    ``seen`` are the manipulations trained on, ``unseen`` the others, both against all originals of the data sets that
    are trained on; ``manipulations`` is each of these. ``datasets`` is each data set, of one that is trained on without
    what is unseen. ``tippett`` and ``cross_entropy`` are the points of curves. ``conditions`` are those of
    ``file_conditions``, which has ``boxes``, of the frames in ``seen``.
    """
    fakes = sidecar.categories.fake
    found: dict[str, Any] = {}
    for level, rows in judged(frames, sidecar).items():
        own = rows[~rows["dataset"].isin(only_evaluated)]
        seen, unseen = headline_rows(own, fakes, ()), own[(own["label"] == 0) | ~own["category"].isin(fakes)]
        sets = {
            str(name): part if name in only_evaluated else headline_rows(part, fakes, ())
            for name, part in rows.groupby("dataset")
        }
        found[level] = {
            "seen": measured_ratios(seen),
            "unseen": measured_ratios(unseen),
            "manipulations": {name: measured_ratios(part) for name, part in each_manipulation(own)},
            "datasets": {name: measured_ratios(part) for name, part in sets.items()},
            "tippett": tippett_points(seen, unseen),
            "cross_entropy": entropy_points(seen, unseen),
        }
        if level == "frame":
            found["conditions"] = file_conditions(seen, boxes)
    return found


def judged(frames: pd.DataFrame, sidecar: Sidecar) -> dict[str, pd.DataFrame]:
    """The ``frame`` rows and the ``video`` rows of ``frames`` as predict would judge them.

    ``frames`` has VIDEO_KEY, ``label``, ``group`` and ``logit``, the frames of a video in their order. Each result has
    the group of people that counts as one observation as ``unit``, the ``log10`` ratio, NaN where none can be given,
    and whether it is ``called`` a fake. The ``logit`` of a video is its learnt score, as of one person.
    """
    rows = frames.assign(unit=drawn_units(frames))
    videos = rows.groupby(VIDEO_KEY, dropna=False).agg(
        label=("label", "first"),
        unit=("unit", "first"),
        logit=("logit", lambda logits: person_scores([logits.to_numpy(float)], sidecar.score)[0]),
    )
    return {
        "frame": judged_by(rows, sidecar.frame, sidecar.prior),
        "video": judged_by(videos.reset_index(), sidecar.score.reading, sidecar.prior),
    }


def tippett_points(seen: pd.DataFrame, unseen: pd.DataFrame) -> list[dict[str, float | None]]:
    """The share of the originals, and of the fakes ``seen`` and ``unseen``, with a ratio of at least ``log10``.

    A class that is not there has None. There are no points without ratios.
    """
    classes = {"originals": seen[seen["label"] == 0], "seen": seen[seen["label"] == 1]}
    classes["unseen"] = unseen[unseen["label"] == 1]
    ratios = pd.concat(classes.values())["log10"]
    if ratios.isna().any() or ratios.empty:
        return []
    curves = pd.DataFrame({"log10": np.linspace(min(ratios.min(), 0), max(ratios.max(), 0), POINTS)})
    for name, rows in classes.items():
        reached = rows["log10"].to_numpy()[:, None] >= curves["log10"].to_numpy()
        weights = group_weights(rows["label"], rows["unit"])
        curves[name] = np.average(reached, axis=0, weights=weights).round(12) if len(rows) else np.nan
    return _points(curves)


def entropy_points(seen: pd.DataFrame, unseen: pd.DataFrame) -> list[dict[str, float | None]]:
    """The empirical cross-entropy at each of PRIORS, of ratios that say nothing, and of those of ``seen``, ``unseen``.

    ``seen_min`` and ``unseen_min`` are the least that any calibration could have. What has not both classes has None.
    There are no points without ratios.
    """
    curves = pd.DataFrame({"prior": PRIORS})
    curves["neutral"] = [cross_entropy(np.zeros(2), np.arange(2), np.ones(2), prior) for prior in PRIORS]
    for name, rows in (("seen", seen), ("unseen", unseen)):
        if rows["log10"].isna().any():
            return []
        labels, weights = rows["label"].to_numpy(), group_weights(rows["label"], rows["unit"])
        curves[[name, f"{name}_min"]] = np.nan
        if len(np.unique(labels)) == 2:
            least = best_ratios(rows["logit"].to_numpy(float), labels, weights)
            for curve, ratios in ((name, rows["log10"].to_numpy(float)), (f"{name}_min", least)):
                curves[curve] = [cross_entropy(ratios, labels, weights, prior) for prior in PRIORS]
    return _points(curves)


def _points(curves: pd.DataFrame) -> list[dict[str, float | None]]:
    rows = curves.astype(object).where(curves.notna(), None)
    return [dict(zip(map(str, curves), row, strict=True)) for row in rows.itertuples(index=False)]
