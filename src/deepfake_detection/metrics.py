"""The numbers of the evaluation, from scikit-learn. Positive class: fake (label 1)."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    classification_report,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

CLASS_NAMES = ("Original", "Deepfake")


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability of a fake; computed so that large logits do not overflow."""
    return np.exp(-np.logaddexp(0, -logits))


def frame_metrics(labels: NDArray[np.int64], probabilities: NDArray[np.float64], threshold: float) -> dict[str, Any]:
    """Metrics over frames; a frame is called fake from ``threshold`` on.

    ``auroc`` is None when only one class is there. Precision without a positive call, and recall
    without a fake, are 0.
    """
    called = (probabilities >= threshold).astype(int)
    (tn, fp), (fn, tp) = confusion_matrix(labels, called, labels=[0, 1]).tolist()
    both = len(np.unique(labels)) == 2
    return {
        "accuracy": float(accuracy_score(labels, called)),
        "precision": float(precision_score(labels, called, zero_division=0)),
        "recall": float(recall_score(labels, called, zero_division=0)),
        "f1": float(f1_score(labels, called, zero_division=0)),
        "auroc": float(roc_auc_score(labels, probabilities)) if both else None,
        "log_loss": float(log_loss(labels, probabilities, labels=[0, 1])),
        "confusion_matrix": {"tn": tn, "fp": fp, "fn": fn, "tp": tp},
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


def prediction_table(rows: pd.DataFrame, logits: NDArray[np.float64]) -> pd.DataFrame:
    """One row a frame: path, category, video_id, label, split, logit, probability."""
    table = rows[["path", "category", "video_id", "label", "split"]].copy()
    table["logit"] = logits
    table["probability"] = sigmoid(logits)
    return table
