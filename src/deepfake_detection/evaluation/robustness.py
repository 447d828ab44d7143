"""How much a detector's metrics fall when its frames are corrupted."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from torch import Tensor, nn

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.progress import progress
from deepfake_detection.evaluation.bootstrap import (
    DRAWS,
    NO_SPREAD,
    Floats,
    group_draws,
    metric_interval,
    resampled_auroc,
    standard_error,
    t_quantile,
)
from deepfake_detection.evaluation.corruptions import CORRUPTIONS, Corruption
from deepfake_detection.evaluation.metrics import prediction_table
from deepfake_detection.evaluation.selective import is_familiar, selective_curve
from deepfake_detection.frames.dataset import FrameDataset, derive_seed
from deepfake_detection.inference.logits import Predictor, predict_each
from deepfake_detection.network.sidecar import Calibration


class CorruptedFrames(FrameDataset):
    """A FrameDataset whose frames are corrupted as the last step before they are served.

    A frame's noise depends only on the seed and on its row.
    """

    def __init__(
        self, pixels: NDArray[np.uint8], rows: pd.DataFrame, corruption: Corruption, setting: float, seed: int
    ) -> None:
        super().__init__(pixels, rows)
        self.corruption, self.setting, self.seed = corruption, setting, seed

    def __getitem__(self, item: int) -> tuple[Tensor, ...]:
        row = int(self.rows[item])
        frame = self.corruption.apply(np.asarray(self.pixels[row]), self.setting, derive_seed(self.seed, row))
        return torch.from_numpy(frame), torch.tensor(self.labels[item])


def evaluate_robustness(
    model: nn.Module | Predictor,
    pixels: NDArray[np.uint8],
    rows: pd.DataFrame,
    batch_size: int,
    calibration: Calibration,
    seed: int,
    num_workers: int = 0,
    draws: int = DRAWS,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Evaluates ``rows`` clean and under every corruption of CORRUPTIONS at its five severities.

    Returns the metrics, and two tables of ``selective.selective_curve`` one below the other: those of ``clean`` frames
    and of the ``corrupted`` ones of all kinds together, as ``frames`` says.

    ``pixels`` and ``rows`` are as for FrameDataset, ``model`` as for predict_logits; ``rows`` also has the identity
    ``group`` of each frame. ``auroc``, ``accuracy`` and ``log_loss`` are over frames. Accuracy and log loss are of
    calibrated probabilities, at the threshold of ``calibration``. ``coverage`` is the share of frames that are
    familiar to the network, ``answered_accuracy`` the accuracy over these, None if there are none. ``mean_auroc``
    is the plain mean over all corruptions and severities; ``mean_auroc_drop`` is how far it is below
    ``clean_auroc``. ``intervals`` has the 95% interval of these three, by a bootstrap with ``draws`` draws of whole
    groups. The same draws serve all corruptions. AUROCs and intervals are None if there is only one class. The
    result does not depend on ``num_workers``. Raises UserError when there are no rows.
    """
    if rows.empty:
        raise UserError("no frame to corrupt: the test split has none of data.categories; see split.test")
    labels = rows["label"].to_numpy()
    codes, names = pd.factorize(rows["group"])
    counts = np.vstack([np.ones((1, len(names)), np.int64), group_draws(len(names), seed, draws)])
    drawn: list[Floats] = []  # the AUROCs of a pass: in the sample, then in each draw

    passes = [FrameDataset(pixels, rows)]
    for corruption in CORRUPTIONS.values():
        passes += [CorruptedFrames(pixels, rows, corruption, setting, seed) for setting in corruption.settings]

    judged: list[pd.DataFrame] = []

    def measured() -> dict[str, float | None]:
        table = prediction_table(rows, next(scores), calibration)
        drawn.append(resampled_auroc(labels, table["logit"].to_numpy(), codes, counts))
        judged.append(table[["label", "probability", "unfamiliarity"]])
        return _corruption_metrics(table, calibration)

    result: dict[str, Any] = {}
    with progress(total=len(passes) * len(rows), unit="frame") as bar:
        # one loader for all passes, because starting its workers for each of them would take longer than the passes
        scores = predict_each(model, passes, batch_size, num_workers, bar)
        bar.set_description("clean")
        clean_metrics = measured()
        clean = clean_metrics["auroc"]
        for name, corruption in CORRUPTIONS.items():
            severities = []
            for severity, setting in enumerate(corruption.settings, start=1):
                bar.set_description(f"{name} {severity}")
                severities.append({"severity": severity, "setting": setting, **measured()})
            result[name] = {"unit": corruption.unit, "severities": severities}
    aurocs = [entry["auroc"] for corruption in result.values() for entry in corruption["severities"]]
    mean = None if clean is None else float(np.mean(aurocs))
    drop = None if clean is None or mean is None else clean - mean
    curves = [
        selective_curve(part, calibration.threshold).assign(frames=kind)
        for kind, part in (("clean", judged[0]), ("corrupted", pd.concat(judged[1:])))
    ]
    found = {
        "frames": len(rows),
        "groups": len(names),
        "clean_auroc": clean,
        "mean_auroc": mean,
        "mean_auroc_drop": drop,
        "intervals": _intervals(np.array(drawn), len(names), len(rows)),
        "clean_coverage": clean_metrics["coverage"],
        "clean_answered_accuracy": clean_metrics["answered_accuracy"],
        "corruptions": result,
    }
    return found, pd.concat(curves, ignore_index=True)


def _intervals(drawn: Floats, groups: int, frames: int) -> dict[str, list[float] | None]:
    """The intervals of the summary. ``drawn`` has shape (passes, 1 + draws), the clean pass and the sample first."""
    if groups < 2 or np.isnan(drawn[0, 0]):
        return dict.fromkeys(("clean_auroc", "mean_auroc", "mean_auroc_drop"))
    clean, mean = drawn[0], drawn[1:].mean(axis=0)
    drop = clean - mean
    error = standard_error(drop[1:], groups)
    # the drop may be negative, so its interval is the symmetric one of a paired difference
    half = None if error is None or error <= NO_SPREAD else t_quantile(groups) * error
    return {
        "clean_auroc": metric_interval("auroc", clean, groups, frames),
        "mean_auroc": metric_interval("auroc", mean, groups, frames),
        "mean_auroc_drop": None if half is None else [float(drop[0]) - half, float(drop[0]) + half],
    }


def robustness_table(result: dict[str, Any]) -> pd.DataFrame:
    """One row per corruption and severity: corruption, severity, setting, and its metrics."""
    return pd.DataFrame(
        {"corruption": name, **entry}
        for name, corruption in result["corruptions"].items()
        for entry in corruption["severities"]
    )


def _corruption_metrics(table: pd.DataFrame, calibration: Calibration) -> dict[str, float | None]:
    labels, probabilities = table["label"].to_numpy(), table["probability"].to_numpy()
    called, familiar = probabilities >= calibration.threshold, is_familiar(table).to_numpy()
    both = len(np.unique(labels)) == 2
    return {
        # from logits, because probabilities near 0 or 1 round to ties
        "auroc": float(roc_auc_score(labels, table["logit"])) if both else None,
        "accuracy": float(accuracy_score(labels, called)),
        "log_loss": float(log_loss(labels, probabilities, labels=[0, 1])),
        "coverage": float(familiar.mean()),
        "answered_accuracy": float(accuracy_score(labels[familiar], called[familiar])) if familiar.any() else None,
    }
