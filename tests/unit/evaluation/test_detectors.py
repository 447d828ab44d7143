"""Detectors side by side: numbers are those of ``evaluation`` and of scikit-learn, and what is missed is counted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from deepfake_detection.common.errors import UserError
from deepfake_detection.evaluation.bootstrap import METRICS
from deepfake_detection.evaluation.compare import holm
from deepfake_detection.evaluation.detectors import RANKED, Leaderboard, hints, leaderboard
from deepfake_detection.evaluation.metrics import evaluation
from deepfake_detection.evaluation.scores import read_detector, read_known
from deepfake_detection.network.sidecar import Calibration
from tests.support.checkpoints import sidecar
from tests.support.scores import MISSING, write_index

DRAWS = 100
SIDECAR = sidecar(
    categories={"real": ["Original"], "fake": ["Deepfakes", "FaceSwap"]},
    frame=Calibration(temperature=2.0, bias=-0.3, threshold=0.4),
    video=Calibration(temperature=0.5, bias=0.1, threshold=0.45),
    prior=0.45,
)

Board = Callable[..., Leaderboard]


@pytest.fixture
def index(tmp_path: Path) -> pd.DataFrame:
    return write_index(tmp_path)


@pytest.fixture
def board(index: pd.DataFrame, tmp_path: Path) -> Board:
    """The leaderboard of tables of scores."""

    def made(tables: dict[str, pd.DataFrame], **options: Any) -> Leaderboard:
        detectors = {}
        for name, table in tables.items():
            table.to_csv(tmp_path / f"{name}.csv", index=False)
            reading = SIDECAR if name == "ours" else None
            detectors[name] = read_detector(str(tmp_path / f"{name}.csv"), sidecar=reading)
        return leaderboard(detectors, read_known(tmp_path / "index.csv"), draws=DRAWS, **options)

    return made


@pytest.fixture
def other(index: pd.DataFrame) -> pd.DataFrame:
    """Logits of another detector, whose errors are others."""
    noise = np.random.default_rng(1).normal(0, 1.5, len(index))
    return pd.DataFrame({"path": index["path"], "score": index["logit"] + noise})


@pytest.mark.parametrize("as_chance", [False, True])
def test_the_scores_of_a_run_have_the_numbers_of_evaluate(index: pd.DataFrame, board: Board, as_chance: bool) -> None:
    ours = {"ours": index[["path", "logit"]].sample(frac=1, random_state=0)}
    test = index[index["split"] == "test"]
    expected = evaluation(test, SIDECAR, 42, DRAWS, ["other"], MISSING, as_chance)
    assert expected["datasets"]["other"]["missing_videos"] == 1
    levels = {"video": board(ours, as_chance=as_chance).found["datasets"]}
    if not as_chance:
        levels["frame"] = board(ours, level="frame").found["datasets"]
        # the headline, over the data set that is trained on
        for name, value in levels["frame"]["café"]["detectors"]["ours"].items():
            assert value == expected[name], name
    for level, found in levels.items():
        for dataset in ("café", "other"):
            whole = expected["datasets"][dataset]
            block = found[dataset]["detectors"]["ours"]
            assert set(METRICS) < set(block)
            assert block == {name: whole[level][name] for name in block}
            if as_chance:
                continue
            for category, of in found[dataset]["categories"].items():
                part = whole["categories"][category]
                assert {name: of["ours"][name] for name in METRICS} == {name: part[level][name] for name in METRICS}
                assert level == "video" or of["ours"]["intervals"] == part["intervals"]
    assert levels["video"]["café"]["coverage"]["ours"] == {"ok": 36, "missing": 1, "error": 0}
    assert levels["video"]["café"]["compared"] == (37 if as_chance else 36)


def test_detectors_are_compared_on_what_all_scored_and_each_video_is_accounted_for(
    index: pd.DataFrame, board: Board, other: pd.DataFrame
) -> None:
    names = index["dataset"] + "/" + index["category"] + "/" + index["video_id"]
    names += index["source_id"].where(index["source_id"] == "", "_" + index["source_id"])
    scores = index.assign(video=names, score=expit(-index["logit"])).groupby("video")["score"].mean().reset_index()
    videos = pd.concat([scores, pd.DataFrame({"video": ["café/Deepfakes/003/077"], "score": [0.5]})])
    faceless = videos["video"] == "café/Original/000"
    videos = videos.assign(score=videos["score"].mask(faceless), status=np.where(faceless, "no face", "ok"))
    videos = videos[videos["video"] != "café/FaceSwap/004_005"].rename(columns={"score": "real_score"})
    lost = other["path"].str.contains("café/Original/001|café/Original/002_f0")
    tables = {"ours": index[["path", "logit"]], "other": other[~lost], "videos": videos}
    found, coverage = board(tables)
    cafe = found["datasets"]["café"]
    assert cafe["coverage"] == {
        "ours": {"ok": 36, "missing": 1, "error": 0},
        "other": {"ok": 35, "missing": 2, "error": 0},
        "videos": {"ok": 35, "missing": 1, "error": 1},
    }
    assert (cafe["named"], cafe["compared"], cafe["fakes"]) == (37, 33, 23)
    assert len(coverage) == 3 * (37 + 31)
    rows = coverage[["detector", "video", "scored", "status", "reason"]].itertuples(index=False, name=None)
    said = {(detector, video): tuple(rest) for detector, video, *rest in rows}
    assert said["videos", "café/Original/000"] == (0, "error", "no face")
    assert said["videos", "café/FaceSwap/004/005"] == (0, "missing", "not in the file")
    assert said["other", "café/Original/001"] == (0, "missing", "not in the file")
    assert said["other", "café/Original/002"] == (2, "ok", "")
    unusable = "not in the file; no frame of it can be used"
    assert said["ours", "café/Deepfakes/003/077"] == (0, "missing", unusable)

    skipped = ["café/Original/000", "café/Original/001", "café/FaceSwap/004_005"]
    frames = index.assign(name=names, other=other["score"].mask(lost)).query("split == 'test' and dataset == 'café'")
    means = frames[~frames["name"].isin(skipped)].groupby("name")[["label", "logit", "other"]].mean()
    for name, column in (("ours", "logit"), ("other", "other")):
        assert cafe["detectors"][name]["auroc"] == pytest.approx(roc_auc_score(means["label"], means[column]))
    assert cafe["groups"] == cafe["detectors"]["ours"]["groups"] == 6
    assert [found["detectors"][name]["threshold"] for name in tables] == [0.45, 0.5, 0.5]
    aurocs = {name: [each["detectors"][name]["auroc"] for each in found["datasets"].values()] for name in tables}
    order = sorted(aurocs, key=lambda name: -np.mean(aurocs[name]))
    assert list(found["detectors"]) == order
    for metric in METRICS:
        pairs = [pair for each in found["datasets"].values() for pair in each["pairs"]]
        assert len(pairs) == 4
        rows_of = [pair["metrics"][metric] for pair in pairs]
        assert [row["p_holm"] for row in rows_of] == holm([row["p"] for row in rows_of])
        for pair, row in zip(pairs, rows_of, strict=True):
            if row["first"] is not None:
                assert row["difference"] == row["second"] - row["first"], (pair["second"], metric)

    # with a guess for what is missing, every video counts
    chance = board(tables, as_chance=True, datasets=["café"]).found["datasets"]
    assert list(chance) == ["café"]
    assert (chance["café"]["named"], chance["café"]["compared"]) == (37, 37)
    assert sum(chance["café"]["detectors"]["other"]["confusion_matrix"].values()) == 37


def test_an_order_is_ranked_however_large_its_numbers_are(
    index: pd.DataFrame, board: Board, other: pd.DataFrame
) -> None:
    large = other.assign(score=1e6 + 1000 * other["score"])
    found = board({"ours": index[["path", "logit"]], "large": large, "other": other}, level="frame").found
    assert found["detectors"]["large"]["taken"].endswith("taken as an order, neither probabilities nor logits")
    for each in found["datasets"].values():
        block, logits = each["detectors"]["large"], each["detectors"]["other"]
        for metric in METRICS:
            assert block[metric] == (pytest.approx(logits[metric]) if metric in RANKED else None)
            assert (metric in block["undefined"]) == (metric not in RANKED)
        pairs = {pair["second"]: pair["metrics"] for pair in each["pairs"]}
        assert pairs["large"]["auroc"]["p"] == pytest.approx(pairs["other"]["auroc"]["p"])
        assert pairs["large"]["accuracy"]["p"] is None is not pairs["other"]["accuracy"]["p"]
    with pytest.raises(UserError, match="large gives no probabilities, so a missing video cannot count as a guess"):
        board({"large": large}, as_chance=True)


def test_what_is_chosen_and_what_cannot_be(index: pd.DataFrame, board: Board, other: pd.DataFrame) -> None:
    tables = {"ours": index[["path", "logit"]], "other": other[other["path"].str.startswith("other/")]}
    found = board(tables).found
    assert (list(found["datasets"]), found["datasets_left_out"]) == (["other"], ["café"])
    swaps = board(tables, categories=["FaceSwap"]).found["datasets"]["other"]
    assert (swaps["compared"], swaps["fakes"], list(swaps["categories"])) == (20, 10, ["FaceSwap"])
    assert swaps["detectors"] == found["datasets"]["other"]["categories"]["FaceSwap"]
    assert board({"ours": tables["ours"]}, split="val").found["datasets"]["café"]["compared"] == 6
    videos = pd.DataFrame({"video": ["café/Original/000"], "score": [0.5]})
    for named, options, words in (
        (tables, {"split": "train"}, "the index has no train frames, only test, val: choose another --split"),
        (tables, {"split": "val"}, "other has no score of the val split: choose another --split"),
        (tables, {"datasets": ["café"]}, "no video of café has a score of each of ours, other: leave one out"),
        (tables, {"datasets": ["DFDC"]}, "there is no data set DFDC, only café, other"),
        (tables, {"categories": ["Face2Face"]}, "there is no manipulation Face2Face, only Deepfakes, FaceSwap"),
        (tables | {"videos": videos}, {}, "no data set has scores of all of ours, other, videos: leave one out"),
        ({"videos": videos}, {"level": "frame"}, "videos has scores of videos only: leave out --level frame"),
        (tables, {"level": "frame", "as_chance": True}, "only a missing video can count as chance"),
    ):
        with pytest.raises(UserError, match=words):
            board(named, **options)


def test_scores_that_may_be_upside_down_are_pointed_out_and_not_turned(
    index: pd.DataFrame, board: Board, other: pd.DataFrame
) -> None:
    found = board({"ours": index[["path", "logit"]], "other": other.assign(score=-other["score"])}).found
    said = hints(found)
    assert len(said) == 2
    assert said[0].startswith("other has an AUROC of 0.")
    assert said[0].endswith("turn it with --real-is-high other")
    turned = board({"ours": index[["path", "logit"]], "other": other.rename(columns={"score": "real_score"})}).found
    assert turned["datasets"]["café"]["detectors"]["other"]["auroc"] < 0.5
