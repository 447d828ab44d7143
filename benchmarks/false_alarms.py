"""How often originals are called fake in truth by a threshold that validation says keeps a rate of false alarms.

Run as ``python -m benchmarks.false_alarms [--draws 1000] [--films 20]`` from the project's root. The first table has
the mean true rate of ``fpr@0.01`` and ``fpr@0.05``, and the share of ``--draws`` validation sets with a true rate above
that. ``found`` takes the rate over the validation frames for the true one, ``shown`` is the rule of ``Rule.choose``,
which is unavailable ("-") with too few originals. The frames are one from each original, or five that share 80% of the
variance. Originals score as standard normal variables, so the true rate of a threshold is known. There are as many
fakes.

The second table does the same for the score of a whole video, ``calibrate.alarms`` 0.02, on new films of 1000 others.
"""

import math
from argparse import ArgumentParser

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.rules import Rule
from deepfake_detection.evaluation.fit_video_score import Film, fit_video_score, make_films, videos_of
from deepfake_detection.inference.video_score import person_scores
from deepfake_detection.network.sidecar import VideoScore

ORIGINALS, RATES = (18, 100, 500), ("fpr@0.01", "fpr@0.05")
ALIKE = 0.8  # share of the variance that the frames of a video have in common
SHIFT = 2.0  # of the fakes
ALARMS = 0.02
GAP, BETWEEN = 5.0, 1.2  # of the logits of the films' classes, and of people, with a deviation of 1 within a video


def true_rate(rule: str, originals: int, frames: int, known: float, rng: np.random.Generator) -> float:
    """The true rate of the threshold by ``rule`` from one validation set; NaN if the rule is unavailable."""
    share = ALIKE if frames > 1 else 0.0
    labels = np.repeat([0, 1], originals * frames)
    own = np.repeat(rng.normal(0, math.sqrt(share), 2 * originals), frames)
    scores = own + rng.normal(0, math.sqrt(1 - share), len(own)) + SHIFT * labels
    try:
        return float(ndtr(-logit(Rule.parse(rule).choose(labels, expit(scores), known))))
    except UserError:
        return math.nan


def frames_table(draws: int) -> pd.DataFrame:
    rows = {}
    for frames in (1, 5):
        for originals in ORIGINALS:
            for rule in RATES:
                row: dict[str, str] = {}
                for name, known in (("found", math.inf), ("shown", float(originals))):
                    rng = np.random.default_rng([originals, frames])
                    rates = np.array([true_rate(rule, originals, frames, known, rng) for _ in range(draws)])
                    above = np.mean(rates > float(rule.removeprefix("fpr@")))
                    missing = bool(np.isnan(rates).any())
                    row |= {f"rate, {name}": "-" if missing else f"{rates.mean():.2%}"}
                    row |= {f"above it, {name}": "-" if missing else f"{above:.0%}"}
                rows[f"{frames} of each", originals, rule] = row
    return pd.DataFrame(rows).T.rename_axis(index=["frames", "originals", "rule"])


def validation(videos: int, rng: np.random.Generator) -> pd.DataFrame:
    """People, each with an original of 16 frames and a fake."""
    who, labels = np.repeat(np.arange(videos), 32), np.tile(np.repeat([0, 1], 16), videos)
    logits = (labels - 0.5) * GAP + rng.normal(0, BETWEEN, videos)[who] + rng.normal(size=len(who))
    names = pd.Series(who).map("{:04}".format)
    table = pd.DataFrame({"video_id": names, "group": names, "label": labels, "logit": logits, "dataset": "d"})
    return table.assign(category=np.where(labels, "Deepfakes", "Original"), source_id=np.where(labels, "source", ""))


def called(score: VideoScore, films: list[Film]) -> float:
    """The share of original films that are called fake."""
    highest = np.array([max(person_scores(film.tracks, score)) for film in films if not film.fake])
    probabilities: NDArray[np.float64] = score.reading.probability(highest)
    return float(np.mean(probabilities >= score.reading.threshold))


def films_table(sets: int) -> pd.DataFrame:
    others = videos_of(validation(1000, np.random.default_rng(0)))
    films = [film for seed in range(3) for film in make_films(others, np.random.default_rng(seed))]
    rows = {}
    for originals in ORIGINALS:
        rng = np.random.default_rng(originals)
        rates = [called(fit_video_score(validation(originals, rng), 0.01, ALARMS, 0.5), films) for _ in range(sets)]
        rows[originals] = {"mean": np.mean(rates), "highest": np.max(rates), "above": np.mean(np.array(rates) > ALARMS)}
    return pd.DataFrame(rows).T.rename_axis(index="originals")


def main() -> None:
    parser = ArgumentParser(description="true rate of false alarms of thresholds from few originals")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--films", type=int, default=20, help="validation sets for the score of a video")
    wanted = parser.parse_args()
    print(f"{frames_table(wanted.draws).to_string()}\n")
    print(f"films of originals called fake, aimed at {ALARMS:.0%}, {wanted.films} validation sets")
    print(films_table(wanted.films).round(3).to_string())


if __name__ == "__main__":
    main()
