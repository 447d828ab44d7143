"""Judges films of several people: ``python -m experiments.people.measure CHECKPOINT``.

It prints how often videos of 1, 3 and 10 genuine faces are called fake, with and without the correction for the number
of people and of windows, how often a short swap is found, and what is said of films in which one person is swapped.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from deepfake_detection.common.parallel import map_in_processes
from deepfake_detection.common.progress import progress
from deepfake_detection.common.text import clock, percent
from deepfake_detection.network.sidecar import Calibration
from deepfake_detection.serving.cli import load_detector
from deepfake_detection.serving.detector import Detector
from deepfake_detection.serving.results import WINDOW, Score, VideoPrediction, verdict_of
from experiments.people.films import SEED, Part, write_film
from stages import run

FIRST, POOL = 1000, 400  # the number of the first genuine person, and how many; those below are trained on
FACES = {1: 200, 3: 120, 10: 90}  # people in a video, and videos
SECONDS, SIZE = 8, 160
SWAPPED, LENGTH = 40, 40  # films in which one person is swapped for the last tenth, and their seconds
MADE = {
    "one large genuine face, one small swapped": (
        24,
        [Part(2000, 100, 100, 400), Part(2002, 900, 300, 128, swapped=(0, 24))],
    ),
    "one person, swapped in the last tenth": (40, [Part(2004, 400, 100, 256, swapped=(36, 40))]),
    "one person, swapped for 3 s of 60 s": (60, [Part(2006, 400, 100, 256, swapped=(30, 33))]),
    "a cut from a genuine to a swapped person": (
        24,
        [Part(2008, 400, 100, 256, end=18), Part(2010, 400, 100, 256, start=18, swapped=(18, 24))],
    ),
    "a swapped face that leaves and returns": (
        30,
        [Part(2012, 100, 100, 256), *(Part(2014, 800, 200, 200, *on, swapped=(0, 30)) for on in ((0, 8), (20, 30)))],
    ),
    "three genuine people": (24, [Part(2016 + 2 * each, 50 + 400 * each, 200, 256) for each in range(3)]),
}


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="trained on crops of the face of experiments.people.films")
    detector = load_detector(parser.parse_args().checkpoint, threshold="fpr@0.01")
    with TemporaryDirectory() as name:
        print(made_films(detector, Path(name)).to_string(index=False), flush=True)
        print(swaps_found(detector, Path(name)).round(3).to_string(index=False), flush=True)
        print(false_alarms(detector, Path(name)).round(3).to_string(index=False))


def made_films(detector: Detector, folder: Path) -> pd.DataFrame:
    rows = []
    for name, (seconds, parts) in progress(MADE.items(), "judging films", unit="film"):
        write_film(folder / "made.mp4", parts, seconds)
        found = detector.video(folder / "made.mp4")
        for person in found.people:
            stretch = person.stretch
            rows.append(
                {
                    "film": name if person.number == 1 else "",
                    "verdict": found.verdict if person.number == 1 else "",
                    "person": person.number,
                    "seen": f"{clock(person.first)} to {clock(person.last)}, {person.frames}",
                    "says": person.verdict,
                    "score": percent(person.probability),
                    "stretch": f"{clock(stretch.start)} to {clock(stretch.end)}" if stretch else "",
                    "of which": percent(stretch.probability) + " decides" * stretch.decides if stretch else "",
                    "unfamiliarity": f"{person.unfamiliarity:.2f}" if person.unfamiliarity is not None else "",
                }
            )
    return pd.DataFrame(rows)


def false_alarms(detector: Detector, folder: Path) -> pd.DataFrame:
    """The share of videos of genuine people that are called fake, at the checkpoint's threshold."""
    write = partial(_write_grid, folder)
    videos = [(faces, number) for faces, count in FACES.items() for number in range(count)]
    list(map_in_processes(write, videos, len(videos), None, "drawing films", "film"))
    rows = []
    for faces, count in FACES.items():
        found = [
            detector.video(folder / f"{faces}-{number}.mp4")
            for number in progress(range(count), "judging films", unit="film")
        ]
        people = [len(each.people) for each in found]
        rules = {name: [rule(each, detector.sidecar.video) for each in found] for name, rule in RULES.items()}
        rows.append(
            {"faces": faces, "videos": count, "people found": np.mean(people)}
            | {name: np.mean(calls) for name, calls in rules.items()}
            | {"verdict fake": np.mean([each.verdict == "fake" for each in found])}
            | {"unfamiliar": np.mean([each.verdict == "unfamiliar" for each in found])}
        )
    return pd.DataFrame(rows)


def swaps_found(detector: Detector, folder: Path) -> pd.DataFrame:
    """The share of people swapped for the last tenth of a film who are called fake, by the rules of false alarms."""
    people = [Part(3000 + 2 * each, 400, 100, SIZE, swapped=(LENGTH - LENGTH // 10, LENGTH)) for each in range(SWAPPED)]
    list(map_in_processes(partial(_write_part, folder), people, SWAPPED, None, "drawing films", "film"))
    found = [detector.video(folder / f"{part.who}.mp4") for part in progress(people, "judging films", unit="film")]
    stretches = [each.people[0].stretch for each in found if each.people]
    start = LENGTH - LENGTH // 10
    right = [bool(each and each.end > start and each.start >= start - 1) for each in stretches]
    row = {name: np.mean([rule(each, detector.sidecar.video) for each in found]) for name, rule in RULES.items()}
    return pd.DataFrame([{"films": SWAPPED} | row | {"stretch in the right place": np.mean(right)}])


def _write_part(folder: Path, part: Part) -> None:
    write_film(folder / f"{part.who}.mp4", [part], LENGTH)


def _write_grid(folder: Path, video: tuple[int, int]) -> None:
    faces, number = video
    who = np.random.default_rng([SEED, *video]).choice(POOL, faces, replace=False)
    parts = [Part(FIRST + int(each), 60 + 240 * (at % 5), 60 + 320 * (at // 5), SIZE) for at, each in enumerate(who)]
    write_film(folder / f"{faces}-{number}.mp4", parts, SECONDS)


def _any_fake(logits: list[float], calibration: Calibration, looks: int) -> bool:
    return any(verdict_of(Score(logit, None), calibration, max(1, looks))[1] == "fake" for logit in logits)


def _whole(found: VideoPrediction, calibration: Calibration, corrected: bool) -> bool:
    return _any_fake([each.logit for each in found.people], calibration, len(found.people) if corrected else 1)


def _windows(found: VideoPrediction, calibration: Calibration, corrected: bool) -> bool:
    windows = sum(max(0, each.frames - WINDOW + 1) for each in found.people)
    logits = [each.stretch.logit for each in found.people if each.stretch]
    return _any_fake(logits, calibration, windows if corrected else 1)


RULES: dict[str, Callable[[VideoPrediction, Calibration], bool]] = {
    "whole": partial(_whole, corrected=False),
    "whole, corrected": partial(_whole, corrected=True),
    "windows": partial(_windows, corrected=False),
    "windows, corrected": partial(_windows, corrected=True),
}


if __name__ == "__main__":
    run(main)
