"""Learns how to read whole videos, from validation videos and from splices of their fakes into their originals.

A film may be swapped for a few seconds, and may show several people. Validation videos are either original or swapped
from the first frame to the last, so films are put together from the logits of their frames.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.rules import Rule
from deepfake_detection.common.units import drawn_units
from deepfake_detection.evaluation.calibration import calibrate, calibrate_both, independent_groups
from deepfake_detection.evaluation.fit_evidence import evidence_of, fit_evidence
from deepfake_detection.evaluation.metrics import video_table
from deepfake_detection.inference.video_score import FEATURES, WINDOW, Floats, features_of, person_scores, window_means
from deepfake_detection.network.sidecar import Calibration, VideoScore
from deepfake_detection.params.score_sections import Calibrate

FEWEST_VIDEOS = 60  # of each class; what is learnt from fewer called up to 39% of long films of five originals fake
SEED = 0
FILMS = 400  # of each class, made in each part of the validation videos
PARTS = 5  # of the people: the score of each is read by what the others taught
PEOPLE, ALONE = 5, 0.6  # in a film at most; share of the films with one
MEAN_PEOPLE = ALONE + (1 - ALONE) * (2 + PEOPLE) / 2  # of which one is enough for a false alarm
FRAMES = (16, 128)  # in a film: predict takes one a second, as a rule 32 to 128
ROUNDS = 4  # in which the most suspicious person of a film is chosen, and the weights are fitted to these
RIDGE = 1e-2


class Film(NamedTuple):
    """The logits of each person's frames, and whether one of them is swapped."""

    tracks: list[Floats]
    fake: bool


@dataclass(frozen=True)
class Videos:
    """The logits of the validation videos by frame: originals, and fakes, each with an original to splice it into."""

    originals: list[Floats]
    fakes: list[tuple[Floats, Floats]]


class Readings(NamedTuple):
    """How to read the logit of a frame, the mean logit of a video, and a whole video: see fit_video_score."""

    frame: Calibration
    video: Calibration
    score: VideoScore


def fit_readings(validation: pd.DataFrame, asked: Calibrate) -> Readings:
    """Fits how to read the logits of ``validation``, as ``asked``."""
    frame, video = calibrate_both(validation, asked.threshold, asked.prior)
    logits, labels = validation["logit"].to_numpy(float), validation["label"].to_numpy()
    evidence = fit_evidence(logits, labels, drawn_units(validation), asked.prior)
    frame = frame.model_copy(update={"evidence": evidence})
    return Readings(frame, video, fit_video_score(validation, asked.threshold, asked.alarms, asked.prior))


