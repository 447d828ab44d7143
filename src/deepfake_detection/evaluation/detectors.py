"""Detectors side by side on the same frames or videos: what ``evaluate`` measures, and paired differences."""

from collections.abc import Collection, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.units import drawn_units
from deepfake_detection.evaluation.bootstrap import DRAWS, METRICS
from deepfake_detection.evaluation.compare import compare, correct
from deepfake_detection.evaluation.metrics import (
    chance,
    each_manipulation,
    lost_videos,
    measured,
    video_table,
    with_lost,
)
from deepfake_detection.evaluation.scores import Known, Scores, joined, probability_of, video_names

Level = Literal["video", "frame"]
SEED = 42  # that of the pipeline's evaluate.seed

# metrics of the order of scores, which need no probability
RANKED = ("auroc", "average_precision", "eer", "tpr_at_fpr_1pct", "tpr_at_fpr_0_1pct")
NOT_NAMED = "not in the file"
UNUSABLE = "not in the file; no frame of it can be used"


class Leaderboard(NamedTuple):
    """What ``leaderboard`` finds.

    ``found`` is JSON. ``detectors`` has ``taken``, ``threshold`` and ``mean_auroc``, that over the data sets, of each,
    the best first. ``datasets`` has for each data set what is compared, ``detectors`` as ``metrics.measured`` finds,
    ``categories`` with the same for each manipulation against all originals, ``pairs`` of each detector and the first
    that was named, as of ``compare``, and ``coverage``, the number of videos by status.

    ``coverage`` has a row for each detector and video: detector, dataset, category, video, label, scored (its frames
    that have a score), status (ok, missing, error), reason.
    """

    found: dict[str, Any]
    coverage: pd.DataFrame


def leaderboard(
    detectors: Mapping[str, Scores],
    known: Known,
    *,
    split: str = "test",
    level: Level = "video",
    datasets: Collection[str] | None = None,
    categories: Collection[str] | None = None,
    as_chance: bool = False,
    seed: int = SEED,
    draws: int = DRAWS,
) -> Leaderboard:
    """Measures each detector on the frames or videos of ``split``, or of all splits if none is known.

    Of each data set only what all detectors scored is measured, or with ``as_chance`` every video: one without a score
    gets ``metrics.chance``. A video has the mean logit of its frames. ``datasets`` are by default those of which every
    detector scored something, ``categories`` the manipulations to be measured, by default all. The p values are
    corrected for all differences of a metric, of all data sets (Holm).

    Raises UserError as ``scores.joined`` does, for a split, data set or category that is not there, for scores of
    videos if the ``level`` is frame, and if no frame or video is scored by all.
    """
    _require(detectors, level, as_chance)
    found = {name: joined(name, scores, known) for name, scores in detectors.items()}
    frames = _of_split(known.frames, split)
    frames = frames.assign(group=drawn_units(frames), video=video_names(frames))
    named = {
        name: set(frames.loc[frames[each.by].isin(found[name].index), "dataset"]) for name, each in detectors.items()
    }
    for name, there in named.items():
        if not there:
            raise UserError(f"{name} has no score of the {split} split: choose another --split")
    everywhere, anywhere = set.intersection(*named.values()), set.union(*named.values())
    wanted = _wanted("data set", datasets, frames["dataset"], everywhere)
    if not wanted:
        raise UserError(f"no data set has scores of all of {', '.join(detectors)}: leave one out")
    fakes = frames[frames["dataset"].isin(wanted) & (frames["label"] == 1)]["category"]
    kept = _wanted("manipulation", categories, fakes, set(fakes))
    known = known._replace(missing=_of_categories(known.missing, kept))
    result: dict[str, Any] = {}
    coverage = []
    for dataset in wanted:
        part = _of_categories(frames[frames["dataset"] == dataset], kept)
        divided = bool((known.frames.loc[known.frames["dataset"] == dataset, "split"] != split).any())
        lost = lost_videos(known.missing, dataset, part, divided)
        videos = {name: _videos(found[name], scores, part, lost) for name, scores in detectors.items()}
        coverage += [table.assign(detector=name) for name, table in videos.items()]
        tables = videos if level == "video" else {name: part.join(each, on="path") for name, each in found.items()}
        if as_chance:
            tables = {
                name: table.fillna({"probability": chance(detectors[name].prior)}) for name, table in tables.items()
            }
        result[dataset] = _measured(dataset, tables, detectors, level, seed, draws) | {
            "coverage": {name: _counts(table) for name, table in videos.items()}
        }
    correct([pair for each in result.values() for pair in each["pairs"]])
    aurocs = {name: [each["detectors"][name]["auroc"] for each in result.values()] for name in detectors}
    means = {name: float(np.mean(each)) if None not in each else None for name, each in aurocs.items()}
    columns = ["detector", "dataset", "category", "video", "label", "scored", "status", "reason"]
    return Leaderboard(
        {
            "level": level,
            "split": split if known.frames["split"].any() else None,
            "missing": "as_chance" if as_chance else "exclude",
            "first": next(iter(detectors)),
            "detectors": {
                name: {
                    "taken": detectors[name].taken,
                    "threshold": _threshold(detectors[name], level),
                    "mean_auroc": means[name],
                }
                for name in sorted(means, key=lambda name: -(means[name] or 0))
            },
            "datasets": result,
            "datasets_left_out": sorted(anywhere - set(wanted)),
        },
        pd.concat(coverage, ignore_index=True)[columns],
    )


def _require(detectors: Mapping[str, Scores], level: Level, as_chance: bool) -> None:
    """Raises UserError for detectors that cannot be measured as asked."""
    if level == "frame" and as_chance:
        raise UserError("only a missing video can count as chance: leave out --level frame")
    for name, scores in detectors.items():
        if level == "frame" and scores.by == "video":
            raise UserError(f"{name} has scores of videos only: leave out --level frame")
        if as_chance and scores.kind == "order":
            raise UserError(f"{name} gives no probabilities, so a missing video cannot count as a guess: see --kind")


