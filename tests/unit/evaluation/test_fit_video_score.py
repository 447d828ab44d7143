"""The learnt score of a video: few genuine films are called fake, and short swaps are found."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.evaluation import fit_video_score as fitting
from deepfake_detection.evaluation.fit_video_score import FEWEST_VIDEOS, fit_readings, fit_video_score, videos_of
from deepfake_detection.inference.video_score import FEATURES, WINDOW, Floats, features_of, person_scores, window_means
from deepfake_detection.network.sidecar import Calibration, VideoScore
from deepfake_detection.params.score_sections import Calibrate

GAP, BETWEEN = 5.0, 1.2  # of the logits of the classes, with a deviation of 1 within a video


def validation(videos: int, frames: int = 16, seed: int = 0) -> pd.DataFrame:
    """Videos of people and the fakes made of them, whose logits are independent but for what the person adds."""
    rng = np.random.default_rng(seed)
    rows = []
    for who in range(videos):
        own = rng.normal(0, BETWEEN)
        for label, category in enumerate(("Original", "Deepfakes")):
            for _ in range(frames):
                logit = (label - 0.5) * GAP + own + rng.normal()
                rows.append(("own", category, f"{who:03}", "999" if label else "", f"own/{who}", label, logit))
    names = ["dataset", "category", "video_id", "source_id", "group", "label", "logit"]
    return pd.DataFrame(rows, columns=names)


def film(rng: np.random.Generator, people: int, frames: int, swapped: int = 0) -> list[Floats]:
    tracks = [rng.normal(0, BETWEEN) - GAP / 2 + rng.normal(size=frames) for _ in range(people)]
    tracks[0][frames // 3 :][:swapped] += GAP
    return tracks


def called(score: VideoScore, people: int, frames: int, swapped: int = 0) -> float:
    """The share of 300 films that are called fake."""
    rng = np.random.default_rng(people * frames + swapped)
    films = [film(rng, people, frames, swapped) for _ in range(300)]
    probabilities = [score.reading.probability(max(person_scores(tracks, score))) for tracks in films]
    return float(np.mean([each >= score.reading.threshold for each in probabilities]))


@cache
def fitted(videos: int) -> VideoScore:
    return fit_video_score(validation(videos), 0.5, 0.02, 0.5)


@pytest.mark.parametrize(("people", "frames"), [(1, 32), (1, 128), (5, 32), (5, 128)])
def test_genuine_films_are_rarely_called_fake_whatever_their_length_and_people(people: int, frames: int) -> None:
    assert called(fitted(100), people, frames) <= 0.07
    assert called(fitted(FEWEST_VIDEOS - 40), people, frames) <= 0.1


@pytest.mark.parametrize("people", [1, 5])
def test_a_short_swap_is_found_nearly_as_often_as_a_whole_one(people: int) -> None:
    assert called(fitted(100), people, 60, 4) > 0.8
    assert called(fitted(100), people, 60, 60) > 0.8
    # with few videos nothing is learnt, and a swap of a whole film is still found
    few = fitted(FEWEST_VIDEOS - 40)
    assert few.weights is None
    assert called(few, people, 60, 60) > 0.8


def test_the_threshold_keeps_the_rate_that_was_asked_for() -> None:
    lax = fit_video_score(validation(100), "fpr@0.2", 0.02, 0.5)
    assert lax.reading.threshold < 0.5 <= fitted(100).reading.threshold
    assert fit_video_score(validation(100), 0.9, 0.02, 0.5).reading.threshold >= 0.9
    assert called(lax, 2, 60) > called(fitted(100), 2, 60)
    assert lax.reading.thresholds.keys() == {"youden", "fpr@0.2"}
    # a film shows two people on average, and one of them is enough for a false alarm
    assert lax.reading.groups == 50
    assert "needs 59 independent originals in validation, and there are 50" in lax.reading.unavailable["fpr@0.05"]
    with pytest.raises(UserError, match=r"fpr@0\.2 needs 14 .* there are 5,.* 2 people on average"):
        fit_video_score(validation(10), "fpr@0.2", 0.02, 0.5)


def test_it_repeats_and_says_what_it_rests_on() -> None:
    again = fit_video_score(validation(100), 0.5, 0.02, 0.5)
    assert again == fitted(100)
    assert (again.originals, again.fakes) == (100, 100)
    assert again.weights is not None
    assert all(weight >= 0 for weight in again.weights[:3])
    assert all(weight <= 0 for weight in again.weights[3:])


def test_one_class_or_one_group_or_logits_without_bounds_give_a_score_too() -> None:
    rows = validation(4)
    alone = fit_video_score(rows[rows["label"] == 0], 0.5, 0.02, 0.5)
    assert (alone.originals, alone.fakes, alone.reading) == (4, 0, Calibration())
    one = fit_video_score(rows.assign(group="own/0"), 0.5, 0.02, 0.5)
    assert 0 < one.reading.threshold < 1
    mad = fit_video_score(rows.assign(logit=rows["logit"] * 1e6), 0.5, 0.02, 0.5)
    assert 0 < mad.reading.threshold < 1


def test_a_fake_goes_with_the_original_that_it_was_made_from() -> None:
    rows = validation(5)
    videos = videos_of(rows)
    for fake, original in videos.fakes:
        (who,) = rows.loc[rows["logit"] == fake[0], "video_id"]
        assert original.tolist() == rows[(rows["video_id"] == who) & (rows["label"] == 0)]["logit"].tolist()


def test_features_are_what_their_names_say() -> None:
    logits = np.array([0.0, 0, 0, 0, 6, 6, 6, 0, 0, 0])
    found = dict(zip(FEATURES, features_of(logits, window_means(logits), 2, 20), strict=True))
    assert found == pytest.approx({"mean": 1.8, "window": 6, "contrast": 6, "people": np.log(2), "frames": np.log(20)})
    assert len(window_means(logits)) == len(logits) - WINDOW + 1
    assert window_means(logits[:2]).tolist() == [0.0]


def test_without_weights_the_mean_of_the_odds_of_all_windows_counts() -> None:
    tracks = [np.array([1.0, 1, 1, 1]), np.array([-2.0, -2, -2])]
    one, other = person_scores(tracks, VideoScore())
    assert one == pytest.approx(np.log(2 * np.e / 3))
    assert other == pytest.approx(np.log(np.exp(-2) / 3))
    assert person_scores(tracks, VideoScore(), [np.zeros(0), np.array([-2.0])])[0] < -100  # no familiar window


def test_all_readings_come_from_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "FILMS", 50)
    asked = Calibrate(threshold="youden", alarms=0.1, prior=0.5, familiarity=None)
    frame, video, score = fit_readings(validation(10), asked)
    assert frame.threshold == frame.thresholds["youden"]
    assert video.threshold == video.thresholds["youden"]
    assert score.reading.threshold >= score.reading.thresholds["youden"]
