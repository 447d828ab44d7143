"""What counts as one observation: the groups that are drawn for an interval, and how many they are worth."""

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from deepfake_detection.common.components import components

if TYPE_CHECKING:
    import pandas as pd

# the recordings of Celeb-DF (id0_0003) and of DeepFakeDetection (01__kitchen_pan): one person is in many of them
PERSON = re.compile(r"(id[0-9]+)_[0-9]+|([0-9]+)__.+")


def kish(sizes: ArrayLike) -> float:
    """How many groups of one size are worth as much as groups of these sizes: Kish's (sum n)^2 / sum n^2.

    It is the number of groups if all sizes are equal, near 1 if one of them has nearly everything, and 0 without any.
    See Kish 1965, Survey Sampling. As the degrees of freedom of a t test with such groups it is the effective number of
    clusters of Carter, Schnepel and Steigerwald 2017 (Review of Economics and Statistics 99) for errors that a whole
    group has in common.
    """
    found = np.asarray(sizes, np.float64)
    return float(found.sum() ** 2 / (found**2).sum()) if found.any() else 0.0


def drawn_units(table: "pd.DataFrame") -> "pd.Series":
    """The group of each row, those of one target person joined where ``video_id`` names the person.

    ``table`` has ``group`` and ``video_id``, and maybe ``dataset``, within which people have their names. In data sets
    whose fakes join everybody to everybody, a group is one recording, and one person is in many. The source of a fake
    is another person, who joins nothing here.
    """
    said = table["video_id"].astype(str).map(_person)
    if not (named := said != "").any():
        return table["group"]
    dataset: Any = table.get("dataset", "")
    group = table["group"].astype(str)
    # the sign keeps a person apart from a group of the same name, and puts the person behind it
    return components(group, ("\uffff" + dataset + "/" + said).where(named, group)).rename("group")


def _person(video: str) -> str:
    match = PERSON.fullmatch(video)
    return (match[1] or match[2]) if match else ""
