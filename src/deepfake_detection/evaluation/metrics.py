"""The metrics of the evaluation. Positive class: fake (label 1)."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from sklearn.metrics import classification_report

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import CLASS_NAMES, MISSING_COLUMNS, PREDICTION_COLUMNS, VIDEO_KEY, headline_rows
from deepfake_detection.common.text import guessing
from deepfake_detection.common.units import drawn_units
from deepfake_detection.evaluation.bootstrap import DRAWS, frame_metrics, group_intervals
from deepfake_detection.evaluation.selective import is_familiar
from deepfake_detection.network.sidecar import Calibration, Sidecar

KEY_NUMBERS = ("accuracy", "precision", "recall", "f1", "auroc", "log_loss", "ece", "threshold", "coverage")
CHOOSING = ("accuracy", "auroc", "log_loss", "ece")
MACRO = ("macro_auroc_seen", "macro_auroc_unseen", "worst_category_auroc")
BELOW = 1e-6  # in log odds: more than rounding, and less than anybody sees
ANSWERED = ("accuracy", "precision", "recall", "f1", "auroc", "log_loss", "ece")  # given for the familiar frames too


def video_table(table: pd.DataFrame) -> pd.DataFrame:
    """One row per video: dataset, category, video_id, source_id, label, group, and the mean logit of its frames.

    If ``table`` has ``unfamiliarity``, that is the median of the frames, so that half of them decide.
    """
    # dropna=False, because originals have no source_id, and pandas may read an empty one as NaN.
    videos = table.groupby(VIDEO_KEY, as_index=False, dropna=False, sort=True)
    taken = {"label": ("label", "first"), "group": ("group", "first"), "logit": ("logit", "mean")}
    if "unfamiliarity" in table:
        taken["unfamiliarity"] = ("unfamiliarity", "median")
    return videos.agg(**taken)


def measured(table: pd.DataFrame, threshold: float, seed: int, draws: int = DRAWS) -> dict[str, Any]:
    """The metrics of ``table``, which has ``label``, ``group`` and ``probability`` of each frame or video.

    As ``frame_metrics``, with the number of ``groups`` and the ``intervals`` of ``group_intervals``.
    """
    labels, probabilities = table["label"].to_numpy(), table["probability"].to_numpy(float)
    return frame_metrics(labels, probabilities, threshold) | {
        "groups": int(table["group"].nunique()),
        "intervals": group_intervals(labels, probabilities, table["group"].to_numpy(object), threshold, seed, draws),
    }


def _block(table: pd.DataFrame, threshold: float, seed: int, draws: int) -> dict[str, Any]:
    """``measured``, and the metrics of what is familiar alone."""
    familiar = is_familiar(table)
    judged = table[familiar]
    answered = frame_metrics(judged["label"].to_numpy(), judged["probability"].to_numpy(float), threshold)
    return measured(table, threshold, seed, draws) | {
        "coverage": float(familiar.mean()) if len(table) else None,
        "answered": {name: answered[name] for name in ANSWERED},
    }


def _judged_videos(table: pd.DataFrame, sidecar: Sidecar) -> pd.DataFrame:
    """The ``video_table`` with calibrated probabilities."""
    videos = video_table(table)
    return videos.assign(probability=sidecar.video.probability(videos["logit"].to_numpy(float)))


def each_manipulation(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each category of fakes in ``table``, and its rows with those of all originals."""
    for category in sorted(table.loc[table["label"] == 1, "category"].unique()):
        yield category, table[(table["category"] == category) | (table["label"] == 0)]


def category_metrics(
    table: pd.DataFrame, sidecar: Sidecar, seen: Collection[str], seed: int, draws: int = DRAWS
) -> dict[str, Any]:
    """Each manipulation against all originals of ``table``, by category. The arguments are those of ``evaluation``.

    ``frames`` and ``videos`` count only the manipulation. ``intervals`` are those of ``frame``, and ``groups`` is
    the number of groups that are drawn for them, those of the originals included.
    """
    found: dict[str, Any] = {}
    for category, rows in each_manipulation(table):
        frame = _block(rows, sidecar.frame.threshold, seed, draws)
        videos = _judged_videos(rows, sidecar)
        labels, probabilities = videos["label"].to_numpy(), videos["probability"].to_numpy(float)
        found[category] = {
            "seen": category in seen,
            "frames": int(rows["label"].sum()),
            "videos": int(labels.sum()),
            "groups": frame.pop("groups"),
            "intervals": frame.pop("intervals"),
            "frame": frame,
            "video": frame_metrics(labels, probabilities, sidecar.video.threshold),
        }
    return found


