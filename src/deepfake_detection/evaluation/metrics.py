"""The metrics of the evaluation, from scikit-learn where it has them. Positive class: fake (label 1)."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    classification_report,
    confusion_matrix,
    f1_score,
    log_loss,
    matthews_corrcoef,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from deepfake_detection.common.errors import UserError
from deepfake_detection.evaluation.bootstrap import DRAWS, METRICS, group_intervals
from deepfake_detection.evaluation.calibration import expected_calibration_error
from deepfake_detection.evaluation.probability import sigmoid
from deepfake_detection.index.tables import CLASS_NAMES


def frame_metrics(labels: NDArray[np.int64], probabilities: NDArray[np.float64], threshold: float) -> dict[str, Any]:
    """Metrics over frames (or videos). A frame is called fake if its probability is at least ``threshold``.

    ``labels`` and ``probabilities`` are of shape (frames,). These metrics are less common: ``eer`` is the rate at which
    the ROC curve, with straight lines between its points, has FPR = 1 - TPR. ``tpr_at_fpr_1pct`` and
    ``tpr_at_fpr_0_1pct`` are the highest TPR of a threshold whose FPR is at most 1% or 0.1%. ``ece`` follows Guo et al.
    2017, with 15 bins on the probability of fake. Metrics that need both classes are None with only one class. All
    metrics are None without frames. ``undefined`` says why. Precision without a positive call, recall and F1 without a
    fake, and MCC when all calls are alike, are 0.
    """
    labels, probabilities = np.asarray(labels, np.int64), np.asarray(probabilities, np.float64)
    called = (probabilities >= threshold).astype(int)
    (tn, fp), (fn, tp) = [[0, 0], [0, 0]]
    values: dict[str, float] = {}
    if len(labels):
        (tn, fp), (fn, tp) = confusion_matrix(labels, called, labels=[0, 1]).tolist()
        values |= {
            "accuracy": accuracy_score(labels, called),
            "precision": precision_score(labels, called, zero_division=0),
            "recall": recall_score(labels, called, zero_division=0),
            "f1": f1_score(labels, called, zero_division=0),
            "log_loss": log_loss(labels, probabilities, labels=[0, 1]),
            "brier": brier_score_loss(labels, probabilities, pos_label=1),
            "ece": expected_calibration_error(labels, probabilities),
        }
    if len(np.unique(labels)) == 2:
        fpr, tpr, _ = roc_curve(labels, probabilities, drop_intermediate=False)
        values |= {
            "auroc": roc_auc_score(labels, probabilities),
            "average_precision": average_precision_score(labels, probabilities),
            "eer": _equal_error_rate(fpr, tpr),
            "tpr_at_fpr_1pct": tpr[fpr <= 0.01].max(),
            "tpr_at_fpr_0_1pct": tpr[fpr <= 0.001].max(),
            "balanced_accuracy": balanced_accuracy_score(labels, called),
            "mcc": matthews_corrcoef(labels, called),
        }
    reason = (
        f"needs both classes, found only {CLASS_NAMES[labels[0]]}" if len(labels) else "there is nothing to measure"
    )
    return {
        **{name: float(values[name]) if name in values else None for name in METRICS},
        "confusion_matrix": {"tn": tn, "fp": fp, "fn": fn, "tp": tp},
        "undefined": {name: reason for name in METRICS if name not in values},
    }


def _equal_error_rate(fpr: NDArray[np.float64], tpr: NDArray[np.float64]) -> float:
    excess = fpr + tpr - 1  # from -1 to 1
    after = int(np.argmax(excess >= 0))
    along = -excess[after - 1] / (excess[after] - excess[after - 1])
    return float(fpr[after - 1] + along * (fpr[after] - fpr[after - 1]))


def video_table(table: pd.DataFrame) -> pd.DataFrame:
    """One row per video: category, video_id, source_id, label, group, and the mean logit of its frames."""
    keys = ["category", "video_id", "source_id"]
    # dropna=False, because originals have no source_id, and pandas may read an empty one as NaN.
    videos = table.groupby(keys, as_index=False, dropna=False, sort=True)
    return videos.agg(label=("label", "first"), group=("group", "first"), logit=("logit", "mean"))


def _table_metrics(table: pd.DataFrame, threshold: float, temperature: float = 1.0) -> dict[str, Any]:
    return frame_metrics(table["label"].to_numpy(), sigmoid(table["logit"].to_numpy(float) / temperature), threshold)


def _intervals(
    table: pd.DataFrame, threshold: float, seed: int, draws: int, temperature: float = 1.0
) -> dict[str, list[float] | None]:
    probabilities = sigmoid(table["logit"].to_numpy(float) / temperature)
    return group_intervals(
        table["label"].to_numpy(), probabilities, table["group"].to_numpy(object), threshold, seed, draws
    )


def _groups(table: pd.DataFrame) -> int:
    """The number of identity groups, from which the intervals come."""
    return int(table["group"].nunique())


def category_metrics(
    table: pd.DataFrame, threshold: float, seen: Collection[str], seed: int, draws: int = DRAWS
) -> dict[str, Any]:
    """Each manipulation against all originals of ``table``, by category. The arguments are those of ``evaluation``.

    ``frames`` and ``videos`` count only the manipulation. ``intervals`` are those of ``frame``, and ``groups`` is
    the number of identity groups behind them, those of the originals included.
    """
    found: dict[str, Any] = {}
    for category in sorted(table.loc[table["label"] == 1, "category"].unique()):
        fakes = (table["category"] == category) & (table["label"] == 1)
        rows = table[fakes | (table["label"] == 0)]
        found[category] = {
            "seen": category in seen,
            "frames": int(fakes.sum()),
            "videos": len(video_table(table[fakes])),
            "frame": _table_metrics(rows, threshold),
            "video": _table_metrics(video_table(rows), threshold),
            "groups": _groups(rows),
            "intervals": _intervals(rows, threshold, seed, draws),
        }
    return found


def evaluation(
    table: pd.DataFrame,
    threshold: float,
    temperature: float,
    seen: Collection[str],
    seed: int,
    draws: int = DRAWS,
    *,
    threshold_rule: float | str | None = None,
    calibrated_threshold: float | None = None,
) -> dict[str, Any]:
    """The whole content of metrics/test.json.

    ``table`` has one row per test frame (label, category, video_id, source_id, group, logit), of the categories trained
    on (``seen``) and of others. The originals and the manipulations in ``seen`` make up the headline metrics; the rest
    appears only under ``categories``. ``threshold`` applies to the raw probability sigmoid(logit).
    ``calibrated_threshold`` (the same unless given) applies to sigmoid(logit / temperature). ``threshold_rule`` says
    how they were chosen. A video has the mean logit of its frames. For intervals see ``bootstrap.group_intervals``.

    Raises UserError for logits that are not finite, which would make every number here meaningless.
    """
    wrong = int((~np.isfinite(table["logit"].to_numpy(float))).sum())
    if wrong:
        raise UserError(
            f"{wrong} of {len(table)} test frames have a logit that is not finite: "
            "train again with a lower train.lr or with train.precision 32-true"
        )
    headline = table[(table["label"] == 0) | table["category"].isin(list(seen))]
    videos = video_table(headline)
    second = threshold if calibrated_threshold is None else calibrated_threshold
    return {
        **_table_metrics(headline, threshold),
        "threshold": threshold,
        "threshold_rule": threshold if threshold_rule is None else threshold_rule,
        "temperature": temperature,
        "groups": _groups(headline),
        "intervals": _intervals(headline, threshold, seed, draws),
        "calibrated": {
            **_table_metrics(headline, second, temperature),
            "threshold": second,
            "groups": _groups(headline),
            "intervals": _intervals(headline, second, seed, draws, temperature),
        },
        "video": {
            **_table_metrics(videos, threshold),
            "groups": _groups(videos),
            "intervals": _intervals(videos, threshold, seed, draws),
        },
        "categories": category_metrics(table, threshold, seen, seed, draws),
    }


def class_report(labels: NDArray[np.int64], probabilities: NDArray[np.float64], threshold: float) -> dict[str, Any]:
    """scikit-learn's classification report: precision, recall, F1 and support of each class."""
    report: dict[str, Any] = classification_report(
        labels,
        probabilities >= threshold,
        labels=[0, 1],
        target_names=list(CLASS_NAMES),
        output_dict=True,
        zero_division=0,
    )
    return report


def prediction_table(rows: pd.DataFrame, logits: NDArray[np.float64], temperature: float = 1.0) -> pd.DataFrame:
    """One row per frame: path, category, video_id, label, split, logit, probability, then what ``evaluation`` needs.

    These are source_id and group, where ``rows`` has them, and ``calibrated``, which is sigmoid(logit / temperature).
    """
    table = rows[["path", "category", "video_id", "label", "split"]].copy()
    table["logit"] = logits
    table["probability"] = sigmoid(logits)
    for name in ("source_id", "group"):
        if name in rows:
            table[name] = rows[name]
    table["calibrated"] = sigmoid(logits / temperature)
    return table
