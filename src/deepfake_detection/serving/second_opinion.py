"""What a second network says of a file, and what both scores together are worth.

Two networks make the same mistakes, so their ratios are never multiplied. Logistic regression on validation frames that
both have scored finds what each adds to the other (Brümmer and du Preez 2006). Without such frames nothing is fused.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from deepfake_detection.common.errors import UserError
from deepfake_detection.evaluation.calibration import fit_platt
from deepfake_detection.evaluation.fit_evidence import fit_evidence
from deepfake_detection.evaluation.likelihood_ratios import group_weights
from deepfake_detection.network.sidecar import Calibration, Sidecar
from deepfake_detection.serving.likelihood import LikelihoodRatio, likelihood_ratio, short_words
from deepfake_detection.serving.results import JUDGED, Prediction, VideoPrediction, looks_fake
from deepfake_detection.serving.words import rounded_percent

if TYPE_CHECKING:
    from deepfake_detection.serving.detector import Detector

EVEN = 0.5  # the prior that the fusion is fitted for; a ratio has none
COLUMNS = ["dataset", "path", "group", "label", "split", "logit", "probability"]


class Fusion(NamedTuple):
    """How to read the scores of two networks together: the logit ``weights`` @ (first, second), and what reads it."""

    weights: NDArray[np.float64]
    reading: Calibration

    def ratio(self, first: float, second: float, looks: int = 1) -> LikelihoodRatio | None:
        return likelihood_ratio(float(self.weights @ (first, second)), self.reading, EVEN, looks)


def fit_fusion(first: pd.DataFrame, second: pd.DataFrame) -> Fusion | None:
    """The fusion by the frames that are validation frames of both tables, each with COLUMNS; None with too few."""
    both = first.merge(second[["dataset", "path", "split", "logit"]], on=["dataset", "path"], suffixes=("", "_second"))
    both = both[(both["split"] == "val") & (both["split_second"] == "val")]
    labels, units = both["label"].to_numpy(), both["dataset"] + "/" + both["group"].astype(str)
    if len(np.unique(labels)) < 2:
        return None
    logits, weights = both[["logit", "logit_second"]].to_numpy(float), group_weights(labels, units)
    weights /= np.array([weights[labels == label].sum() for label in (0, 1)])[labels] / len(labels)
    slopes: NDArray[np.float64] = LogisticRegression().fit(logits, labels, weights).coef_[0]
    temperature, bias = fit_platt(logits @ slopes, labels, EVEN)
    evidence = fit_evidence(logits @ slopes, labels, units, EVEN)
    if evidence is None:
        return None
    return Fusion(slopes, Calibration(temperature=temperature, bias=bias, evidence=evidence))


def read_scored(path: Path, sidecar: Sidecar) -> pd.DataFrame:
    """The frames in a data/predictions.csv of the pipeline, with COLUMNS.

    Raises UserError if it is none, or if its probabilities are not those that ``sidecar`` reads from its logits.
    """
    try:
        rows = pd.read_csv(path, usecols=COLUMNS, dtype={"group": str})
        same = np.allclose(sidecar.frame.probability(rows["logit"].to_numpy(float)), rows["probability"], atol=1e-4)
    except (ValueError, OSError) as error:
        raise UserError(
            f"--scores {path}: no predictions.csv of the pipeline ({' '.join(str(error).split())})"
        ) from None
    if not same:
        raise UserError(f"--scores {path}: not of this checkpoint, whose calibration gives other probabilities")
    return rows


@dataclass(frozen=True)
class SecondOpinion:
    """The network that is asked second, and the ``fusion`` of both; None if there are no frames to fit it by.

    ``first`` is the name of the first network, and ``sha256`` is of the second one's file.
    """

    detector: "Detector"
    first: str
    sha256: str
    fusion: Fusion | None

    def said(self, found: Prediction, other: Prediction) -> dict[str, Any]:
        """What JSON and CSV have besides the first network's prediction, ``found``."""
        ratio = self._ratio(found, other)
        return {
            "second_model": self.detector.name,
            "second_verdict": other.verdict,
            "second_probability": other.probability,
            "second_log10_lr": other.evidence.log10_lr if other.evidence else None,
            "together_log10_lr": ratio.log10_lr if ratio else None,
            "together": f"{self._agreement(found, other)}; {short_words(ratio) if ratio else self._why_not(found)}",
        }

    def sentence(self, found: Prediction, path: Path, frames: int | None) -> str:
        """What a case file says of the second network, which judges the file here."""
        other = self.detector.predict(path, frames=frames)
        about, name = self.said(found, other), f"A second network, {self.detector.name} (SHA-256 {self.sha256})"
        score = f", {rounded_percent(other.probability)}" if other.probability is not None else ""
        return f"{name}: {other.verdict}{score}. Both together: {about['together']}."

    def _agreement(self, found: Prediction, other: Prediction) -> str:
        first, second = self.first, self.detector.name
        if first == second:  # the pipeline gives all checkpoints of an architecture one name
            first, second = "the first", "the second"
        if found.verdict not in JUDGED or other.verdict not in JUDGED:
            return f"{second} says {other.verdict}"
        if looks_fake(found.verdict) == looks_fake(other.verdict):
            return f"{second} agrees: {other.verdict}"
        return f"the networks disagree: {first} says {found.verdict}, {second} says {other.verdict}"

    def _ratio(self, found: Prediction, other: Prediction) -> LikelihoodRatio | None:
        if self.fusion is None or isinstance(found, VideoPrediction) or not (found.evidence and other.evidence):
            return None
        if found.logit is None or other.logit is None:
            return None
        return self.fusion.ratio(found.logit, other.logit, max(len(found.faces), len(other.faces)))

    def _why_not(self, found: Prediction) -> str:
        if isinstance(found, VideoPrediction):
            return "not fused: that is for pictures"
        return "not fused: no validation frames that both scored" if self.fusion is None else "not fused"
