"""Divides frames into train, val and test, and counts what is in more than one of them."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import SPLITS, UNUSED
from deepfake_detection.index.divide import divide, nearest_shares
from deepfake_detection.index.groups import connected, identity_groups, recording_of

TOLERANCE = 0.02  # largest difference from each class's share


def split_frames(
    index: pd.DataFrame,
    strategy: str,
    shares: tuple[float, float, float],
    seed: int,
    seen: Collection[str] | None = None,
    official: Mapping[str, str] | None = None,
    recordings: Mapping[str, str] | None = None,
    groups: pd.Series | None = None,
    own: pd.Series | None = None,
    units: pd.Series | None = None,
) -> pd.Series:
    """Assigns each row of the index to ``train``, ``val``, ``test`` or ``unused``.

    The strategy ``group`` keeps each of ``groups`` in one split; by default those of ``identity_groups``, for which
    ``recordings`` is as there. It divides ``units``, of which each holds whole groups, if the shares can be kept that
    way. ``frame`` draws frames at random, as the original recipe did, which leaks. Both keep the
    shares of frames for each class. ``official`` uses the split that the mapping ``official`` gives to the video and to
    its source; a frame of which one is not on the lists, or the two differ, is ``unused``.

    The strategy ``own`` is the division that the data set comes with, whatever it leaks and whatever the shares. The
    argument ``own`` is the side that each frame is on ("": none). What has no side is where the rest of its group is,
    otherwise in train. If a side has no frame, whole units or groups of train are given to it, in proportion to the
    shares.

    ``seen`` names the categories that are trained on (None: all). Frames of other categories never
    influence the split of a seen frame. They are ``test`` if the split of both their target and their source
    is test, otherwise ``unused``. With ``frame``, they are ``test`` if the target's original frame of the same
    number is. With ``group``, a sequence that is in no seen frame belongs to no split. With ``own``, they are ``test``
    if their side is test, or if they have none and nothing of their group is in train or val.

    Raises UserError when shares cannot be kept to within 2 points, or when a split has no frame of a class.
    """
    trained = index["category"].isin(set(index["category"] if seen is None else seen))
    part = index[trained]
    for label in (0, 1):
        if not (part["label"] == label).any():
            raise UserError(
                f"split: no frame labelled {label} in the categories trained on: correct real, fake and unseen"
            )
    if groups is None:
        groups = identity_groups(part, recordings)
    if strategy == "own" and own is not None:
        split = _by_own_division(index, trained, own, groups, units, shares, seed)
        way_out = "add videos, or list the files in a manifest without the column split, to divide them anew"
        _require_every_class(part, split[trained], "the data set's own division leaves", way_out)
    elif strategy == "official":
        split = _by_list(index, official or {})
        way_out = "add its videos or set split.strategy to group"
        _require_every_class(part, split[trained], "the official lists leave", way_out)
        split[~trained & (split != "test")] = UNUSED
    else:
        split = pd.Series(UNUSED, index=index.index, name="split", dtype=object)
        if strategy == "group":
            split[trained] = _by_unit(part, groups[trained], units, shares, seed)
        else:
            split[trained] = _by_frame(part, shares, seed)
        if problem := _share_problem(part, split[trained], shares):
            raise UserError(f"split: {problem}: {_way_out(part, shares, strategy, groups[trained])}")
        unseen, test = index[~trained], part[split[trained] == "test"]
        in_test = (_has_only_test_sequences if strategy == "group" else _has_test_original)(test, unseen)
        split[in_test.index[in_test]] = "test"
    return split.astype(str)


def _has_only_test_sequences(test: pd.DataFrame, unseen: pd.DataFrame) -> pd.Series:
    sequences = {*test["video_id"], *test["source_id"], ""}
    return unseen["video_id"].isin(sequences) & unseen["source_id"].isin(sequences)


def _has_test_original(test: pd.DataFrame, unseen: pd.DataFrame) -> pd.Series:
    key = ["video_id", "frame"]
    originals = pd.MultiIndex.from_frame(test.loc[test["label"] == 0, key])
    return pd.Series(pd.MultiIndex.from_frame(unseen[key]).isin(originals), index=unseen.index)


def _share_problem(index: pd.DataFrame, split: pd.Series, shares: tuple[float, ...]) -> str:
    """What keeps ``split`` from having its shares of each class, or ""."""
    for label, counts in split.groupby(index["label"]):
        for name, share in zip(SPLITS, shares, strict=False):  # fewer if the others are given
            got = (counts == name).mean()
            if not (got > 0 and abs(got - share) <= TOLERANCE + 1e-9):
                return f"{name} gets {got:.1%} of the frames labelled {label}, not {share:.1%}"
    return ""


def _way_out(index: pd.DataFrame, shares: tuple[float, ...], strategy: str, group: pd.Series) -> str:
    if strategy == "frame":
        return "there are too few frames; add some or change split.train, split.val and split.test"
    sizes = pd.crosstab(group, index["label"])
    advice = "add videos" if sizes.shape[0] < 20 else ""
    if near := nearest_shares(sizes.to_numpy(), shares, TOLERANCE):
        values = ", ".join(f"split.{name}={share:g}" for name, share in zip(SPLITS, near, strict=True))
        advice = f"{values} would fit" + (f"; or {advice}" if advice else "")
    problem = f"the {len(sizes)} groups of videos are too few or too unequal"
    largest = (sizes / sizes.sum()).max(axis=1).idxmax()
    members = index[group == largest]
    part, sequences = len(members) / len(index), len({*members["video_id"], *members["source_id"]} - {""})
    if part > max(shares) + TOLERANCE and sequences > 2:
        problem = f"{sequences} sequences are one group with {part:.0%} of the frames, because fakes join them in pairs"
        lists = (
            "leave out the fakes whose target and source are to be on two sides, or give lists of the sequences of each"
            " side, which does that (split.strategy: official, split.official_dir)"
        )
        advice = f"{advice}; or {lists}" if near else lists
    return f"{problem}; {advice or 'change split.train, split.val and split.test'}"


def _by_own_division(
    index: pd.DataFrame,
    trained: pd.Series,
    own: pd.Series,
    groups: pd.Series,
    units: pd.Series | None,
    shares: tuple[float, ...],
    seed: int,
) -> pd.Series:
    told = trained & (own != "")
    side_of = own[told].groupby(groups[told]).agg(lambda sides: sides.mode().iloc[0])
    split = own.where(own != "", groups.map(side_of).fillna("train")).rename("split").astype(object)
    empty = [name for name in SPLITS if not (split[trained] == name).any()]
    if empty and "train" not in empty:
        rows = trained & (split == "train")
        wanted = {name: share for name, share in zip(SPLITS, shares, strict=True) if name in ("train", *empty)}
        parts = tuple(share / sum(wanted.values()) for share in wanted.values())
        sides = _by_unit(index[rows], groups[rows], units, parts, seed)
        split[rows] = sides.map(dict(zip(SPLITS, wanted, strict=False)))
    elsewhere = set(groups[trained & split.isin(["train", "val"])])
    in_test = (own == "test") | ((own == "") & ~groups.isin(elsewhere))
    return split.where(trained, in_test.map({True: "test", False: UNUSED}))


def _require_every_class(index: pd.DataFrame, split: pd.Series, words: str, way_out: str) -> None:
    for name in SPLITS:
        for label in (0, 1):
            if not ((split == name) & (index["label"] == label)).any():
                raise UserError(f"split: {words} {name} without a frame labelled {label}: {way_out}")


def _by_list(index: pd.DataFrame, official: Mapping[str, str]) -> pd.Series:
    """The side of each frame, UNUSED if its target or its source is on no list, or on another one."""
    side = index["video_id"].map(dict(official))
    source = index["source_id"].where(index["source_id"] != "", index["video_id"]).map(dict(official))
    return side.where(side == source, UNUSED).rename("split").astype(object)


def _by_unit(
    index: pd.DataFrame, group: pd.Series, units: pd.Series | None, shares: tuple[float, ...], seed: int
) -> pd.Series:
    """Divides the units of a data set, such as the parts of DFDC, or its groups if the units are too few."""
    if units is not None:
        joined = connected(group, units[index.index])
        if joined.nunique() < group.nunique():
            split = _by_group(index, joined, shares, seed)
            if not _share_problem(index, split, shares):
                return split
    return _by_group(index, group, shares, seed)


def _by_group(index: pd.DataFrame, group: pd.Series, shares: tuple[float, ...], seed: int) -> pd.Series:
    sizes = pd.crosstab(group, index["label"])
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes.to_numpy().sum(1)[order], kind="stable")]  # the largest first
    totals = sizes.to_numpy().sum(0)
    wanted = np.outer(shares, totals)
    assigned = np.zeros_like(wanted)
    chosen = np.empty(len(sizes), dtype=object)
    for number in order:
        row = sizes.to_numpy()[number]
        # the split whose classes would be furthest below their share without this group
        deficit = ((wanted - assigned) / wanted * (row / totals)).sum(1)
        side = int(np.argmax(deficit))
        assigned[side] += row
        chosen[number] = SPLITS[side]
    split = group.map(dict(zip(sizes.index, chosen, strict=True))).rename("split")
    if _share_problem(index, split, shares):  # what does not look ahead may miss a division that there is
        order = np.random.default_rng(seed).permutation(len(sizes))
        sides = divide(sizes.to_numpy()[order], shares, TOLERANCE)
        if sides is not None:
            named = {sizes.index[number]: SPLITS[side] for number, side in zip(order, sides, strict=True)}
            return group.map(named).rename("split")
    return split


def _by_frame(index: pd.DataFrame, shares: tuple[float, float, float], seed: int) -> pd.Series:
    from sklearn.model_selection import train_test_split  # takes a second to import, and only this strategy needs it

    split = pd.Series("train", index=index.index, name="split")
    try:
        _, rest = train_test_split(
            index.index, train_size=shares[0], stratify=index["label"], random_state=seed, shuffle=True
        )
        val, test = train_test_split(
            rest, train_size=shares[1] / (shares[1] + shares[2]), stratify=index.loc[rest, "label"], random_state=seed
        )
    except ValueError as error:
        raise UserError(f"split: too few frames to divide: {error}") from None
    split[val], split[test] = "val", "test"
    return split


def split_report(
    index: pd.DataFrame,
    split: pd.Series,
    recordings: Mapping[str, str] | None = None,
    groups: pd.Series | None = None,
    told: pd.Series | None = None,
) -> dict[str, Any]:
    """Counts frames, videos and groups per split and category, and what is in more than one split.

    ``groups``, ``recordings`` and leaks are counted over train, val and test, because unused frames leak nothing.
    A recording leaks if two splits have frames that show it, as the target or as the source; of frames whose group the
    data set names (``told``) as the target, because their groups are not made by sources. ``recordings`` is as
    for ``identity_groups``, which are the groups unless ``groups`` are given. ``recordings_known``
    says whether it names every id of the index.
    """
    table = index[["category", "video_id", "source_id"]].assign(split=split)
    table["video"] = table.groupby(["category", "video_id", "source_id"]).ngroup()
    used, unused = (
        # of the groups only these rows, because pandas lets a frame without rows grow by what it is given
        part.assign(group=identity_groups(part, recordings) if groups is None else groups[part.index])
        for part in (table[table["split"] != UNUSED], table[table["split"] == UNUSED])
    )
    shown = used if told is None else used.assign(source_id=used["source_id"].mask(told, ""))
    sides = _splits_of_each_recording(shown, recordings)
    known = {"", *(recordings or {})}  # "" is the missing source of an original

    def count(part: pd.DataFrame) -> dict[str, int]:
        return {"frames": len(part), "videos": part["video"].nunique(), "groups": part["group"].nunique()}

    report: dict[str, Any] = {
        "groups": used["group"].nunique(),
        "leaked_groups": int((used.groupby("group")["split"].nunique() > 1).sum()),
        "recordings_known": {*index["video_id"], *index["source_id"]} <= known,
        "recordings": len(sides),
        "leaked_recordings": int((sides > 1).sum()),
        "leaked_videos": int((used.groupby("video")["split"].nunique() > 1).sum()),
    }
    for name, part in [(name, used[used["split"] == name]) for name in SPLITS] + [(UNUSED, unused)]:
        by_category = {category: count(rows) for category, rows in part.groupby("category")}
        report[name] = count(part) | {"categories": by_category}
    return report


def _splits_of_each_recording(table: pd.DataFrame, recordings: Mapping[str, str] | None) -> pd.Series:
    """In how many splits each recording is, be it as the target or as the source of a frame."""
    shown = pd.concat([table["video_id"], table["source_id"]], ignore_index=True)
    split = pd.concat([table["split"], table["split"]], ignore_index=True)[shown != ""]
    return split.groupby(recording_of(shown[shown != ""], recordings)).nunique()
