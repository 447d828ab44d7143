"""Selective prediction: how right the verdicts are if the least familiar frames get none.

The curve of accuracy against coverage is that of El-Yaniv and Wiener 2010, "On the Foundations of Noise-free Selective
Classification".
"""

from typing import Any

import numpy as np
import pandas as pd


def is_familiar(table: pd.DataFrame) -> pd.Series:
    """Whether each row of a table of predictions gets a verdict. All do if there is no column ``unfamiliarity``."""
    if "unfamiliarity" not in table:
        return pd.Series(True, index=table.index)
    return table["unfamiliarity"] <= 1


def selective_curve(table: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Accuracy over the most familiar frames, in steps of 1% of them: coverage, accuracy, unfamiliarity.

    ``table`` has ``label``, ``probability`` and ``unfamiliarity`` of each frame. The result's ``unfamiliarity`` is that
    of the last frame that counts. It has no rows where every frame is judged, because nothing orders them.
    """
    if not table["unfamiliarity"].any():
        return pd.DataFrame({"coverage": [], "accuracy": [], "unfamiliarity": []})
    ordered = table.sort_values("unfamiliarity", kind="stable")
    right = (ordered["probability"] >= threshold) == (ordered["label"] == 1)
    counts = np.unique(np.ceil(np.arange(1, 101) / 100 * len(ordered)).astype(int))
    return pd.DataFrame(
        {
            "coverage": counts / len(ordered),
            "accuracy": right.cumsum().to_numpy()[counts - 1] / counts,
            "unfamiliarity": ordered["unfamiliarity"].to_numpy()[counts - 1],
        }
    )


def misleading_verdicts(found: dict[str, Any]) -> list[str]:
    """A sentence for each data set not trained on whose frames get verdicts of which most are wrong.

    ``found`` is metrics/details.json.
    """
    said = []
    for name, each in found["datasets"].items():
        block = each["frame"]
        accuracy = block["answered"]["accuracy"]
        if each["use"] == "test" and block["coverage"] and accuracy is not None and accuracy < 0.5:
            said.append(
                f"{name}: {block['coverage']:.1%} of its frames are familiar enough for a verdict, and "
                f"{1 - accuracy:.0%} of these verdicts are wrong. A verdict on such material says nothing."
            )
    return said
