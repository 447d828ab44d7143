"""Finds people that several data sets show, and keeps them off two sides of the split."""

import hashlib
import json
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepfake_detection.common.components import components
from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import SPLITS, UNUSED, VIDEO_KEY
from deepfake_detection.index.audit import distances

# Layouts whose ids are their authors': two data sets with the same ids show the same recordings.
IDS = {
    **dict.fromkeys(("kaggle", "faceforensics"), "faceforensics"),
    **{name: name for name in ("embedded", "embedded_shifted", "celebdf", "dfdc", "dfdc_preview")},
}
DRAWN = ("embedded", "embedded_shifted")  # with another seed they have the same ids and other people
# Measured on photo-like frames in the form of FF++ (80 people, 5 frames a video): recompressed (JPEG 20 to 50) and at a
# half or a third of the size, 97% to 100% of the frames are within 2 bits of the first. Of 50,000 pairs of videos of
# different people none has half of its frames as near, and of 1,300,000 pairs of single frames none has distance 0.
NEAR, SHARE, SHORT = 2, 0.5, 3


def keep_apart(
    table: pd.DataFrame, layouts: Mapping[str, str], uses: Mapping[str, str], strategy: str
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table of all data sets without test frames of people who are trained on elsewhere, and a report.

    ``table`` has the columns of ``split_data_set`` and ``phash``. People are shared where two data sets with the same
    scheme of ids name the same recording, or where half of the frames of two videos look the same. Test frames of a
    data set that is only tested on become UNUSED if somebody in their group is in train or val of another. The report
    counts ``groups`` that are in several data sets, ``leaked_groups`` of them on more than one side, and the frames
    that were left out of each data set (``left_out``).

    Raises UserError if training would see people of the test: if two data sets that are trained on have the same people
    on different sides, or if unlabelled frames show people of val or test. Random frames (split.strategy: frame) leak
    anyway, so there two data sets may. Also raises it if nothing is left of a data set to test on.
    """
    person = _people(table, layouts)
    use = table["dataset"].map(dict(uses))
    sides = table["split"].where(table["split"] != UNUSED)
    several = table["dataset"].groupby(person).transform("nunique") > 1
    trained_on = set(person[(use == "train") & sides.isin(["train", "val"])])
    lost = several & (use == "test") & person.isin(trained_on)
    split = table["split"].mask(lost, UNUSED)
    for name in sorted(set(table.loc[lost, "dataset"])):
        if (split[table["dataset"] == name] == UNUSED).all():
            raise UserError(
                f"datasets.{name}: every frame shows somebody who is trained on in another data set, e.g. "
                f"{_example(table, person, lost, sides.isin(['train', 'val']))}: nothing is left to test on"
            )
    trained = several & (use == "train") & split.isin(SPLITS)
    for name in dict.fromkeys(table.loc[trained, "dataset"]) if strategy != "frame" else ():
        own, other = trained & (table["dataset"] == name), trained & (table["dataset"] != name)
        first = split[own].groupby(person[own]).first()
        away = other & (split != person.map(first)) & person.isin(set(person[own]))
        if away.any():
            raise UserError(
                f"datasets.{table.loc[away, 'dataset'].iloc[0]} and {name} show the same people on different sides of "
                f"the split, e.g. {_example(table, person, away, own)}: training would see people of the test; test on "
                "one of the two (use: test), or take the people out of it"
            )
    held_out = (use != "adapt") & split.isin(["val", "test"])
    learnt = several & (use == "adapt") & person.isin(set(person[held_out]))
    if learnt.any():
        name = table.loc[learnt, "dataset"].iloc[0]
        raise UserError(
            f"datasets.{name}: {int(learnt.sum())} of its frames show people who are tested on, e.g. "
            f"{_example(table, person, learnt, held_out)}: training would see them; take them out of it"
        )
    kept = split.where(split.isin(SPLITS))
    leaks = set(person[several & (kept.groupby(person).transform("nunique") > 1)])
    return table.assign(split=split), {
        "groups": int(person[several].nunique()),
        "leaked_groups": len(leaks),
        "left_out": table.loc[lost, "dataset"].value_counts().sort_index().to_dict(),
    }


def digests(table: pd.DataFrame, layouts: Mapping[str, str]) -> pd.Series:
    """What a checkpoint's sidecar keeps of each frame, to know its people again, 16 hexadecimal digits.

    That is a hash of the target's id where ids are the authors', which says nothing of who it is, and otherwise the
    frame's pHash. Arguments are as for ``keep_apart``.
    """
    scheme = table["dataset"].map(dict(layouts)).map(IDS)
    named = [
        hashlib.sha256(f"{one}/{other}".encode()).hexdigest()[:16]
        for one, other in zip(scheme, table["video_id"], strict=True)
    ]
    return pd.Series(named, table.index).where(scheme.notna(), table["phash"]).rename("digest")


def known_groups(table: pd.DataFrame, layouts: Mapping[str, str], checkpoint: Path) -> int:
    """The number of groups of the test that a checkpoint was trained on, as far as the JSON file beside it says.

    Weights without such a file, or from before it kept ``people``, say nothing: 0. ``table`` is what ``keep_apart``
    gave.
    """
    try:
        told = json.loads(checkpoint.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
    people = told.get("people") if isinstance(told, dict) else None
    if not isinstance(people, list):
        return 0
    tested = table[table["split"] == "test"]
    return int(
        tested.loc[digests(tested, layouts).isin([each for each in people if isinstance(each, str)]), "group"].nunique()
    )


def _example(table: pd.DataFrame, person: pd.Series, one: pd.Series, other: pd.Series) -> str:
    """A frame of ``one`` and a frame of ``other``, in another data set, of the same person."""
    for row in table.index[one]:
        those = table.index[other & (person == person[row]) & (table["dataset"] != table["dataset"][row])]
        if len(those):
            return f"{table['path'][row]} and {table['path'][those[0]]}"
    return ""


def _people(table: pd.DataFrame, layouts: Mapping[str, str]) -> pd.Series:
    """The component of each frame: of groups that are joined by an id or by frames that look the same."""
    scheme = table["dataset"].map(dict(layouts)).map(IDS)
    scheme = scheme.mask(scheme.isin(DRAWN))
    ends = [(table["group"], table["group"])]
    for column, joins in (("video_id", scheme.notna()), ("source_id", _names_recordings(table, scheme))):
        rows = table[joins & (table[column] != "")]
        ends.append((rows["group"], "\uffff" + scheme[rows.index] + "/" + rows[column]))
    for one, other in combinations(sorted(set(table["dataset"])), 2):
        ends.append(_alike(table[table["dataset"] == one], table[table["dataset"] == other]))
    here, there = (pd.concat([each[end] for each in ends], ignore_index=True).astype(object) for end in (0, 1))
    found = dict(zip(here, components(here, there), strict=True))
    return table["group"].map(found)


def _names_recordings(table: pd.DataFrame, scheme: pd.Series) -> pd.Series:
    """Of which frames ``source_id`` is a recording that the group holds: only in FaceForensics++ are they divided by
    it, and frames that are not trained on join nothing (see frame_groups)."""
    return (scheme == "faceforensics") & (table["role"] != "unseen")


def _alike(one: pd.DataFrame, other: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """The groups of the pairs of videos, of two data sets, of which half of the frames of one look the same."""
    sides = [_codes(one), _codes(other)]
    codes = [side["phash"].unique() for side in sides]
    found = []
    for start, bits in distances(*codes):
        here, there = np.nonzero(bits <= NEAR)
        hashes = {"phash": codes[0][start + here], "phash_other": codes[1][there]}
        found.append(pd.DataFrame(hashes | {"bits": bits[here, there]}))
    pairs = pd.concat(found).merge(sides[0], on="phash").merge(sides[1].add_suffix("_other"), on="phash_other")
    short = (pairs["total"] < SHORT) | (pairs["total_other"] < SHORT)
    pairs = pairs[(pairs["bits"] == 0) | ~short]
    linked = []
    for end in ("", "_other"):
        each = pairs.drop_duplicates([f"video{end}", f"phash{end}", "video" if end else "video_other"])
        groups = each.groupby(["group", "group_other", "video", "video_other"])
        share = groups[f"frames{end}"].sum() / groups[f"total{end}"].first()
        linked.append(share[share >= SHARE].reset_index()[["group", "group_other"]])
    both = pd.concat(linked)
    return both["group"], both["group_other"]


def _codes(table: pd.DataFrame) -> pd.DataFrame:
    """Each hash of each video, with the number of frames that have it. A picture without structure says nothing."""
    rows = table.assign(video=table.groupby(VIDEO_KEY).ngroup(), phash=[int(code, 16) for code in table["phash"]])
    rows["phash"] = rows["phash"].astype(np.uint64)
    rows["total"] = rows.groupby("video")["video"].transform("size")
    ones = np.bitwise_count(rows["phash"].to_numpy())
    rows = rows[(ones >= 16) & (ones <= 48)]
    counts: pd.Series = rows.groupby(["video", "group", "total", "phash"]).size()
    return counts.rename("frames").reset_index()
