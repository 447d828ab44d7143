"""How much a detector's metrics fall when its frames are corrupted, and how many frames are unfamiliar then."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.progress import progress
from deepfake_detection.common.units import drawn_units
from deepfake_detection.evaluation.bootstrap import (
    DRAWS,
    NO_SPREAD,
    Floats,
    effective_groups,
    frame_metrics,
    group_draws,
    metric_interval,
    resampled_auroc,
    standard_error,
    t_quantile,
)
from deepfake_detection.evaluation.conditions import measured_conditions
from deepfake_detection.evaluation.corruptions import CORRUPTIONS, Corruption
from deepfake_detection.evaluation.likelihood_ratios import judged_by
from deepfake_detection.evaluation.metrics import prediction_table
from deepfake_detection.evaluation.selective import is_familiar, selective_curve
from deepfake_detection.frames.dataset import FrameDataset, derive_seed
from deepfake_detection.frames.filters import Frame
from deepfake_detection.frames.prepared import Pixels
from deepfake_detection.inference.familiarity import Familiarity
from deepfake_detection.inference.logits import Predictor, predict_each, score_table
from deepfake_detection.network.sidecar import Calibration

BATCH = 64  # of frames that are measured together
TILES = 4  # along each side of a frame, for `shuffled_tiles`


class CorruptedFrames(FrameDataset):
    """A FrameDataset whose frames are corrupted as the last step before they are served.

    A frame's noise depends only on the seed and on its row.
    """

    def __init__(self, pixels: Pixels, rows: pd.DataFrame, corruption: Corruption, setting: float, seed: int) -> None:
        super().__init__(pixels, rows)
        self.corruption, self.setting, self.seed = corruption, setting, seed

    def __getitem__(self, item: int) -> tuple[Tensor, ...]:
        row = int(self.rows[item])
        frame = self.corruption.apply(np.asarray(self.pixels[row]), self.setting, derive_seed(self.seed, row))
        return torch.from_numpy(frame), torch.tensor(self.labels[item])


class Robustness(NamedTuple):
    """What ``evaluate_robustness`` finds.

    ``summary`` is the content of metrics/robustness.json. ``robustness`` has one row per corruption and severity, and
    ``intervals`` one per AUROC of the summary: name, value, the ends of its 95% interval, low and high, and from how
    many frames and groups it is.
    ``coverage`` has two tables of ``selective.selective_curve`` one below the other: those of ``clean`` frames and of
    the ``corrupted`` ones of all kinds together, as its column ``frames`` says. ``conditions`` has the rows of
    ``conditions.measured_conditions`` by JPEG quality and by brightness.
    """

    summary: dict[str, Any]
    robustness: pd.DataFrame
    intervals: pd.DataFrame
    coverage: pd.DataFrame
    conditions: pd.DataFrame


def evaluate_robustness(
    model: nn.Module | Predictor,
    pixels: Pixels,
    rows: pd.DataFrame,
    batch_size: int,
    calibration: Calibration,
    seed: int,
    num_workers: int = 0,
    draws: int = DRAWS,
    prior: float = 0.5,
) -> Robustness:
    """Tests ``rows`` clean and under every corruption of CORRUPTIONS at its five severities.

    ``pixels`` and ``rows`` are as for FrameDataset, ``model`` as for predict_logits; ``rows`` also has the identity
    ``group`` of each frame. ``auroc``, ``accuracy`` and ``log_loss`` are over frames. Accuracy and log loss are of
    calibrated probabilities, at the threshold of ``calibration``. ``coverage`` is the share of frames that are
    familiar to the network, ``answered_accuracy`` the accuracy over these, None if there are none. ``mean_auroc``
    is the plain mean over all corruptions and severities; ``mean_auroc_drop`` is how far it is below
    ``clean_auroc``. The intervals of these three are by a bootstrap with ``draws`` draws of whole groups. The same
    draws serve all corruptions. AUROCs and intervals are None if there is only one class. The result does not depend
    on ``num_workers``. Raises UserError when there are no rows.
    """
    if rows.empty:
        raise UserError("no frame to corrupt: the test split has none that are trained on; see split.test")
    units = drawn_units(rows)
    codes, names = pd.factorize(units)
    counts = np.vstack([np.ones((1, len(names)), np.int64), group_draws(len(names), seed, draws)])
    kinds: list[dict[str, Any]] = [
        {"corruption": name, "severity": severity, "unit": corruption.unit, "setting": setting}
        for name, corruption in CORRUPTIONS.items()
        for severity, setting in enumerate(corruption.settings, start=1)
    ]
    passes = [FrameDataset(pixels, rows)]
    passes += [CorruptedFrames(pixels, rows, CORRUPTIONS[k["corruption"]], k["setting"], seed) for k in kinds]
    judged: list[pd.DataFrame] = []  # of each pass
    drawn: list[Floats] = []  # its AUROC in the sample, then in each draw
    found: list[dict[str, float | None]] = []
    with progress(total=len(passes) * len(rows), unit="frame") as bar:
        # one loader for all passes, because starting its workers for each of them would take longer than the passes
        scores = predict_each(model, passes, batch_size, num_workers, bar)
        for title in ("clean", *(f"{kind['corruption']} {kind['severity']}" for kind in kinds)):
            bar.set_description(title)
            table = prediction_table(rows, score_table(rows, next(scores)), calibration)
            # from logits, because probabilities near 0 or 1 round to ties
            drawn.append(resampled_auroc(table["label"].to_numpy(), table["logit"].to_numpy(), codes, counts))
            judged.append(table.assign(unit=units.to_numpy()))
            found.append(_metrics_of_pass(table, float(drawn[-1][0]), calibration.threshold))
    clean, *corrupted = found
    mean = None if clean["auroc"] is None else float(np.mean([each["auroc"] for each in corrupted]))
    aurocs = {
        "clean_auroc": clean["auroc"],
        "mean_auroc": mean,
        "mean_auroc_drop": None if clean["auroc"] is None or mean is None else clean["auroc"] - mean,
    }
    curves = [
        selective_curve(part, calibration.threshold).assign(frames=kind)
        for kind, part in (("clean", judged[0]), ("corrupted", pd.concat(judged[1:])))
    ]
    worth = effective_groups(rows["label"].to_numpy(), codes.astype(np.int64))["auroc"]
    ends = _intervals(np.array(drawn), worth, len(rows))
    return Robustness(
        summary=aurocs | {"clean_coverage": clean["coverage"], "clean_answered_accuracy": clean["answered_accuracy"]},
        robustness=pd.DataFrame([kind | each for kind, each in zip(kinds, corrupted, strict=True)]).astype(
            {"auroc": float, "answered_accuracy": float}
        ),
        intervals=pd.DataFrame(
            [(name, value, *(ends[name] or (None, None))) for name, value in aurocs.items()],
            columns=["name", "value", "low", "high"],
        ).assign(frames=len(rows), groups=len(names)),
        coverage=pd.concat(curves, ignore_index=True),
        conditions=_conditions(
            [judged_by(table, calibration, prior) for table in judged],
            ["clean", *(k["corruption"] for k in kinds)],
            passes,
        ),
    )


def _conditions(judged: list[pd.DataFrame], names: list[str], passes: list[FrameDataset]) -> pd.DataFrame:
    """The results by JPEG quality and by brightness, of the passes that change these."""
    jpeg, light = [], []
    for table, name, frames in zip(judged, names, passes, strict=True):
        if name == "jpeg" and isinstance(frames, CorruptedFrames):
            jpeg.append(table.assign(value=frames.setting))
        if name in ("clean", "brightness"):
            light.append(table.assign(value=[float(frames[item][0].float().mean()) for item in range(len(frames))]))
    found = []
    for name, tables in {"jpeg_quality": jpeg, "brightness": light}.items():
        rows = pd.concat(tables, ignore_index=True)
        found += measured_conditions(rows, name, rows["value"])
    return pd.DataFrame(found)


def _intervals(drawn: Floats, groups: float, frames: int) -> dict[str, list[float] | None]:
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


def _metrics_of_pass(table: pd.DataFrame, auroc: float, threshold: float) -> dict[str, float | None]:
    labels, probabilities = table["label"].to_numpy(), table["probability"].to_numpy()
    familiar = is_familiar(table).to_numpy()
    found = frame_metrics(labels, probabilities, threshold)
    return {
        "auroc": None if np.isnan(auroc) else auroc,
        "accuracy": found["accuracy"],
        "log_loss": found["log_loss"],
        "coverage": float(familiar.mean()),
        "answered_accuracy": frame_metrics(labels[familiar], probabilities[familiar], threshold)["accuracy"],
    }


def flagged_shares(familiarity: Familiarity, pixels: Pixels, rows: pd.DataFrame, seed: int) -> dict[str, float]:
    """The share of frames that are unfamiliar, of ``rows`` as they are and changed in each way of CHANGES.

    ``other_people`` are the frames as they are, for ``rows`` that nothing was fitted on. ``pixels`` and ``rows`` are as
    for FrameDataset.
    """
    shares = {}
    for name, change in CHANGES.items():
        changed = [change(np.asarray(pixels[row]), derive_seed(seed, row)) for row in rows.index]
        batches = (np.stack(changed[start : start + BATCH]) for start in range(0, len(changed), BATCH))
        with torch.inference_mode():
            flagged = [familiarity(torch.from_numpy(batch)) > 1 for batch in batches]
        shares[name] = float(torch.cat(flagged).double().mean())
    return shares


def grey(frame: Frame, seed: int = 0) -> Frame:
    """The frame without colour, with the weights of BT.601."""
    brightness = np.rint(frame @ np.array([0.299, 0.587, 0.114]))
    return np.asarray(brightness[..., None].repeat(3, axis=2), np.uint8)


def shuffled_tiles(frame: Frame, seed: int) -> Frame:
    """The frame's tiles, TILES along each side, in another order. What they do not cover stays."""
    height, width = (side // TILES for side in frame.shape[:2])
    whole = frame[: TILES * height, : TILES * width]
    tiles = whole.reshape(TILES, height, TILES, width, 3).swapaxes(1, 2).reshape(TILES**2, height, width, 3)
    mixed = np.random.default_rng(seed).permutation(tiles).reshape(TILES, TILES, height, width, 3)
    shuffled = frame.copy()
    shuffled[: TILES * height, : TILES * width] = mixed.swapaxes(1, 2).reshape(whole.shape)
    return shuffled


CHANGES: dict[str, Callable[[Frame, int], Frame]] = {
    "other_people": lambda frame, _: frame,
    "jpeg_50": lambda frame, seed: CORRUPTIONS["jpeg"].apply(frame, 50, seed),
    "half_size": lambda frame, seed: CORRUPTIONS["scaling"].apply(frame, 0.5, seed),
    "grey": grey,
    "upside_down": lambda frame, _: np.ascontiguousarray(frame[::-1]),
    "shuffled_tiles": shuffled_tiles,
}