def fit_video_score(validation: pd.DataFrame, rule: float | str, alarms: float, prior: float) -> VideoScore:
    """The score of a video. ``validation`` has a row per frame: dataset, category, video_id, source_id, group, label,
    logit.

    Films are made of the people of one part of the validation videos each, and scored by weights that were fitted to
    the other parts. So the threshold, at which at most a share of ``alarms`` of the original films is called fake, and
    the probabilities hold for people who were not learnt from. ``alarms`` is what is aimed at: the films are cut from
    few originals, which cannot show so low a rate. ``rule`` is calibrate.threshold: if it is a rate of false alarms,
    that counts, with its confidence; else the threshold is not below that of ``rule`` either. With fewer than
    FEWEST_VIDEOS videos of a class nothing is learnt.

    Raises UserError when ``rule`` is a rate that the originals cannot show.
    """
    validation = validation.assign(group=drawn_units(validation))  # no person in two parts
    videos = videos_of(validation)
    originals, fakes = len(videos.originals), len(videos.fakes)
    independent = independent_groups(video_table(validation), 0)
    window = _window_calibration(videos, prior, independent)
    if not originals or not fakes:
        return VideoScore(window=window, originals=originals, fakes=fakes)
    parts = _parts(validation)
    films = [make_films(part, np.random.default_rng([SEED, at])) for at, part in enumerate(parts)]
    learnt = min(originals, fakes) >= FEWEST_VIDEOS and len(parts) == PARTS
    described = [[(_features(film), film.fake) for film in made] for made in films] if learnt else []
    scores: list[float] = []
    for at, own in enumerate(films):
        others = list(chain.from_iterable(described[:at] + described[at + 1 :]))
        known = VideoScore(weights=_weights(others) if learnt else None, window=window)
        scores += [max(person_scores(film.tracks, known)) for film in own]
    labels = np.array([film.fake for made in films for film in made], np.int64)
    try:
        read = calibrate(np.array(scores), labels, rule, prior, independent / MEAN_PEOPLE)
    except UserError as error:
        raise UserError(_of_films(str(error))) from None
    read = read.model_copy(update={"unavailable": {name: _of_films(why) for name, why in read.unavailable.items()}})
    # a miss rests on one person, a false alarm on any of a film
    worth = [independent / MEAN_PEOPLE, independent_groups(video_table(validation), 1)]
    parted = np.repeat(np.arange(len(films)), 2 * FILMS)
    evidence = evidence_of(np.array(scores), labels, parted, np.array(worth)[labels] / (len(films) * FILMS), prior)
    read = read.model_copy(update={"evidence": evidence})
    if Rule.parse(rule).rate is None:  # what is more probably original than not is no alarm, however few there are
        read = read.model_copy(update={"threshold": max(read.threshold, _aimed_at(alarms, read, scores, labels))})
    weights = _weights(list(chain.from_iterable(described))) if learnt else None
    return VideoScore(weights=weights, window=window, reading=read, originals=originals, fakes=fakes)


def _of_films(why: str) -> str:
    """Why a rule is unavailable, with the reason why films need more originals than frames do."""
    counted = f" (of whole videos, which show {MEAN_PEOPLE:g} people on average: so many originals count as one)"
    return why + counted if "independent originals" in why else why


def _aimed_at(alarms: float, read: Calibration, scores: list[float], labels: NDArray[np.int64]) -> float:
    """The lowest threshold at which at most a share of ``alarms`` of these very films is called fake."""
    try:
        return Rule.parse(f"fpr@{alarms:g}").choose(labels, read.probability(np.array(scores)), math.inf)
    except UserError:  # a network whose logits have no bounds
        return read.threshold


def make_films(videos: Videos, rng: np.random.Generator) -> list[Film]:
    """FILMS films of each class, sampled as predict samples: half of the fakes are swapped for a stretch only.

    A stretch has WINDOW to half of the frames, a short one as likely as one of twice its length. The other people of a
    film are originals. A video with fewer frames than the film gives some of them more than once.
    """
    films = []
    for number in range(2 * FILMS):
        fake = bool(number % 2)
        frames = int(np.exp(rng.uniform(*np.log(FRAMES))))
        people = 1 if rng.random() < ALONE else int(rng.integers(2, PEOPLE + 1))
        tracks = [
            sampled(videos.originals[int(rng.integers(len(videos.originals)))], frames, rng)
            for _ in range(people - fake)
        ]
        if fake:
            swapped, original = videos.fakes[int(rng.integers(len(videos.fakes)))]
            track = sampled(swapped, frames, rng)
            if rng.random() < 0.5:
                length = int(np.exp(rng.uniform(np.log(WINDOW), np.log(frames / 2))))
                start = int(rng.integers(frames - length + 1))
                track, whole = sampled(original, frames, rng), track
                track[start : start + length] = whole[start : start + length]
            tracks.append(track)
        films.append(Film(tracks, fake))
    return films


def sampled(logits: Floats, frames: int, rng: np.random.Generator) -> Floats:
    """``frames`` of a video in their order, evenly spaced; of a shorter one at random, some more than once."""
    if len(logits) < frames:
        return rng.choice(logits, frames)
    return np.array(logits[np.linspace(0, len(logits) - 1, frames).astype(int)])


