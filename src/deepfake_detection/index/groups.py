"""Finds the groups of frames that must not be divided between train, val and test."""

from collections.abc import Collection, Mapping

import pandas as pd

from deepfake_detection.common.components import components


def frame_groups(
    index: pd.DataFrame, unseen: Collection[str] = (), recordings: Mapping[str, str] | None = None
) -> pd.Series:
    """The group of each frame of a data set: what its layout says, or where it says "" that of ``identity_groups``.

    Groups of the layout are joined where a recording is in several. Frames of the categories ``unseen`` join nothing:
    such a frame is in the group of its target, otherwise of its source, and what is in neither forms groups of its own.
    So what is only evaluated never changes what is trained on.
    """
    told = index["group"] != ""
    groups = _joined(index[told], recordings).reindex(index.index)
    named, held_out = index[~told], index["category"].isin(set(unseen))[~told]
    found = identity_groups(named[~held_out], recordings).reindex(named.index)
    known: dict[str, str] = {}
    for column in ("source_id", "video_id"):
        known |= dict(zip(recording_of(named.loc[~held_out, column], recordings), found[~held_out], strict=True))
    known.pop("", None)
    for column in ("video_id", "source_id"):
        found = found.fillna(recording_of(named[column], recordings).map(known))
    alone = found.isna()
    found = found.fillna(identity_groups(named[alone], recordings))
    return groups.fillna(found).rename("group")


def identity_groups(index: pd.DataFrame, recordings: Mapping[str, str] | None = None) -> pd.Series:
    """A group for each frame: the connected components of {recording of video_id, recording of source_id}.

    A group is called as the first of its recordings, by their order as text. ``recordings`` names the recording that
    each id was cut from. An id that it does not name, or every id if it is None or empty, counts as a recording of its
    own. Frames of different groups share no sequence and no recording. They may still show the same person, who may be
    in several recordings.
    """
    target = recording_of(index["video_id"], recordings)
    source = recording_of(index["source_id"], recordings).where(index["source_id"] != "", target)
    return components(target, source).rename("group")


def _joined(index: pd.DataFrame, recordings: Mapping[str, str] | None) -> pd.Series:
    """The groups of the index, those that show one recording joined."""
    if not recordings:
        return index["group"]
    # the sign makes a recording's name unlike any group's, and puts it behind them
    recording = ("\uffff" + index["video_id"].map(dict(recordings))).fillna(index["group"])
    return components(index["group"], recording).rename("group")


def connected(group: pd.Series, unit: pd.Series) -> pd.Series:
    """The units of each row, those joined that share a group. Both are of the same index; a unit "" is the group."""
    # the sign keeps a unit apart from a group of the same name
    return components(("\uffff" + unit).where(unit != "", group), group)


def recording_of(ids: pd.Series, recordings: Mapping[str, str] | None) -> pd.Series:
    """The recording that each id was cut from. An id that ``recordings`` does not name is a recording of its own."""
    return ids.map(dict(recordings)).fillna(ids) if recordings else ids
