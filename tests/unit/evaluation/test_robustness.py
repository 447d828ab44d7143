"""The robustness table of a tiny model, and its summary by hand."""

import json
from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from torch import Tensor, nn

from deepfake_detection.common.errors import UserError
from deepfake_detection.evaluation.bootstrap import group_draws, t_quantile
from deepfake_detection.evaluation.corruptions import CORRUPTIONS
from deepfake_detection.evaluation.robustness import (
    CHANGES,
    CorruptedFrames,
    Robustness,
    evaluate_robustness,
    flagged_shares,
)
from deepfake_detection.frames.dataset import FrameDataset, derive_seed
from deepfake_detection.inference.familiarity import SIDE, Familiarity, frame_statistics
from deepfake_detection.inference.logits import predict_logits
from deepfake_detection.network.model import Network
from deepfake_detection.network.normalise import STD
from deepfake_detection.network.sidecar import Calibration
from deepfake_detection.sources.drawn.drawing import film

SUMMARY = ("clean_auroc", "mean_auroc", "mean_auroc_drop")
Frames = tuple[NDArray[np.uint8], pd.DataFrame]


class Sharpness(nn.Module):
    """A detector by hand: neighbouring columns of an original differ more."""

    def __init__(self) -> None:
        super().__init__()
        self.gain, self.dropout = nn.Parameter(torch.tensor(40.0)), nn.Dropout(0.9)

    def forward(self, frames: Tensor) -> Tensor:
        logits: Tensor = self.dropout(self.gain * (0.25 - frames.diff(dim=3).abs().mean((1, 2, 3))))
        return logits[:, None]


def detector() -> Network:
    return Network(Sharpness())