def videos_of(rows: pd.DataFrame) -> Videos:
    """The videos in ``rows``, which are as for fit_video_score. A fake goes with the original that it was made from."""
    keys = ["dataset", "category", "video_id", "source_id"]
    found = {
        key: (int(own["label"].iloc[0]), str(own["group"].iloc[0]), own["logit"].to_numpy(float))
        for key, own in rows.fillna({"source_id": ""}).groupby(keys, sort=True)
    }
    originals = {key: (group, logits) for key, (label, group, logits) in found.items() if label == 0}
    every = [logits for _, logits in originals.values()]
    fakes = []
    for at, (key, (label, group, logits)) in enumerate(found.items()):
        if label == 1 and every:
            same = [own for known, (_, own) in originals.items() if known[0] == key[0] and known[2] == key[2]]
            near = [own for known_group, own in originals.values() if known_group == group]
            fakes.append((logits, (same or near or [every[at % len(every)]])[0]))
    return Videos(every, fakes)


def _parts(rows: pd.DataFrame) -> list[Videos]:
    """The videos of PARTS parts of the groups, without parts that lack a class."""
    groups = np.random.default_rng(SEED).permutation(rows["group"].unique())
    videos = [videos_of(rows[rows["group"].isin(groups[part::PARTS])]) for part in range(PARTS)]
    whole = [part for part in videos if part.originals and part.fakes]
    return whole if len(whole) > 1 else [videos_of(rows)]


def _window_calibration(videos: Videos, prior: float, originals: float) -> Calibration:
    """The calibration of window means. Each video counts alike, however many windows it has."""
    sides = [videos.originals, [logits for logits, _ in videos.fakes]]
    means = [[np.quantile(window_means(logits), (0.1, 0.3, 0.5, 0.7, 0.9)) for logits in side] for side in sides]
    logits = np.concatenate([np.ravel(side) for side in means]) if any(sides) else np.zeros(0)
    labels = np.repeat([0, 1], [np.size(side) for side in means])
    return calibrate(logits, labels, 0.5, prior, originals)


def _features(film: Film) -> Floats:
    """The FEATURES of each of its people, shape (people, len(FEATURES))."""
    frames = sum(map(len, film.tracks))
    return np.array([features_of(track, window_means(track), len(film.tracks), frames) for track in film.tracks])


def _weights(films: Sequence[tuple[Floats, bool]]) -> list[float]:
    """The weights of FEATURES by logistic regression on each film's most suspicious person.

    A film is what ``_features`` gives of it, and whether it is a fake.

    Who that is depends on the weights, so both are found in turn, as in multiple-instance learning (Andrews,
    Tsochantaridis and Hofmann 2002, mi-SVM). The first three weights are not below 0 and the others not above.
    """
    features, labels = [own for own, _ in films], np.array([fake for _, fake in films], float)
    scale = np.concatenate(features).std(axis=0) + 1e-9
    weights = np.array([1.0, 1.0, 1.0, 0.0, 0.0]) / scale
    bounds = [(0.0, None)] * 3 + [(None, 0.0)] * 2 + [(None, None)]
    for _ in range(ROUNDS):
        chosen = np.array([own[int((own @ weights).argmax())] for own in features]) / scale

        def loss(line: NDArray[np.float64], chosen: Floats = chosen) -> tuple[float, NDArray[np.float64]]:
            scores = chosen @ line[:-1] + line[-1]
            wrong = (expit(scores) - labels) / len(labels)
            value = float(np.mean(np.logaddexp(0, scores) - labels * scores)) + RIDGE * float(line[:-1] @ line[:-1]) / 2
            return value, np.append(wrong @ chosen + RIDGE * line[:-1], wrong.sum())

        found = minimize(loss, np.append(weights * scale, 0.0), jac=True, method="L-BFGS-B", bounds=bounds)
        weights = found.x[: len(FEATURES)] / scale
    return [float(weight) for weight in weights]
