"""Metrics against counts made by hand and against other ways to compute them."""

import json
import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import PREDICTION_COLUMNS
from deepfake_detection.evaluation.bootstrap import METRICS, frame_metrics
from deepfake_detection.evaluation.metrics import (
    class_report,
    evaluation,
    guesses,
    key_numbers,
    prediction_table,
    summary,
    video_table,
)
from deepfake_detection.network.sidecar import Calibration
from tests.support.checkpoints import sidecar
from tests.support.oracle import oracle

EXACT = 1e-9
LABELS = np.array([0, 0, 0, 1, 1, 1, 1, 0])
PROBABILITIES = np.array([0.1, 0.6, 0.2, 0.9, 0.4, 0.8, 0.5, 0.5])


def test_report_has_a_row_a_class() -> None:
    report = class_report(pd.DataFrame({"label": LABELS, "probability": PROBABILITIES}), 0.5)
    assert report["Deepfake"]["precision"] == pytest.approx(3 / 5)
    assert report["Original"]["recall"] == pytest.approx(2 / 4)
    assert report["Deepfake"]["support"] == 4


def test_metrics_by_hand() -> None:
    found = frame_metrics(LABELS, PROBABILITIES, 0.5)
    assert found["confusion_matrix"] == {"tn": 2, "fp": 2, "fn": 1, "tp": 3}
    assert (found["accuracy"], found["precision"], found["recall"]) == pytest.approx((5 / 8, 3 / 5, 3 / 4), abs=1e-12)
    wins = [(f > r) + 0.5 * (f == r) for f in (0.9, 0.4, 0.8, 0.5) for r in (0.1, 0.6, 0.2, 0.5)]
    assert found["auroc"] == pytest.approx(sum(wins) / 16, abs=1e-12)
    strict = frame_metrics(LABELS, PROBABILITIES, 0.85)
    assert strict["confusion_matrix"] == {"tn": 4, "fp": 0, "fn": 3, "tp": 1}
    assert strict["auroc"] == found["auroc"]