@pytest.fixture(scope="module")
def frames() -> Frames:
    """Twelve drawn faces of 40 px, every second one smoothed; the first two are not test frames."""
    faces = np.stack([np.round(film(who, 0, 40, 42).filmed * 255).astype(np.uint8) for who in range(12)])
    for row in range(1, 12, 2):
        faces[row] = CORRUPTIONS["gaussian_blur"].apply(faces[row], 0.4 + 0.1 * row, 0)
    rows = pd.DataFrame({"path": [f"{row}.png" for row in range(12)], "label": [0, 1] * 6, "group": np.arange(12) // 2})
    rows = rows.assign(dataset="embedded", category="", video_id="", source_id="", split="test")
    return faces, rows.iloc[2:]


@pytest.fixture(scope="module")
def result(frames: Frames) -> Robustness:
    return evaluate_robustness(
        detector(), *frames, batch_size=4, calibration=Calibration(temperature=2.0, threshold=0.4), seed=5
    )


def steps(result: Robustness, corruption: str) -> list[dict[Hashable, Any]]:
    return result.robustness.query("corruption == @corruption").to_dict("records")


def test_every_corruption_is_there_at_five_severities(result: Robustness) -> None:
    summary, table = result.summary, result.robustness
    assert list(summary) == [*SUMMARY, "clean_coverage", "clean_answered_accuracy"]
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert [*table] == [
        *["corruption", "severity", "unit", "setting"],
        *["auroc", "accuracy", "log_loss", "coverage", "answered_accuracy"],
    ]
    assert list(table.groupby("corruption", sort=False).groups) == list(CORRUPTIONS)
    for name, steps in table.groupby("corruption"):
        assert steps["severity"].tolist() == [1, 2, 3, 4, 5]
        assert tuple(steps["setting"]) == CORRUPTIONS[str(name)].settings
        assert set(steps["unit"]) == {CORRUPTIONS[str(name)].unit}
    assert result.intervals["name"].tolist() == list(SUMMARY)
    assert result.intervals["value"].tolist() == [summary[name] for name in SUMMARY]
    assert result.intervals[["frames", "groups"]].to_numpy().tolist() == [[10, 5]] * 3


def test_numbers_are_those_of_frames_corrupted_by_hand(frames: Frames, result: Robustness) -> None:
    pixels, rows = frames
    aurocs = []
    for name, corruption in CORRUPTIONS.items():
        for setting, entry in zip(corruption.settings, steps(result, name), strict=True):
            corrupted = pixels.copy()
            for row in rows.index:
                corrupted[row] = corruption.apply(pixels[row], setting, derive_seed(5, row))
            logits = by_hand(corrupted[rows.index])
            probabilities = expit(logits / 2)
            aurocs.append(roc_auc_score(rows["label"], logits))
            assert entry["auroc"] == pytest.approx(aurocs[-1], abs=1e-9)
            assert entry["accuracy"] == pytest.approx(accuracy_score(rows["label"], probabilities >= 0.4), abs=1e-9)
            assert entry["log_loss"] == pytest.approx(log_loss(rows["label"], probabilities), abs=1e-5)
    assert len(set(aurocs)) > 3, "the detector notices nothing"
    clean = roc_auc_score(rows["label"], by_hand(pixels[rows.index]))
    assert result.summary["clean_auroc"] == pytest.approx(clean, abs=1e-9)
    assert result.summary["mean_auroc"] == pytest.approx(sum(aurocs) / 40, abs=1e-9)
    assert result.summary["mean_auroc_drop"] == pytest.approx(clean - sum(aurocs) / 40, abs=1e-9)
    assert result.summary["mean_auroc_drop"] > 0.05


def test_conditions_are_those_of_the_corruptions_that_change_them(frames: Frames, result: Robustness) -> None:
    jpeg, light = (result.conditions.query("name == @name") for name in ("jpeg_quality", "brightness"))
    assert jpeg["frames"].tolist() == [20, 20, 10]  # qualities 10 and 20, 30 and 50, 75
    assert light["frames"].sum() == 60  # clean, and five settings
    assert light["low"].iloc[0] <= min(frames[0][row].mean() for row in frames[1].index)
    assert result.conditions["cllr"].isna().all()  # no evidence in the calibration
    logits = np.concatenate([by_hand(jpegs(frames, quality)) for quality in (20, 10)])
    labels = np.tile(frames[1]["label"].to_numpy(), 2)
    assert jpeg["auroc"].iloc[0] == pytest.approx(roc_auc_score(labels, logits))
    assert jpeg["false_alarms"].iloc[0] == pytest.approx((expit(logits / 2) >= 0.4)[labels == 0].mean())


def jpegs(frames: Frames, quality: float) -> NDArray[np.uint8]:
    pixels, rows = frames
    return np.stack([CORRUPTIONS["jpeg"].apply(pixels[row], quality, 0) for row in rows.index])


def test_intervals_are_of_whole_groups_drawn_alike_for_all_corruptions(frames: Frames) -> None:
    def found(rows: pd.DataFrame) -> dict[Hashable, Any]:
        result = evaluate_robustness(detector(), frames[0], rows, 4, Calibration(), seed=5, draws=12)
        return result.intervals.set_index("name")[["low", "high"]].astype(float).T.to_dict("list")

    rows = frames[1]
    intervals = found(rows)
    # by hand, with frames repeated as often as their group is drawn
    members = [rows.index[rows["group"] == group] for group in rows["group"].unique()]
    passes = [frames[0]]
    for corruption in CORRUPTIONS.values():
        for setting in corruption.settings:
            corrupted = [corruption.apply(frame, setting, derive_seed(5, row)) for row, frame in enumerate(frames[0])]
            passes.append(np.stack(corrupted))
    logits = np.stack([by_hand(pixels) for pixels in passes])
    drops = []
    for counts in group_draws(len(members), 5, 12):
        drawn = np.concatenate([np.repeat(member, count) for member, count in zip(members, counts, strict=True)])
        clean, *others = (roc_auc_score(rows["label"][drawn], scores[drawn]) for scores in logits)
        drops.append(clean - np.mean(others))
    half = t_quantile(5) * np.std(drops) * np.sqrt(5 / 4)
    low, high = intervals["mean_auroc_drop"]
    assert (high - low) / 2 == pytest.approx(half, rel=1e-6)
    assert 0 <= intervals["mean_auroc"][0] < intervals["mean_auroc"][1] < intervals["clean_auroc"][1] <= 1
    assert np.isnan(list(found(rows.assign(group=0)).values())).all()


def by_hand(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Sharpness's logits, in numpy; normalisation divides each channel by its deviation."""
    change = np.abs(np.diff(pixels / 255 / np.array(STD), axis=2))
    return np.asarray(40 * (0.25 - change.mean((1, 2, 3))))


def test_noise_depends_on_seed_and_row_not_on_the_other_rows(frames: Frames) -> None:
    pixels, rows = frames
    noise = CORRUPTIONS["gaussian_noise"]
    every, last = (CorruptedFrames(pixels, part, noise, 0.1, seed=5) for part in (rows, rows.iloc[-1:]))
    assert torch.equal(every[9][0], last[0][0])
    assert not torch.equal(last[0][0], CorruptedFrames(pixels, rows.iloc[-1:], noise, 0.1, seed=6)[0][0])
    flat = np.full_like(pixels, 128)
    drawn = CorruptedFrames(flat, rows, noise, 0.1, seed=5)
    assert not torch.equal(drawn[0][0], drawn[1][0])


def test_result_does_not_depend_on_workers_or_batches(frames: Frames) -> None:
    alone = evaluate_robustness(detector(), *frames, batch_size=3, calibration=Calibration(), seed=5).robustness
    shared = evaluate_robustness(detector(), *frames, 10, Calibration(), seed=5, num_workers=2).robustness
    pd.testing.assert_frame_equal(alone, shared, atol=1e-6)


def test_one_class_has_no_auroc_and_no_nan(frames: Frames) -> None:
    fakes = frames[1].query("label == 1")
    result = evaluate_robustness(detector(), frames[0], fakes, batch_size=4, calibration=Calibration(), seed=5)
    assert [result.summary[name] for name in SUMMARY] == [None] * 3
    assert result.intervals[["low", "high"]].isna().to_numpy().all()
    assert result.robustness["auroc"].isna().all()
    assert result.robustness["accuracy"].between(0, 1).all()
    json.dumps(result.summary, allow_nan=False)


def test_no_frames_is_the_users_mistake(frames: Frames) -> None:
    with pytest.raises(UserError, match=r"split\.test"):
        evaluate_robustness(detector(), frames[0], frames[1].iloc[:0], batch_size=4, calibration=Calibration(), seed=5)


def test_frames_that_are_unfamiliar_under_a_corruption_get_no_verdict(frames: Frames) -> None:
    def judge(batch: Tensor) -> Tensor:
        """Sharpness, and an unfamiliarity that grows with the mean of the frame."""
        logits = predict_logits(detector(), FrameDataset(batch.numpy(), pd.DataFrame({"label": [0] * len(batch)})), 99)
        return torch.stack([torch.from_numpy(logits), batch.double().mean((1, 2, 3)) / 180], dim=1)

    pixels, rows = frames
    result = evaluate_robustness(judge, *frames, batch_size=4, calibration=Calibration(), seed=5)
    found, curves = steps(result, "brightness"), result.coverage
    assert result.summary["clean_coverage"] == 1.0 == found[0]["coverage"]
    assert found[-1]["coverage"] < 0.5
    means = [CORRUPTIONS["brightness"].apply(pixels[row], 2.0, 0).mean() for row in rows.index]
    assert found[-1]["coverage"] == np.mean(np.array(means) <= 180)
    assert set(curves["frames"]) == {"clean", "corrupted"}
    corrupted = curves[curves["frames"] == "corrupted"]
    assert corrupted["coverage"].iloc[-1] == 1
    assert corrupted["accuracy"].iloc[-1] == pytest.approx(result.robustness["accuracy"].mean())
    assert corrupted["unfamiliarity"].is_monotonic_increasing


def test_changed_frames_that_are_unfamiliar_are_counted(frames: Frames) -> None:
    pixels, rows = frames
    shown = np.stack([np.asarray(pixels[row]) for row in rows.index])
    seen = frame_statistics(torch.from_numpy(shown))
    spread = (seen - seen.mean(0)).norm(dim=1)
    layout, offset = torch.zeros(SIDE**2), torch.tensor([-9.0])
    known = Familiarity(seen.mean(0), torch.eye(seen.shape[1]) / spread.median(), layout, offset)
    found = flagged_shares(known, pixels, rows, 5)
    assert found["other_people"] == float((known(torch.from_numpy(shown)) > 1).float().mean()) == 0.5
    assert found["upside_down"] == 0.5  # neighbouring pixels have no up and down
    assert found["grey"] == 1  # without colour, differences of colours are none
    for name, change in CHANGES.items():
        changed = change(shown[0], 5)
        assert changed.dtype == np.uint8
        assert changed.shape == shown[0].shape
        assert np.array_equal(changed, shown[0]) == (name == "other_people")
    assert np.array_equal(np.sort(CHANGES["shuffled_tiles"](shown[0], 5), axis=None), np.sort(shown[0], axis=None))
