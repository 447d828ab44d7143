"""In which conditions a network was tested: results on test frames by bands of what may make a file hard to judge."""

import math
from itertools import pairwise
from typing import Any

import pandas as pd
from sklearn.metrics import roc_auc_score

from deepfake_detection.evaluation.likelihood_ratios import measured_ratios

# the lowest value of each band, which reaches up to the next; the last has no end
BANDS = {
    "face_size": (0, 60, 100, 200),  # pixels of the file, the longer side of the face
    "resolution": (0, 360, 720, 1080),  # pixels of the file, the shorter side of the frame
    "jpeg_quality": (0, 25, 60, 90),  # of what the network sees, after any scaling
    "brightness": (0, 60, 100, 150),  # mean of what the network sees, of 255
}


def measured_conditions(rows: pd.DataFrame, name: str, values: pd.Series) -> list[dict[str, Any]]:
    """The results on ``rows`` in each band of the condition ``name`` in which there are any.

    ``rows`` are as for ``measured_ratios``, and ``values`` has for each the value of the condition, NaN if unknown.
    """
    found = []
    for low, high in pairwise((*BANDS[name], math.inf)):
        within = rows[(values >= low) & (values < high)]
        if len(within):
            worth = measured_ratios(within)
            labels, alarms = within["label"], worth["false_alarms"]
            found.append(
                {
                    "name": name,
                    "low": low,
                    "high": None if math.isinf(high) else high,
                    "frames": len(within),
                    "groups": worth["originals"]["groups"],
                    "auroc": float(roc_auc_score(labels, within["logit"])) if labels.nunique() == 2 else None,
                    "cllr": worth["cllr"],
                    "false_alarms": alarms["rate"],
                    "upper": alarms["upper"],
                }
            )
    return found


def file_conditions(rows: pd.DataFrame, boxes: pd.DataFrame) -> list[dict[str, Any]]:
    """The results by size of the face and of the frame in the file.

    ``rows`` are as for ``measured_ratios``, with ``path``, ``width`` and ``height``. ``boxes`` has path, left, top,
    right and bottom of the face in each frame, and no rows where faces are not looked for.
    """
    size = pd.concat([boxes["right"] - boxes["left"], boxes["bottom"] - boxes["top"]], axis=1).max(axis=1)
    sizes = rows["path"].map(dict(zip(boxes["path"], size, strict=True))).astype(float)
    sides = rows[["width", "height"]].min(axis=1)
    return measured_conditions(rows, "face_size", sizes) + measured_conditions(rows, "resolution", sides)
