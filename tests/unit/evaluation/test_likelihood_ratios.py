"""What likelihood ratios cost: against closed forms, scikit-learn and counting by hand."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import binomtest, norm
from sklearn.metrics import log_loss

from deepfake_detection.evaluation.conditions import file_conditions, measured_conditions
from deepfake_detection.evaluation.evidence_tables import measured_evidence
from deepfake_detection.evaluation.likelihood_ratios import (
    best_ratios,
    cross_entropy,
    group_weights,
    judged_by,
    measured_ratios,
)
from deepfake_detection.inference.evidence import ratio_of
from deepfake_detection.network.sidecar import Calibration, Evidence, VideoScore
from tests.support.checkpoints import sidecar

EVIDENCE = Evidence(lower=-0.8, upper=0.9, spread=[0.0, 0.0, 0.0], originals=9, fakes=9, cllr=0.5, cllr_min=0.4)
CALIBRATION = Calibration(temperature=2.0, bias=-0.3, threshold=0.6, evidence=EVIDENCE)
NO_BOXES = pd.DataFrame(columns=["path", "left", "top", "right", "bottom"])


def test_cllr_of_normal_scores_is_the_integral() -> None:
    apart, quantiles = 2.0, norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    labels = np.repeat([0, 1], len(quantiles))
    log10 = apart * (np.tile(quantiles, 2) + apart * (labels - 0.5)) / np.log(10)  # the true ratios
    cost = quad(lambda at: norm.pdf(at, apart / 2) * np.logaddexp(0, -apart * at) / np.log(2), -9, 11)[0]
    assert cross_entropy(log10, labels, np.ones(len(labels))) == pytest.approx(cost, abs=1e-4)
    # no calibration of these scores is better
    assert cross_entropy(
        best_ratios(log10, labels, np.ones(len(labels))), labels, np.ones(len(labels))
    ) == pytest.approx(cost, abs=3e-3)


def test_cross_entropy_is_the_log_loss_of_who_has_a_prior() -> None:
    labels, log10 = np.array([0, 0, 0, 1, 1]), np.array([-1.0, 0.3, 0.0, 0.7, -0.2])
    for prior in (-1.5, 0.0, 0.5):
        posterior = 1 / (1 + 10 ** -(log10 + prior))
        share = 1 / (1 + 10**-prior)
        weights = np.where(labels == 1, share / 2, (1 - share) / 3)
        expected = log_loss(labels, posterior, sample_weight=weights) / np.log(2)
        assert cross_entropy(log10, labels, np.ones(5), prior) == pytest.approx(expected)
    assert cross_entropy(np.zeros(5), labels, np.ones(5)) == 1
    assert cross_entropy(np.full(5, 3.0), labels, np.ones(5)) > 1


def test_best_ratios_pool_what_is_in_the_wrong_order() -> None:
    labels, scores = np.array([0, 1, 0, 1]), np.array([1.0, 2.0, 3.0, 4.0])
    assert best_ratios(scores, labels, np.ones(4)).tolist() == [-np.inf, 0, 0, np.inf]
    assert cross_entropy(best_ratios(scores, labels, np.ones(4)), labels, np.ones(4)) == pytest.approx(0.5)


def test_a_group_counts_once_however_many_frames_it_has() -> None:
    rows = pd.DataFrame({"unit": ["a"] * 8 + ["b", "c"] * 2, "label": [0] * 8 + [0, 0, 1, 1]})
    rows["logit"] = [9.0] * 4 + [-9.0] * 4 + [-9, 9, 9, -9]
    found = measured_ratios(judged_by(rows, CALIBRATION, 0.5))
    upper = binomtest(1, 2).proportion_ci(0.9).high  # an interval of 90% has 5% on either side
    assert group_weights(rows["label"], rows["unit"]).tolist() == [1 / 8] * 8 + [1] * 4
    assert found["false_alarms"]["rate"] == pytest.approx((0.5 + 0 + 1) / 3)
    assert found["misleading_fakes"] == pytest.approx({"rate": 0.5, "upper": upper})
    assert found["originals"] == {"count": 10, "groups": 3}
    assert found["calibration_loss"] == pytest.approx(found["cllr"] - found["cllr_min"])
    alone = measured_ratios(judged_by(rows[rows["label"] == 0], CALIBRATION, 0.5))
    assert alone["cllr"] is None
    assert alone["misleading_fakes"] == {"rate": None, "upper": None}
    assert alone["false_alarms"] == found["false_alarms"]
    silent = measured_ratios(judged_by(rows, Calibration(threshold=0.6), 0.5))
    assert silent["cllr"] is silent["misleading_originals"]["rate"] is None
    assert silent["false_alarms"] == found["false_alarms"]


def test_ratios_of_a_table_are_those_that_are_said_of_a_file() -> None:
    rows = pd.DataFrame({"logit": [-9.0, -0.5, 0.4, 9.0], "label": 0, "unit": "a"})
    said = [ratio_of(logit, CALIBRATION, 0.3) for logit in rows["logit"]]
    assert judged_by(rows, CALIBRATION, 0.3)["log10"].tolist() == [ratio.log10 for ratio in said if ratio]


def frames() -> pd.DataFrame:
    """Three groups of ours with originals, a manipulation trained on and one not; and one group of elsewhere."""
    categories = {"Original": -4.0, "Deepfakes": 4.0, "FaceSwap": -3.0}
    rows = [
        ("own", category, f"{who}", who, int(category != "Original"), logit + 0.1 * who + 0.01 * frame)
        for who in range(3)
        for category, logit in categories.items()
        for frame in range(4)
    ] + [("elsewhere", "Original", "9", 9, 0, 5.0), ("elsewhere", "SimSwap", "9", 9, 1, 5.0)]
    table = pd.DataFrame(rows, columns=["dataset", "category", "video_id", "group", "label", "logit"])
    table["path"] = [f"{row}.png" for row in range(len(table))]
    return table.assign(source_id="", group="g" + table["group"].astype(str), width=640, height=360)


def rows_of(table: pd.DataFrame) -> pd.DataFrame:
    return judged_by(table[table["dataset"] == "own"].assign(unit=table["group"]), CALIBRATION, 0.5)


def test_evidence_is_by_frame_and_video_of_what_was_trained_on_and_what_was_not() -> None:
    score = VideoScore(window=Calibration(), reading=CALIBRATION)
    described = sidecar(frame=CALIBRATION.model_dump(), score=score.model_dump())
    found = measured_evidence(frames(), described, ["elsewhere"], NO_BOXES)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    frame, video = found["frame"], found["video"]
    assert frame["seen"]["cllr"] < 0.5 < 1 < frame["unseen"]["cllr"]
    assert [frame["seen"]["fakes"]["count"], video["seen"]["fakes"]["count"]] == [12, 3]
    assert frame["manipulations"] == {"Deepfakes": frame["seen"], "FaceSwap": frame["unseen"]}
    assert frame["datasets"]["own"] == frame["seen"]
    assert frame["datasets"]["elsewhere"]["false_alarms"]["rate"] == 1
    first, *_, last = frame["tippett"]
    assert list(first.values()) == [-0.8, 1, 1, 1]
    assert last["log10"] == rows_of(frames())["log10"].max()
    assert list(last.values())[1:] == pytest.approx([0, 1 / 12, 0])  # one of the frames has the greatest ratio
    middle = next(point for point in video["cross_entropy"] if point["prior"] == 0)
    assert middle["neutral"] == 1
    assert middle["seen"] == pytest.approx(video["seen"]["cllr"])
    assert middle["unseen_min"] == pytest.approx(video["unseen"]["cllr_min"])


def test_without_evidence_or_another_manipulation_there_are_no_ratios_and_still_false_alarms() -> None:
    table = frames().query("category != 'FaceSwap' and dataset == 'own'")
    silent = measured_evidence(table, sidecar(), [], NO_BOXES)["frame"]
    assert silent["tippett"] == silent["cross_entropy"] == []
    assert silent["seen"]["false_alarms"]["rate"] == 0
    known = measured_evidence(table, sidecar(frame=CALIBRATION.model_dump()), [], NO_BOXES)["frame"]
    assert known["unseen"]["cllr"] is None
    assert {point["unseen"] for point in known["tippett"]} == {None}


def test_conditions_are_bands_of_what_is_known() -> None:
    rows = rows_of(frames().query("category != 'FaceSwap'"))
    boxes = pd.DataFrame({"path": rows["path"].iloc[:16], "left": 10.0, "top": 5.0, "right": 50.0, "bottom": 65.0})
    size, resolution = file_conditions(rows, boxes)
    assert [size[key] for key in ("name", "low", "high", "frames", "groups")] == ["face_size", 60, 100, 16, 2]
    assert [resolution[key] for key in ("low", "high", "frames", "auroc")] == [360, 720, 24, 1]
    assert resolution["false_alarms"] == 0
    assert resolution["upper"] == pytest.approx(1 - 0.05 ** (1 / 3))
    originals = rows[rows["label"] == 0]
    (last,) = measured_conditions(originals, "brightness", pd.Series(200.0, index=originals.index))
    assert (last["high"], last["auroc"], last["cllr"]) == (None, None, None)