@pytest.mark.parametrize("decimals", [2, 12])
@pytest.mark.parametrize("strength", [0.3, 3.0])
def test_every_metric_is_scikit_learn_s(decimals: int, strength: float) -> None:
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 2, 600)
    logits = rng.normal(strength * (labels - 0.5), 1)
    probabilities = np.clip(expit(logits).round(decimals), 0.005, 0.995)  # two decimals make many ties
    found, other = frame_metrics(labels, probabilities, 0.4), oracle(labels, probabilities, 0.4)
    assert set(found) == {*other, "confusion_matrix", "undefined"}
    assert set(other) == set(METRICS)
    assert {name: found[name] for name in METRICS} == pytest.approx(other, abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "probabilities", "undefined"),
    [
        ([0, 0, 0], [0.1, 0.5, 0.9], 7),
        ([1, 1, 1], [0.1, 0.5, 0.9], 7),
        ([1], [0.3], 7),
        ([], [], 14),
        ([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5], 0),
        ([0, 1, 0, 1], [0.0, 0.0, 0.0, 0.0], 0),
        ([0, 1, 0, 1], [1.0, 1.0, 1.0, 1.0], 0),
        ([0, 1], [1.0, 0.0], 0),
        ([0, 1], [0.0, 1.0], 0),
    ],
)
def test_degenerate_samples_have_a_value_or_a_reason(
    labels: list[int], probabilities: list[float], undefined: int
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = frame_metrics(np.array(labels, int), np.array(probabilities, float), 0.5)
    json.dumps(found, allow_nan=False)
    missing = {name for name in METRICS if found[name] is None}
    assert missing == set(found["undefined"])
    assert len(missing) == undefined
    assert all(found["undefined"].values())


def _table() -> pd.DataFrame:
    """12 identities in pairs (6 groups): originals, Deepfakes, and FaceSwap, which was not trained on."""
    rng = np.random.default_rng(3)
    rows = []
    for person in range(12):
        own, other = f"{person:03}", f"{person ^ 1:03}"
        for category, source in (("Original", ""), ("Deepfakes", other), ("FaceSwap", other)):
            mean = {"Original": -1.0, "Deepfakes": 1.5, "FaceSwap": 0.2}[category] + rng.normal()
            for logit in rng.normal(mean, 0.5, 5):
                rows.append((category, own, source, int(category != "Original"), person // 2, logit))
    return pd.DataFrame(rows, columns=["category", "video_id", "source_id", "label", "group", "logit"]).assign(
        dataset="d"
    )


def test_a_video_has_the_mean_logit_of_its_frames() -> None:
    table = _table()
    videos = video_table(table.sample(frac=1, random_state=0))
    assert len(videos) == 36
    one = videos[(videos["category"] == "Deepfakes") & (videos["video_id"] == "004")].iloc[0]
    rows = table[(table["category"] == "Deepfakes") & (table["video_id"] == "004")]
    assert one["logit"] == pytest.approx(rows["logit"].mean(), abs=EXACT)
    assert (one["source_id"], one["label"], one["group"]) == ("005", 1, 2)
    assert len(video_table(table.replace({"source_id": {"": np.nan}}))) == 36


FRAME = Calibration(temperature=2.0, bias=-0.3, threshold=0.4)
VIDEO = Calibration(temperature=0.5, bias=0.1, threshold=0.45)
SIDECAR = sidecar(frame=FRAME, video=VIDEO, threshold_rule="youden", prior=0.3)


def test_evaluation_has_every_part_from_the_right_rows() -> None:
    table = _table()
    found = evaluation(table, SIDECAR, seed=1, draws=200)
    json.dumps(found, allow_nan=False)
    seen = table[table["category"] != "FaceSwap"]
    labels, logits = seen["label"].to_numpy(), seen["logit"].to_numpy()

    def expect(
        part: dict[str, Any], labels: NDArray[np.int64], probabilities: NDArray[np.float64], threshold: float = 0.4
    ) -> None:
        other = oracle(labels, probabilities, threshold)
        assert {name: part[name] for name in METRICS} == pytest.approx(other, abs=EXACT)

    def calibrated(logits: pd.Series, of: Calibration = FRAME) -> NDArray[np.float64]:
        return 1 / (1 + np.exp(-(logits.to_numpy() / of.temperature + of.bias)))

    expect(found, labels, calibrated(seen["logit"]))
    raw = oracle(labels, 1 / (1 + np.exp(-logits)), 0.5)
    assert found["raw"] == pytest.approx({name: raw[name] for name in ("log_loss", "brier", "ece")}, abs=EXACT)
    means = seen.groupby(["category", "video_id"])[["label", "logit"]].mean()
    expect(found["video"], means["label"].to_numpy(int), calibrated(means["logit"], VIDEO), 0.45)
    assert (found["threshold"], found["threshold_rule"], found["temperature"]) == (0.4, "youden", 2.0)
    assert (found["bias"], found["prior"]) == (-0.3, 0.3)
    assert [found["video"][name] for name in ("threshold", "temperature", "bias")] == [0.45, 0.5, 0.1]

    assert {name: part["seen"] for name, part in found["categories"].items()} == {"Deepfakes": True, "FaceSwap": False}
    swap = found["categories"]["FaceSwap"]
    rows = table[table["category"] != "Deepfakes"]
    expect(swap["frame"], rows["label"].to_numpy(), calibrated(rows["logit"]))
    assert (swap["frames"], swap["videos"]) == (60, 12)
    assert sum(swap["video"]["confusion_matrix"].values()) == 24
    for part in (found, found["video"], swap):
        assert set(part["intervals"]) == set(METRICS)
        assert part["groups"] == 6
    low, high = found["intervals"]["auroc"]
    assert low < found["auroc"] < high
    assert found == evaluation(table, SIDECAR, seed=1, draws=200)
    assert found["intervals"] != evaluation(table, SIDECAR, seed=2, draws=200)["intervals"]


def test_summary_of_the_categories() -> None:
    found = evaluation(_table(), SIDECAR, seed=1, draws=10)
    seen, unseen = (found["categories"][name]["frame"]["auroc"] for name in ("Deepfakes", "FaceSwap"))
    assert [found[name] for name in ("macro_auroc_seen", "macro_auroc_unseen")] == [seen, unseen]
    assert found["worst_category_auroc"] == min(seen, unseen) == unseen
    blocks = {
        name: {"seen": name == "A", "frame": {"auroc": auroc}}
        for name, auroc in {"A": 0.9, "B": 0.6, "C": 0.4, "D": None}.items()
    }
    assert summary(blocks) == {"macro_auroc_seen": 0.9, "macro_auroc_unseen": 0.5, "worst_category_auroc": 0.4}
    assert set(summary({}).values()) == {None}


@pytest.mark.parametrize("keep", ["Original", "Deepfakes", "one video", "one frame", "nothing"])
def test_evaluation_of_little_has_reasons_but_no_nan(keep: str) -> None:
    table = _table()
    counts = {"one video": 5, "one frame": 1, "nothing": 0}
    rows = table.iloc[: counts[keep]] if keep in counts else table[table["category"] == keep]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluation(rows, sidecar(), seed=1, draws=50)
    json.dumps(found, allow_nan=False)
    assert found["auroc"] is None
    assert "auroc" in found["undefined"]
    assert found["intervals"]["auroc"] is None


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_that_are_no_numbers_are_refused(bad: float) -> None:
    table = _table()
    table.loc[3, "logit"] = bad
    with pytest.raises(UserError, match="1 of 180 frames"):
        evaluation(table, sidecar(), seed=1, draws=10)


def _scored(table: pd.DataFrame, unfamiliarity: NDArray[np.float64] | float) -> pd.DataFrame:
    """The prediction table of a ``_table`` whose frames are scored in another order, with a further frame."""
    rows = table.drop(columns="logit").assign(path=[f"{number}.png" for number in range(len(table))], split="test")
    scores = pd.DataFrame({"path": rows["path"], "logit": table["logit"], "unfamiliarity": unfamiliarity})
    scores = pd.concat([scores, scores.iloc[:1].assign(path="other.png")])
    return prediction_table(rows, scores.sample(frac=1, random_state=0), FRAME)


def test_prediction_table_is_what_evaluation_reads() -> None:
    table = _table()
    found, logits = _scored(table, 0.0), table["logit"].to_numpy()
    assert list(found) == [*PREDICTION_COLUMNS, "unfamiliarity"]
    assert found["raw_probability"].to_numpy() == pytest.approx(1 / (1 + np.exp(-logits)), abs=EXACT)
    assert found["probability"].to_numpy() == pytest.approx(1 / (1 + np.exp(-(logits / 2 - 0.3))), abs=EXACT)
    assert evaluation(found, SIDECAR, 1, 10) == evaluation(table, SIDECAR, 1, 10)
    rows = found.drop(columns=["logit", "raw_probability", "probability", "unfamiliarity"])
    with pytest.raises(UserError, match="180 frames to measure, 179 with a score"):
        prediction_table(rows, found[["path", "logit", "unfamiliarity"]].iloc[1:], FRAME)


def test_key_numbers_are_few_and_say_where_the_network_guesses() -> None:
    table = _table()
    elsewhere = table.assign(dataset="other", logit=-table["logit"])
    found = evaluation(pd.concat([table, elsewhere]), SIDECAR, 1, 100, ["other"])
    numbers = key_numbers(found)
    assert (numbers["auroc"], numbers["threshold"]) == (found["auroc"], 0.4)
    assert numbers["video"] == {name: found["video"][name] for name in ("auroc", "accuracy")}
    assert len(numbers) + len(numbers["video"]) < 30
    (said,) = guesses(found)
    assert said.startswith("No better than guessing on other: the AUROC is 0.")
    assert guesses(evaluation(elsewhere, SIDECAR, 1, 100))[0].startswith("No better than guessing on the test frames")


def test_unfamiliar_frames_and_videos_count_only_in_the_metrics_of_all() -> None:
    table = _table()
    found = _scored(table, np.random.default_rng(0).uniform(0, 2, len(table)))
    result, plain = evaluation(found, SIDECAR, 1, 10), evaluation(table, SIDECAR, 1, 10)
    assert (plain["coverage"], plain["video"]["coverage"]) == (1, 1)
    assert plain["answered"]["auroc"] == plain["auroc"] == result["auroc"]
    headline = found[(found["label"] == 0) | found["category"].isin(SIDECAR.categories.fake)]
    judged = headline[headline["unfamiliarity"] <= 1]
    assert 0.3 < len(judged) / len(headline) == result["coverage"] < 0.7
    alone = frame_metrics(judged["label"].to_numpy(), judged["probability"].to_numpy(), FRAME.threshold)
    assert result["answered"] == {name: alone[name] for name in result["answered"]}
    assert result["answered"]["accuracy"] != result["accuracy"]
    videos = video_table(headline)
    medians = headline.groupby(["category", "video_id", "source_id"], dropna=False)["unfamiliarity"].median()
    assert result["video"]["coverage"] == (medians <= 1).mean() == (videos["unfamiliarity"] <= 1).mean()
    json.dumps(result, allow_nan=False)


def test_people_are_drawn_and_a_missing_video_counts_with_its_person_and_accuses_nobody() -> None:
    table = _table()
    names = table["video_id"].map(lambda own: f"id{int(own) // 2}_{int(own) % 2:04}")
    celeb = table.assign(dataset="celeb", video_id=names, group="celeb/" + names)  # 12 recordings of 6 people
    even = sidecar(prior=0.5, video=Calibration(temperature=0.7, bias=0.1, threshold=0.5))
    found = evaluation(celeb, even, 1, 100, ["celeb"])["datasets"]["celeb"]
    assert found["frame"]["groups"] == found["video"]["groups"] == found["categories"]["FaceSwap"]["groups"] == 6
    people = evaluation(celeb.assign(group=names.str[:3]), even, 1, 100, ["celeb"])["datasets"]["celeb"]
    assert found["frame"]["intervals"] == people["frame"]["intervals"]

    lost = [
        ("celeb", "Original", 0, "id0_0007", ""),
        ("celeb", "Deepfakes", 1, "id1_0000", "id5"),
        ("celeb", "Original", 0, "00012", ""),
    ]
    missing = pd.DataFrame(lost, columns=["dataset", "category", "label", "video_id", "source_id"])
    chance = evaluation(celeb, even, 1, 100, ["celeb"], missing, True)["datasets"]["celeb"]
    assert (chance["video"]["groups"], chance["frame"]["groups"]) == (7, 6)  # 00012 is of nobody who is known
    more = {
        name: chance["video"]["confusion_matrix"][name] - count
        for name, count in people["video"]["confusion_matrix"].items()
    }
    assert more == {"tn": 2, "fp": 0, "fn": 1, "tp": 0}
