"""How often whole films are called fake by the frame scores of the last run: ``python -m experiments.people.measure``.

Films are put together of the test videos' frame scores: genuine ones of several people and lengths, and ones in which
one person is swapped for some seconds. Three rules judge them, each fitted to the validation videos: the mean or the
highest window with odds divided by how many there are, which was the rule before; the mean of the windows' odds; and
the learnt score. Each is fitted once more to FEW validation groups.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from deepfake_detection.common.tables import read_index, read_scores, read_splits
from deepfake_detection.evaluation import fit_video_score
from deepfake_detection.evaluation.calibration import calibrate_both
from deepfake_detection.evaluation.fit_video_score import Videos, sampled, videos_of
from deepfake_detection.inference.video_score import Floats, person_scores, window_means
from deepfake_detection.network.sidecar import read_sidecar
from stages import run

FILMS, FEW, SEED = 1000, 9, 0
GENUINE = [(people, seconds) for people in (1, 2, 5) for seconds in (10, 60, 600)]
SWAPPED = [(people, 60, length) for people in (1, 5) for length in (2, 4, 10)] + [
    (1, 600, 10),
    (1, 60, 60),
    (5, 60, 60),
]
FRAMES = (32, 128)  # that predict takes of a film, one a second between these

Rule = Callable[[list[Floats]], bool]


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="of the last run, for what it was trained on")
    trained = read_sidecar(parser.parse_args().checkpoint.with_suffix(".json")).categories
    rows = read_index(Path("data/index.csv")).merge(read_splits(Path("data/splits.csv"))[["path", "split"]], on="path")
    scores = pd.concat(read_scores(path) for path in sorted(Path("data/scores").glob("*.csv")))
    rows = rows[rows["category"].isin([*trained.real, *trained.fake])].merge(scores, on="path")
    validation, test = (rows[rows["split"] == split] for split in ("val", "test"))
    groups = np.random.default_rng(SEED).permutation(validation["group"].unique())
    few = validation[validation["group"].isin(groups[:FEW])]
    tables = [
        table(name, rule, videos_of(test))
        for part, known in (("all", validation), (f"{FEW} groups", few))
        for name, rule in rules(known, part).items()
    ]
    print(pd.concat(tables, axis=1).to_string(float_format="{:.2f}".format))


def rules(validation: pd.DataFrame, part: str) -> dict[str, Rule]:
    videos = videos_of(validation)
    count = f"{part}: {len(videos.originals)} + {len(videos.fakes)}"
    found: dict[str, Rule] = {f"{count}, before": before(validation)}
    for name, fewest in (("windows", 10**9), ("learnt", 0)):
        fit_video_score.FEWEST_VIDEOS = fewest
        score = fit_video_score.fit_video_score(validation, 0.5, 0.02, 0.5)
        found[f"{count}, {name}"] = lambda tracks, score=score: bool(  # type: ignore[misc]
            score.reading.probability(max(person_scores(tracks, score))) >= score.reading.threshold
        )
    return found


def before(validation: pd.DataFrame) -> Rule:
    """The mean of a person at odds divided by the people, or a window's at odds divided by the windows."""
    _, video = calibrate_both(validation, 0.5)

    def judge(tracks: list[Floats]) -> bool:
        windows = [window_means(track) for track in tracks]
        count = sum(map(len, windows))
        return any(
            video.log_odds(float(track.mean())) - np.log(len(tracks)) >= 0
            or video.log_odds(float(own.max())) - np.log(count) >= 0
            for track, own in zip(tracks, windows, strict=True)
        )

    return judge


def table(name: str, rule: Rule, videos: Videos) -> pd.DataFrame:
    """The share of films called fake, a row for each kind of film."""
    rng, found = np.random.default_rng(SEED), {}
    for people, seconds in GENUINE:
        found["genuine", people, seconds, 0] = np.mean(
            [rule(film(videos, people, seconds, 0, rng)) for _ in range(FILMS)]
        )
    for people, seconds, length in SWAPPED:
        called = [rule(film(videos, people, seconds, length, rng)) for _ in range(FILMS)]
        found["swapped", people, seconds, length] = np.mean(called)
    index = pd.MultiIndex.from_tuples(found, names=["film", "people", "seconds", "of which swapped"])
    return pd.DataFrame({name: list(found.values())}, index=index)


def film(videos: Videos, people: int, seconds: int, length: int, rng: np.random.Generator) -> list[Floats]:
    """The logits of each person's frames, as predict samples them. One is swapped for ``length`` seconds."""
    frames = min(max(seconds, FRAMES[0]), FRAMES[1])
    of = [int(each) for each in rng.integers(len(videos.originals), size=people)]
    tracks = [sampled(videos.originals[each], frames, rng) for each in of]
    if length:
        swapped, original = videos.fakes[int(rng.integers(len(videos.fakes)))]
        count = max(1, round(frames * length / seconds))
        start = int(rng.integers(frames - count + 1))
        tracks[0] = sampled(original, frames, rng)
        tracks[0][start : start + count] = sampled(swapped, frames, rng)[start : start + count]
    return tracks


if __name__ == "__main__":
    run(main)
