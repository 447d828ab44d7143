"""Divides frames into train, val and test, and counts what stands on two sides."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import train_test_split

from deepfake_detection.errors import UserError

SPLITS = ("train", "val", "test")
TOLERANCE = 0.02  # of each class's share


def identity_groups(index: pd.DataFrame) -> pd.Series:
    """A group number for each frame: connected components of {video_id, source_id}.

    Frames of two groups share no video, no identity and no background.
    """
    target = index["video_id"]
    source = index["source_id"].where(index["source_id"] != "", target)
    codes, names = pd.factorize(pd.concat([target, source]), sort=True)
    here, there = codes[: len(index)], codes[len(index) :]
    edges = coo_array((np.ones(len(index)), (here, there)), shape=(len(names), len(names)))
    _, component = connected_components(edges, directed=False)
    return pd.Series(component[here], index=index.index, name="group")


def split_frames(index: pd.DataFrame, strategy: str, shares: tuple[float, float, float], seed: int) -> pd.Series:
    """Says for each row of the index whether it is ``train``, ``val`` or ``test``.

    ``group`` keeps each identity group whole; ``frame`` draws frames at random, as the original
    recipe did, which leaks. Both hold each class's shares. Raises UserError when that cannot be
    done to within 2 points.
    """
    split = (_by_group if strategy == "group" else _by_frame)(index, shares, seed)
    for label, counts in split.groupby(index["label"]):
        for name, share in zip(SPLITS, shares, strict=True):
            got = (counts == name).mean()
            if not (got > 0 and abs(got - share) <= TOLERANCE + 1e-9):
                raise UserError(
                    f"split: {name} gets {got:.1%} of the frames labelled {label}, not {share:.1%}: "
                    f"{identity_groups(index).nunique()} groups of identities are too few or too unequal; "
                    "add videos or change split.train, split.val and split.test"
                )
    return split


def _by_group(index: pd.DataFrame, shares: tuple[float, float, float], seed: int) -> pd.Series:
    group = identity_groups(index)
    sizes = pd.crosstab(group, index["label"])
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes.to_numpy().sum(1)[order], kind="stable")]  # the largest first
    totals = sizes.to_numpy().sum(0)
    wanted = np.outer(shares, totals)
    given = np.zeros_like(wanted)
    chosen = np.empty(len(sizes), dtype=object)
    for number in order:
        row = sizes.to_numpy()[number]
        # the side whose classes would stay furthest behind their share without this group
        lack = ((wanted - given) / wanted * (row / totals)).sum(1)
        side = int(np.argmax(lack))
        given[side] += row
        chosen[number] = SPLITS[side]
    return group.map(dict(zip(sizes.index, chosen, strict=True))).rename("split")


def _by_frame(index: pd.DataFrame, shares: tuple[float, float, float], seed: int) -> pd.Series:
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


def split_report(index: pd.DataFrame, split: pd.Series) -> dict[str, Any]:
    """Counts of frames, videos and groups per split and category, and what stands on two sides."""
    table = index.assign(split=split, group=identity_groups(index))
    table["video"] = table["category"] + "/" + table["video_id"] + "_" + table["source_id"]

    def count(part: pd.DataFrame) -> dict[str, int]:
        return {"frames": len(part), "videos": part["video"].nunique(), "groups": part["group"].nunique()}

    report: dict[str, Any] = {
        "groups": table["group"].nunique(),
        "leaked_groups": int((table.groupby("group")["split"].nunique() > 1).sum()),
        "leaked_videos": int((table.groupby("video")["split"].nunique() > 1).sum()),
    }
    for name in SPLITS:
        part = table[table["split"] == name]
        by_category = {category: count(rows) for category, rows in part.groupby("category")}
        report[name] = count(part) | {"categories": by_category}
    return report
