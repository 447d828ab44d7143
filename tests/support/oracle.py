"""Every metric once more, with scikit-learn, one sample at a time."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from sklearn import metrics


def oracle(labels: NDArray[np.int64], probabilities: NDArray[np.float64], threshold: float) -> dict[str, float]:
    """The metrics of ``frame_metrics``, of frames of both classes."""
    called = probabilities >= threshold
    fpr, tpr, _ = metrics.roc_curve(labels, probabilities, drop_intermediate=False)
    places = np.arange(len(fpr))
    crossing = brentq(lambda place: np.interp(place, places, fpr + tpr) - 1, 0, places[-1], xtol=1e-13)
    bins = np.ceil(probabilities * 15)
    gaps = [np.abs((probabilities - labels)[bins == each].sum()) for each in np.unique(np.maximum(bins, 1))]
    return {
        "accuracy": metrics.accuracy_score(labels, called),
        "precision": metrics.precision_score(labels, called, zero_division=0),
        "recall": metrics.recall_score(labels, called, zero_division=0),
        "f1": metrics.f1_score(labels, called, zero_division=0),
        "auroc": metrics.roc_auc_score(labels, probabilities),
        "log_loss": metrics.log_loss(labels, probabilities),
        "average_precision": metrics.average_precision_score(labels, probabilities),
        "eer": float(np.interp(crossing, places, fpr)),
        "tpr_at_fpr_1pct": tpr[fpr <= 0.01].max(),
        "tpr_at_fpr_0_1pct": tpr[fpr <= 0.001].max(),
        "balanced_accuracy": metrics.balanced_accuracy_score(labels, called),
        "mcc": metrics.matthews_corrcoef(labels, called),
        "brier": metrics.brier_score_loss(labels, probabilities),
        "ece": float(np.sum(gaps)) / len(labels),
    }
