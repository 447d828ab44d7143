"""Finds the groups of frames that must not be divided between train, val and test."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def identity_groups(index: pd.DataFrame, recordings: Mapping[str, str] | None = None) -> pd.Series:
    """A group number for each frame: the connected components of {recording of video_id, recording of source_id}.

    ``recordings`` names the recording that each id was cut from. An id that it does not name, or every id if it is
    None or empty, counts as a recording of its own. Frames of different groups share no sequence and no recording.
    They may still show the same person, who may be in several recordings.
    """
    target = recording_of(index["video_id"], recordings)
    source = recording_of(index["source_id"], recordings).where(index["source_id"] != "", target)
    codes, names = pd.factorize(pd.concat([target, source]), sort=True)
    here, there = codes[: len(index)], codes[len(index) :]
    edges = coo_array((np.ones(len(index)), (here, there)), shape=(len(names), len(names)))
    _, component = connected_components(edges, directed=False)
    return pd.Series(component[here], index=index.index, name="group")


def recording_of(ids: pd.Series, recordings: Mapping[str, str] | None) -> pd.Series:
    """The recording that each id was cut from. An id that ``recordings`` does not name is a recording of its own."""
    return ids.map(dict(recordings)).fillna(ids) if recordings else ids