def _dataset_metrics(
    table: pd.DataFrame,
    sidecar: Sidecar,
    how: tuple[int, int],  # the seed and the draws of the bootstrap
    only_evaluated: Collection[str],
    missing: pd.DataFrame | None,
    as_chance: bool,
) -> dict[str, Any]:
    """Each data set of ``table`` by itself: frames, videos and each manipulation. For the arguments see ``evaluation``.

    Of a data set that is trained on, ``frame`` and ``video`` are over the categories trained on; of one that is only
    evaluated, over all. Each has ``groups`` and ``intervals`` over that data set's groups. ``categories`` is as in
    ``category_metrics``.

    ``missing`` are the videos without a usable frame, with MISSING_COLUMNS. ``coverage`` is the share of videos that
    have one. Of a data set that is divided, those missing videos count whose target is in ``table``. With
    ``as_chance`` a missing video is judged too, see ``chance``; otherwise it is left out.
    """
    seen = sidecar.categories.real + sidecar.categories.fake
    found: dict[str, Any] = {}
    for name in sorted(table["dataset"].unique()):
        trained, rows = name not in only_evaluated, table[table["dataset"] == name]
        counted = rows[(rows["label"] == 0) | rows["category"].isin(seen)] if trained else rows
        videos = _judged_videos(counted, sidecar)
        lost = lost_videos(missing, name, counted, trained)
        judged = with_lost(videos, lost, chance(sidecar.prior)) if as_chance and len(lost) else videos
        found[name] = {
            "use": "train" if trained else "test",
            "frames": len(counted),
            "videos": len(videos),
            "missing_videos": len(lost),
            "coverage": len(videos) / (len(videos) + len(lost)),
            "frame": _block(counted, sidecar.frame.threshold, *how),
            "video": _block(judged, sidecar.video.threshold, *how),
            "categories": category_metrics(rows, sidecar, seen, *how),
        }
    return found


def lost_videos(missing: pd.DataFrame | None, dataset: str, counted: pd.DataFrame, divided: bool) -> pd.DataFrame:
    """The rows of ``missing`` that belong to the test of a data set. Of one that is ``divided``, their targets tell."""
    if missing is None:
        return pd.DataFrame(columns=MISSING_COLUMNS)
    lost = missing[missing["dataset"] == dataset]
    if divided:
        lost = lost[lost["video_id"].isin(counted["video_id"]) & lost["category"].isin(counted["category"])]
    return lost


def with_lost(videos: pd.DataFrame, lost: pd.DataFrame, probability: float) -> pd.DataFrame:
    """``videos``, as of ``video_table``, and behind them the ``lost`` ones, which all get ``probability``.

    A lost video is in the group of its target, otherwise of its source, otherwise of its own recording.
    """
    known = dict(zip(videos["video_id"], videos["group"], strict=True))
    group = lost["video_id"].map(known).fillna(lost["source_id"].map(known))
    rows = lost.assign(group=group.fillna(lost["dataset"] + "/" + lost["video_id"]), probability=probability)
    judged = pd.concat([videos, rows], ignore_index=True)
    return judged.assign(group=drawn_units(judged))


def chance(prior: float) -> float:
    """The probability that a video without a score gets, a little below the ``prior``.

    At a threshold that equals the prior, it accuses nobody and finds nothing.
    """
    return float(expit(logit(prior) - BELOW))


def _mean_auroc(datasets: Iterable[dict[str, Any]]) -> float | None:
    """The mean frame AUROC of the data sets that have one."""
    known = [auroc for found in datasets if (auroc := found["frame"]["auroc"]) is not None]
    return float(np.mean(known)) if known else None


def summary(categories: dict[str, Any]) -> dict[str, float | None]:
    """The categories' frame AUROC in three numbers; None where there is none.

    ``macro_auroc_seen`` and ``macro_auroc_unseen`` are means over the manipulations trained on and over the others,
    ``worst_category_auroc`` is the lowest of all.
    """
    known = [(found["seen"], auroc) for found in categories.values() if (auroc := found["frame"]["auroc"]) is not None]
    seen, unseen = ([auroc for kind, auroc in known if kind is wanted] for wanted in (True, False))
    means = (float(np.mean(aurocs)) if aurocs else None for aurocs in (seen, unseen))
    return dict(zip(MACRO, (*means, min(seen + unseen, default=None)), strict=True))