def hints(found: dict[str, Any]) -> list[str]:
    """What to look at in the ``found`` of a leaderboard: an AUROC that may be upside down."""
    return [
        f"{name} has an AUROC of {auroc:.3f} in {dataset}, where guessing has 0.5: "
        f"if a high score of it means a real one, turn it with --real-is-high {name}"
        for dataset, each in found["datasets"].items()
        for name, block in each["detectors"].items()
        if (auroc := block["auroc"]) is not None and auroc < 0.5
    ]


def _of_split(frames: pd.DataFrame, split: str) -> pd.DataFrame:
    if not frames["split"].any():
        return frames
    if (chosen := frames[frames["split"] == split]).empty:
        there = ", ".join(sorted(frames["split"].unique()))
        raise UserError(f"the index has no {split} frames, only {there}: choose another --split")
    return chosen


def _of_categories(table: pd.DataFrame, kept: Collection[str]) -> pd.DataFrame:
    return table[(table["label"] == 0) | table["category"].isin(kept)]


def _wanted(what: str, asked: Collection[str] | None, there: pd.Series, default: Collection[str]) -> list[str]:
    if unknown := sorted(set(asked or ()) - set(there)):
        raise UserError(f"there is no {what} {', '.join(unknown)}, only {', '.join(sorted(set(there)))}")
    return sorted(default if asked is None else set(asked))


def _videos(found: pd.DataFrame, scores: Scores, rows: pd.DataFrame, lost: pd.DataFrame) -> pd.DataFrame:
    """Every video of ``rows``, then the ``lost`` ones, with what a detector says of it; probability is NaN for none."""
    if scores.by == "path":
        frames = rows.join(found, on="path")
        videos = video_table(frames)
        probability = probability_of(videos["logit"], scores.kind, scores.video)
        of = frames.groupby("video")
        said = pd.DataFrame({"scored": of["logit"].count(), "reason": of["status"].max()})
    else:
        videos = video_table(rows.assign(logit=np.nan))
        probability = pd.Series(np.nan, index=videos.index)
        said = pd.DataFrame({"scored": found["logit"].notna().astype(int), "reason": found["status"]})
    videos["probability"] = probability
    if len(lost):
        videos = with_lost(videos, lost, np.nan)
    videos = videos.assign(video=video_names(videos))
    if scores.by == "video":
        videos["probability"] = videos["video"].map(found["probability"])
    videos = videos.join(said, on="video").fillna({"scored": 0, "reason": ""}).astype({"scored": int})
    ok = videos["probability"].notna()
    status = ok.map({True: "ok", False: "missing"}).mask(~ok & (videos["reason"] != ""), "error")
    unusable = videos["video"].isin(video_names(lost)) if len(lost) else pd.Series(False, index=videos.index)
    reason = videos["reason"].mask(status == "missing", unusable.map({True: UNUSABLE, False: NOT_NAMED}))
    return videos.assign(status=status, reason=reason)


def _counts(videos: pd.DataFrame) -> dict[str, int]:
    counts = videos["status"].value_counts()
    return {status: int(counts.get(status, 0)) for status in ("ok", "missing", "error")}


def _threshold(scores: Scores, level: Level) -> float:
    return (scores.video if level == "video" else scores.frame).threshold


def _measured(
    dataset: str,
    tables: Mapping[str, pd.DataFrame],
    detectors: Mapping[str, Scores],
    level: Level,
    seed: int,
    draws: int,
) -> dict[str, Any]:
    """What is in ``tables``, which have the same rows in the same order, for those rows that have all probabilities."""
    common = np.all([table["probability"].notna() for table in tables.values()], axis=0)
    if not common.any():
        raise UserError(f"no {level} of {dataset} has a score of each of {', '.join(tables)}: leave one out")
    kept = {name: table[common].reset_index(drop=True) for name, table in tables.items()}
    thresholds = {name: _threshold(scores, level) for name, scores in detectors.items()}
    first = next(iter(kept.values()))
    orders = {name for name, scores in detectors.items() if scores.kind == "order"}

    def block(name: str, table: pd.DataFrame) -> dict[str, Any]:
        found = measured(table, thresholds[name], seed, draws)
        return _ranked(found) if name in orders else found

    blocks = {name: block(name, table) for name, table in kept.items()}
    categories: dict[str, Any] = {}
    for name, table in kept.items():
        for category, rows in each_manipulation(table):
            categories.setdefault(category, {})[name] = block(name, rows)
    pairs = compare(kept, first["group"], thresholds, seed, draws)
    for pair in pairs:
        if orders & {pair["first"], pair["second"]}:
            empty = {metric: dict.fromkeys(row) for metric, row in pair["metrics"].items() if metric not in RANKED}
            pair["metrics"] |= empty
    return {
        "named": len(common),
        "compared": int(common.sum()),
        "fakes": int(first["label"].sum()),
        "groups": int(first["group"].nunique()),
        "detectors": blocks,
        "categories": categories,
        "pairs": pairs,
    }


def _ranked(found: dict[str, Any]) -> dict[str, Any]:
    """What ``measured`` finds, without what needs a probability."""
    none = [name for name in METRICS if name not in RANKED]
    reason = "the scores are neither probabilities nor logits"
    return (
        found
        | dict.fromkeys(none)
        | {
            "confusion_matrix": None,
            "undefined": found["undefined"] | dict.fromkeys(none, reason),
            "intervals": found["intervals"] | dict.fromkeys(none),
        }
    )
