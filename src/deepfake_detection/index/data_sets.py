"""Divides each data set by itself, so that a further one never changes what another is trained on."""

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import ADAPT, COLUMNS
from deepfake_detection.index.groups import frame_groups
from deepfake_detection.index.splits import split_frames, split_report

# the layouts with the ids of FaceForensics++, of which its authors say the split and the recordings
OF_FACEFORENSICS = ("kaggle", "faceforensics", "embedded", "embedded_shifted")


def split_data_set(
    index: pd.DataFrame,
    use: str,
    unseen: Collection[str],
    strategy: str,
    shares: tuple[float, float, float],
    seed: int,
    official: Mapping[str, str],
    recordings: Mapping[str, str],
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The index of a data set with ``group``, ``role`` and ``split``, and its report for metrics/split.json.

    ``index`` has COLUMNS and DIVISION_COLUMNS. The role is the use, ``train``, ``test`` or ``adapt``, or ``unseen`` for
    frames of the categories that are held out. ``test`` puts all frames into test, ``adapt`` into ADAPT. ``train``
    divides them: by the data set's own division, unless the ``strategy`` is frame, or else as ``split_frames`` does. If
    the strategy is official and the data set is on no list, ``official`` is empty: its own division counts, or else the
    strategy group. Groups are called by the data set too. Raises UserError as ``split_frames`` does.
    """
    name, held_out = str(index["dataset"].iloc[0]), index["category"].isin(set(unseen))
    index = index.assign(group=f"{name}/" + frame_groups(index, unseen, recordings))
    if use != "train":
        split, used = pd.Series("test" if use == "test" else ADAPT, index=index.index, name="split"), use
    else:
        own, used = index["split"], strategy
        if strategy == "official" and not official:
            used = "group"
        if (own != "").any() and used == "group":
            used = "own"
        try:
            split = split_frames(
                index,
                used,
                shares,
                seed,
                seen=set(index.loc[~held_out, "category"]),
                official=official,
                groups=index["group"],
                own=own if used == "own" else None,
                units=index["unit"],
            )
        except UserError as error:
            raise UserError(f"data set {name}: {error}") from None
    report = {"use": use, "strategy": used} | split_report(index, split, recordings, index["group"])
    role = held_out.map({True: "unseen" if use == "train" else use, False: use})
    return index[list(COLUMNS)].assign(role=role, split=split.astype(str)), report


def summed(reports: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The report for metrics/split.json: that of all data sets that are trained on, with each one under ``datasets``.

    Counts are added. What is not the same in all data sets, and is no number, is joined by a comma.
    """
    trained = [report for report in reports.values() if report["use"] == "train"]
    total = _added([{key: value for key, value in report.items() if key != "use"} for report in trained])
    return total | {"datasets": dict(reports)}


def _added(parts: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in dict.fromkeys(key for part in parts for key in part):
        values = [part[key] for part in parts if key in part]
        if isinstance(values[0], dict):
            found[key] = _added(values)
        elif isinstance(values[0], bool):
            found[key] = all(values)
        else:
            found[key] = sum(values) if isinstance(values[0], int) else ", ".join(dict.fromkeys(values))
    return found


def require_official(reports: Mapping[str, dict[str, Any]]) -> None:
    """Raises UserError if the strategy was official, and no data set came with a division."""
    if all(report["strategy"] == "group" for report in reports.values() if report["use"] == "train"):
        raise UserError(
            "split.strategy official: no data set says what is for training and what for the test: name the folder of "
            "the authors' lists in split.official_dir, set lists: authors, or set split.strategy to group"
        )