def evaluation(
    table: pd.DataFrame,
    sidecar: Sidecar,
    seed: int,
    draws: int = DRAWS,
    only_evaluated: Collection[str] = (),
    missing: pd.DataFrame | None = None,
    as_chance: bool = False,
) -> dict[str, Any]:
    """Everything that is measured on the test frames, or on the validation frames: metrics/details.json.

    ``table`` has one row per frame (label, dataset, category, video_id, source_id, group, logit), of the categories
    trained on, which ``sidecar`` names, and of others. The originals and the manipulations trained on make up the
    headline metrics, without the data sets ``only_evaluated``. The rest appears only under ``categories``,
    ``datasets`` and in the summary. All probabilities are calibrated, and all decisions are at the sidecar's
    thresholds; ``raw`` has what sigmoid(logit) gives instead. A video has the mean logit of its frames, and a
    calibration of its own. For intervals see ``bootstrap.group_intervals``: what is drawn are the groups, or where
    names tell them the target people, see ``units.drawn_units``. For ``missing`` see ``_dataset_metrics``.

    ``coverage`` is the share of frames, or videos, that are familiar and so get a verdict, ``answered`` the metrics of
    these. All other metrics count every frame.

    Raises UserError for logits that are not finite, which would make every number here meaningless.
    """
    wrong = int((~np.isfinite(table["logit"].to_numpy(float))).sum())
    if wrong:
        raise UserError(
            f"{wrong} of {len(table)} frames have a logit that is not finite: "
            "train again with a lower train.lr or with train.precision 32-true"
        )
    table = table.assign(
        group=drawn_units(table), probability=sidecar.frame.probability(table["logit"].to_numpy(float))
    )
    seen = sidecar.categories.real + sidecar.categories.fake
    datasets = _dataset_metrics(table, sidecar, (seed, draws), only_evaluated, missing, as_chance)
    table = table[~table["dataset"].isin(set(only_evaluated))]
    headline = headline_rows(table, seen, only_evaluated)
    raw = frame_metrics(headline["label"].to_numpy(), Calibration().probability(headline["logit"].to_numpy(float)), 0.5)
    categories = category_metrics(table, sidecar, seen, seed, draws)
    return {
        **_block(headline, sidecar.frame.threshold, seed, draws),
        **summary(categories),
        "macro_auroc_datasets": _mean_auroc(datasets[name] for name in only_evaluated if name in datasets),
        "threshold": sidecar.frame.threshold,
        "threshold_rule": sidecar.threshold_rule,
        "temperature": sidecar.frame.temperature,
        "bias": sidecar.frame.bias,
        "prior": sidecar.prior,
        "raw": {name: raw[name] for name in ("log_loss", "brier", "ece")},
        "video": {
            **_block(_judged_videos(headline, sidecar), sidecar.video.threshold, seed, draws),
            "threshold": sidecar.video.threshold,
            "temperature": sidecar.video.temperature,
            "bias": sidecar.video.bias,
        },
        "categories": categories,
        "datasets": datasets,
    }


def key_numbers(found: dict[str, Any]) -> dict[str, Any]:
    """The numbers of ``evaluation`` that people compare: most of metrics/test.json."""
    video = {name: found["video"][name] for name in ("auroc", "accuracy")}
    return {name: found[name] for name in KEY_NUMBERS + MACRO} | {"video": video}


def choosing_numbers(found: dict[str, Any]) -> dict[str, Any]:
    """The numbers of ``evaluation`` by which experiments are chosen: metrics/val.json."""
    return {name: found[name] for name in CHOOSING} | {"video": {"auroc": found["video"]["auroc"]}}


def guesses(found: dict[str, Any]) -> list[str]:
    """Where ``evaluation`` found the network no better than guessing: on the test frames, on other data sets."""
    blocks = {"the test frames": found}
    blocks |= {name: each["frame"] for name, each in found["datasets"].items() if each["use"] == "test"}
    said = (guessing(block["auroc"], block["intervals"]["auroc"], name) for name, block in blocks.items())
    return [words for words in said if words]


def overview(test: dict[str, Any]) -> pd.DataFrame:
    """What ``evaluation`` found in one table for a terminal: the summary, the headline, and the data sets' AUROC."""
    rows = {name: (test[name], "") for name in (*MACRO, "macro_auroc_datasets")}
    rows |= {name: (test[name], ends or "") for name, ends in test["intervals"].items()}
    rows |= {"coverage": (test["coverage"], ""), "accuracy of the answered": (test["answered"]["accuracy"], "")}
    for name, found in test["datasets"].items():
        for level in ("frame", "video"):
            rows[f"{name}: AUROC by {level}"] = (found[level]["auroc"], found[level]["intervals"]["auroc"] or "")
    return pd.DataFrame.from_dict(rows, orient="index", columns=["test", "95%"])


def class_report(table: pd.DataFrame, threshold: float) -> dict[str, Any]:
    """scikit-learn's classification report of a ``prediction_table``: precision, recall, F1, support of each class."""
    report: dict[str, Any] = classification_report(
        table["label"],
        table["probability"] >= threshold,
        labels=[0, 1],
        target_names=list(CLASS_NAMES),
        output_dict=True,
        zero_division=0,
    )
    return report


def prediction_table(rows: pd.DataFrame, scores: pd.DataFrame, calibration: Calibration) -> pd.DataFrame:
    """One row per frame: what ``rows`` says of it, its logit, its probabilities, and how unfamiliar it is.

    ``rows`` are those of an index with ``split``. ``scores`` has SCORE_COLUMNS for these frames, and maybe others.
    ``probability`` is the calibrated one. ``unfamiliarity`` is above 1 if the frame is unlike the training frames, and
    0 if every frame is judged. Raises UserError when a frame has no score.
    """
    described = [name for name in PREDICTION_COLUMNS if name in rows]
    table = rows[described].merge(scores, on="path")
    if len(table) != len(rows):
        raise UserError(f"{len(rows)} frames to measure, {len(table)} with a score: run `dvc repro predict`")
    table["raw_probability"] = Calibration().probability(table["logit"])
    table["probability"] = calibration.probability(table["logit"])
    return table[[*described, "logit", "raw_probability", "probability", "unfamiliarity"]]
