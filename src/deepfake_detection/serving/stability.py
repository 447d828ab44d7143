"""Judges a file again after eight mild changes that nobody sees. A verdict that one of them flips is uncertain.

A face is found once. A change is made to the picture around it, up to LONGEST pixels of that, and the crop is then cut
and resized anew, because that is where a change acts. A whole picture is changed as a whole.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
from PIL import Image

from deepfake_detection.evaluation.corruptions import brightness, webp
from deepfake_detection.frames.filters import jpeg
from deepfake_detection.inference.video_score import Floats
from deepfake_detection.pictures.faces import Box, DetectedFace, Landmarks
from deepfake_detection.pictures.images import UnreadableImageError
from deepfake_detection.serving.given import Pixels, names_video, read_given
from deepfake_detection.serving.people import KeptFrames
from deepfake_detection.serving.results import (
    JUDGED,
    Check,
    Face,
    Moment,
    Person,
    Prediction,
    Score,
    VideoPrediction,
    face_of,
    flips,
    gravest,
    looks_fake,
    people_of,
)

if TYPE_CHECKING:
    from deepfake_detection.serving.detector import Detector

LONGEST = 1024  # pixels of the longer side of what is changed, so that a photograph takes no seconds to encode
BATCH = 16  # crops that the network takes at once
MOST_FACES = 4  # of a picture, the gravest
MOST_FRAMES = 16  # of the person who decides on a video: half of them evenly spaced, half the most suspicious

Found = TypeVar("Found", bound=Prediction)
Placed: TypeAlias = tuple[Pixels, DetectedFace | None]
"""Pixels, and where the face is in them; None if the whole of them is judged."""


def scaled(pixels: Pixels, face: DetectedFace | None, factor: float) -> Placed:
    """The picture at ``factor`` times its width and height."""
    size = [max(1, round(side * factor)) for side in (pixels.shape[1], pixels.shape[0])]
    resized = np.asarray(Image.fromarray(pixels).resize((size[0], size[1]), Image.Resampling.BILINEAR))
    return resized, face and _moved(face, lambda x: x * factor, lambda y: y * factor)


def mirrored(pixels: Pixels, face: DetectedFace | None) -> Placed:
    """Left and right change places, of the landmarks too."""
    width = pixels.shape[1]
    if face is not None:
        box, marks = face.box, np.array(face.landmarks).reshape(-1, 2)[[1, 0, 2, 4, 3]] * (-1, 1) + (width, 0)
        face = DetectedFace(box._replace(left=width - box.right, right=width - box.left), Landmarks(*marks.ravel()))
    return np.ascontiguousarray(pixels[:, ::-1]), face


def _alike(change: Callable[[Pixels], Pixels]) -> Callable[[Pixels, DetectedFace | None], Placed]:
    return lambda pixels, face: (change(pixels), face)


CHANGES: dict[str, Callable[[Pixels, DetectedFace | None], Placed]] = {
    "as JPEG 90": _alike(partial(jpeg, setting=90)),
    "as JPEG 75": _alike(partial(jpeg, setting=75)),
    "as WebP 80": _alike(partial(webp, setting=80)),
    "at 3/4 of the size": partial(scaled, factor=0.75),
    "shifted by a pixel": _alike(lambda pixels: np.ascontiguousarray(pixels[1:, 1:])),
    "mirrored": mirrored,
    "5% brighter": _alike(partial(brightness, setting=1.05)),
    "5% darker": _alike(partial(brightness, setting=0.95)),
}


def around(pixels: Pixels, face: DetectedFace | None, margin: float) -> Placed:
    """What is changed of a picture: the face with more around it than any crop with this margin has."""
    if face is not None:
        box, (height, width) = face.box, pixels.shape[:2]
        reach = round((1 + margin) * max(box.right - box.left, box.bottom - box.top))
        left, top = max(0, box.left - reach), max(0, box.top - reach)
        pixels = pixels[top : min(height, box.bottom + reach), left : min(width, box.right + reach)]
        face = _moved(face, lambda x: x - left, lambda y: y - top)
    longest = max(pixels.shape[:2])
    return scaled(pixels, face, LONGEST / longest) if longest > LONGEST else (pixels, face)


def checked_picture(detector: "Detector", found: Prediction, pixels: Pixels, scale: int = 1) -> Prediction:
    """The prediction with its ``checks``. Its faces are in pixels of a picture ``scale`` times as large as ``pixels``.

    Of several faces, the MOST_FACES gravest are judged again. What has no verdict by a threshold has no checks.
    """
    if found.verdict not in JUDGED:
        return found
    looks, sidecar = len(found.faces), detector.sidecar
    places = [(pixels, _scaled(face, scale)) for face in gravest(found.faces)[:MOST_FACES]]
    checks = []
    for change, scores in zip(CHANGES, _scores(detector, places), strict=True):
        worst = gravest([face_of(None, score, sidecar.frame, sidecar.prior, looks) for score in scores])[0]
        checks.append(_check(change, worst))
    return _with(found, checks)


def checked_video(detector: "Detector", found: VideoPrediction, kept: KeptFrames) -> VideoPrediction:
    """The prediction with its ``checks``, of a video whose frames are ``kept``.

    MOST_FRAMES frames of the person who decides are judged again. Between these, what a change did to the logit is
    interpolated. The other people keep their logits, and count as they do without the change.
    """
    if found.verdict not in JUDGED:
        return found
    moments = sorted(found.moments, key=lambda each: each.seconds)
    tracks = [[each for each in moments if each.person == person.number] for person in found.people]
    scored = [[Score(each.face.logit, each.face.unfamiliarity) for each in track] for track in tracks]
    logits = np.array([score.logit for score in scored[0]])
    chosen = _chosen(logits)
    places = [(kept[tracks[0][at].seconds], tracks[0][at].face.detected) for at in chosen]
    checks = []
    for change, scores in zip(CHANGES, _scores(detector, places), strict=True):
        moved = np.interp(np.arange(len(logits)), chosen, [score.logit for score in scores] - logits[chosen])
        own = [Score(score.logit + more, score.unfamiliarity) for score, more in zip(scored[0], moved, strict=True)]
        timed = [list(map(_timed, *both)) for both in zip(tracks, [own, *scored[1:]], strict=True)]
        checks.append(_check(change, people_of(timed, detector.sidecar)[1][0]))
    return _with(found, checks)


def checked(
    detector: "Detector", files: Iterable[str], batch_size: int, frames: int | None, fill: bool
) -> Iterator[Prediction]:
    """As ``Detector.stream`` of paths, with ``checks``. A picture is read once more for them."""
    for videos, group in groupby(files, key=names_video):
        if videos:
            for path in group:
                with KeptFrames() as kept:
                    yield checked_video(detector, detector.video(path, frames, batch_size, kept), kept)
            continue
        for found in detector.stream(group, batch_size, frames, fill):
            try:
                read = None if found.failed else read_given(found.path)
            except UnreadableImageError as error:
                yield Prediction(found.path, "none", reason=str(error), failed=True)
            else:
                yield checked_picture(detector, found, read.pixels, read.scale) if read else found


def _scores(detector: "Detector", places: Sequence[Placed]) -> list[list[Score]]:
    """For each change, the scores of all places after it."""
    regions = [around(*place, detector.sidecar.margin) for place in places]
    crops = (detector.crop(*change(*region)) for change in CHANGES.values() for region in regions)
    scores = detector.scores(crops, BATCH)
    return [scores[start : start + len(regions)] for start in range(0, len(scores), len(regions))]


def _timed(moment: Moment, score: Score) -> tuple[float, float, Score]:
    """A frame of a track, as people_of has it; from when to when it stands for the video does not matter here."""
    return moment.seconds, float(np.nextafter(moment.seconds, np.inf)), score


def _check(change: str, worst: Face | Person) -> Check:
    ratio = worst.evidence.log10_lr if worst.evidence else None
    return Check(change, worst.verdict, worst.logit, worst.probability or 0.0, ratio)


def _with(found: Found, checks: list[Check]) -> Found:
    was_fake = looks_fake(found.verdict)
    checks = [
        replace(each, flips=each.verdict != "unfamiliar" and looks_fake(each.verdict) != was_fake) for each in checks
    ]
    found = replace(found, checks=tuple(checks))
    if not (changes := flips(found)):
        return found
    reason = f"{found.verdict} as it is, {'original' if was_fake else 'fake'} {_listed(changes)}"
    return replace(found, verdict="uncertain", reason=", ".join(filter(None, [reason, found.reason])))


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _chosen(logits: Floats) -> list[int]:
    """The places of the frames that are judged again, in order."""
    half = MOST_FRAMES // 2
    evenly = np.linspace(0, len(logits) - 1, half).round().astype(int)
    return sorted({*evenly.tolist(), *np.argsort(-logits)[:half].tolist()})


def _scaled(face: Face, scale: int) -> DetectedFace | None:
    there = face.detected
    return there and _moved(there, lambda x: x / scale, lambda y: y / scale)


def _moved(face: DetectedFace, across: Callable[[float], float], down: Callable[[float], float]) -> DetectedFace:
    box, marks = face.box, face.landmarks
    left, right, top, bottom = (
        round(each) for each in (across(box.left), across(box.right), down(box.top), down(box.bottom))
    )
    points = [(across if not at % 2 else down)(value) for at, value in enumerate(marks)]
    return DetectedFace(Box(left, top, right, bottom, box.score), Landmarks(*points))
