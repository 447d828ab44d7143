"""What a detector says of pictures, videos, and the people in them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from pydantic import TypeAdapter, create_model

from deepfake_detection.common.text import clock
from deepfake_detection.inference.video_score import WINDOW, Floats, person_scores, window_means
from deepfake_detection.network.sidecar import Calibration, Sidecar
from deepfake_detection.pictures.faces import Box, DetectedFace, Landmarks
from deepfake_detection.serving.likelihood import LikelihoodRatio, likelihood_ratio

# One word for a face, a person or a file, the same wherever it is shown. A film is "partly fake" if a stretch of it
# decides, "uncertain" if too little of it could be seen or if a mild change flips the verdict, and "none" is for what
# was not judged. What a network of others says is "uncalibrated" until somebody calibrates it here.
Verdict: TypeAlias = Literal["fake", "partly fake", "original", "uncertain", "unfamiliar", "uncalibrated", "none"]

GRAVITY = {"original": 0, "uncalibrated": 0, "unfamiliar": 1, "partly fake": 2, "fake": 2}
JUDGED = ("fake", "partly fake", "original")  # the verdicts by a threshold
MOSTLY = 0.8  # of a person's frames: a stretch of so many is the whole


class Score(NamedTuple):
    """What the network says of one crop: its logit, and how unlike the training frames it is (None: not measured)."""

    logit: float
    unfamiliarity: float | None


@dataclass(frozen=True)
class Face:
    """The network's result for one face, or for the whole picture if ``box`` is None.

    ``probability`` is the calibrated probability of a deepfake, see ``verdict_of``. ``verdict`` is "fake" if it reaches
    the checkpoint's threshold. It is "unfamiliar", and the numbers mean little, if ``unfamiliarity`` is above 1,
    see inference.familiarity. That is None if the checkpoint has no familiarity. ``probability`` is None if it is not
    calibrated, and the sigmoid of ``logit`` is then its authors' score. ``landmarks`` are there if the crop needs them.
    ``evidence`` is None without a calibration of ratios, and where the verdict is "unfamiliar".
    """

    box: Box | None
    logit: float
    probability: float | None
    verdict: Verdict
    unfamiliarity: float | None = None
    landmarks: Landmarks | None = None
    evidence: LikelihoodRatio | None = None

    @property
    def detected(self) -> DetectedFace | None:
        """The face as it was found, or None if it is the whole picture."""
        return DetectedFace(self.box, self.landmarks or Landmarks(*[0.0] * 10)) if self.box else None


@dataclass(frozen=True)
class Check:
    """The result after a mild change, see serving.stability: of the face, or of the person, that decides on a file.

    ``flips`` is true if it makes an original of a fake, or a fake of an original.
    """

    change: str
    verdict: Verdict
    logit: float
    probability: float
    log10_lr: float | None
    flips: bool = False


@dataclass(frozen=True)
class Prediction:
    """The network's result for a picture. The numbers are those of the face that decides.

    That is the most suspicious one of the faces with the gravest verdict: "fake", then "unfamiliar", then "original".
    Without a score, ``verdict`` is "none", the numbers are None, and ``reason`` says why. ``failed`` is true if
    the file could not be read, and false if it was read but shows nothing to judge. A video of which too much is
    damaged or missing is "uncertain" and has the numbers. ``transductive`` is true if the network was first adapted to
    other files, on which the numbers then depend. With the verdict "uncalibrated", ``probability`` is None and
    ``authors_score`` is what its authors make of the file, from 0 for an original to 1 for a fake; ``logit`` is its.
    ``evidence`` is what the score is worth. ``checks`` are there if the file was judged after mild changes too; if one
    of them flips the verdict, that is "uncertain".
    """

    path: str
    verdict: Verdict
    probability: float | None = None
    logit: float | None = None
    unfamiliarity: float | None = None
    faces: tuple[Face, ...] = ()
    reason: str = ""
    failed: bool = False
    transductive: bool = False
    authors_score: float | None = None
    evidence: LikelihoodRatio | None = None
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Moment:
    """One face in one frame of a video. ``seconds`` is the frame's time from the start.

    ``damaged`` is true if the frame, or one that it builds on, is damaged, so that the picture may be wrong. ``person``
    is the number of the Person whose face it is.
    """

    seconds: float
    face: Face
    damaged: bool = False
    person: int = 1


@dataclass(frozen=True)
class Stretch:
    """The most suspicious stretch of a person's frames, from ``start`` to ``end`` in seconds.

    ``logit`` is the highest mean of WINDOW consecutive frames, and ``probability`` that of such a window by itself,
    whatever the rest of the video. The stretch is that window and the frames on both sides of it that look more like a
    fake than an original; it has ``frames`` frames.
    """

    start: float
    end: float
    frames: int
    logit: float
    probability: float

    def times(self) -> str:
        """From when to when, such as "0:36.0 to 0:40.0"."""
        return f"{clock(self.start)} to {clock(self.end)}"


@dataclass(frozen=True)
class Person:
    """The network's result for one person of a video: ``frames`` frames between the times ``first`` and ``last``.

    ``logit`` is the mean of the frames' logits and ``unfamiliarity`` their median. ``probability`` is that of the
    video score, see inference.video_score. ``verdict`` is "partly fake" if it reaches the threshold, the ``stretch``
    has fewer than MOSTLY of the frames, and the mean of the others is that of an original. ``stretch`` is None if there
    are not more than WINDOW frames, or if all are unfamiliar. ``evidence`` is what the video score is worth.
    """

    number: int
    verdict: Verdict
    probability: float
    logit: float
    unfamiliarity: float | None
    frames: int
    first: float
    last: float
    stretch: Stretch | None = None
    evidence: LikelihoodRatio | None = None


@dataclass(frozen=True)
class VideoPrediction(Prediction):
    """The network's result for a video. The numbers are those of the person who decides, ``people[0]``.

    ``people`` are sorted like the faces of a picture: the gravest verdict first, then the most suspicious. A video that
    is judged by its whole frames has one. An uncalibrated one has none, because nobody is followed in it. ``moments``
    are the faces that were judged, the most suspicious first. ``seconds`` is the length of the video, of which
    ``unseen_seconds`` are damaged or missing; ``reason`` says so too. Damaged frames are judged only if more than
    detector.MAX_UNSEEN is damaged or missing: then ``verdict`` is "uncertain", and the numbers are of all that can be
    shown.
    """

    moments: tuple[Moment, ...] = ()
    seconds: float = 0.0
    unseen_seconds: float = 0.0
    people: tuple[Person, ...] = ()


def looks_fake(verdict: Verdict) -> bool:
    """Whether a verdict is on the side of a fake."""
    return verdict in ("fake", "partly fake")


def flips(found: Prediction) -> list[str]:
    """The changes after which a file is original if it was fake, or fake if it was original."""
    return [check.change for check in found.checks if check.flips]


def damage_words(seconds: float, unseen: float) -> str:
    """How much of a video of ``seconds`` could not be seen, or nothing."""
    return f"{clock(max(unseen, 0.1))} of {clock(seconds)} damaged or missing" if unseen else ""


def decisive_stretch(found: Prediction) -> Stretch | None:
    """The most suspicious stretch of the person who decides, if the video is fake or partly fake."""
    if isinstance(found, VideoPrediction) and looks_fake(found.verdict):
        return found.people[0].stretch
    return None


def fields_of(found: Prediction) -> dict[str, Any]:
    """What ``predict --json`` prints of a prediction, and what the API answers: plain values by their names."""
    fields = asdict(found)
    for face in [*fields["faces"], *(moment["face"] for moment in fields.get("moments", ()))]:
        del face["landmarks"]  # an aid for the heat map
        if face["box"]:
            face["box"] = face["box"]._asdict()  # JSON would make a list of a named tuple
    return fields


def prediction_schemas(ref_template: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The JSON schema of what ``fields_of`` gives, and the schemas that it refers to by ``ref_template``."""
    schema = TypeAdapter(Prediction | VideoPrediction).json_schema(mode="serialization", ref_template=ref_template)
    definitions = schema.pop("$defs")
    del definitions["Face"]["properties"]["landmarks"], definitions["Landmarks"]
    # fields_of makes an object of the named tuple
    fields: Any = {name: (kind, ...) for name, kind in Box.__annotations__.items()}
    definitions["Box"] = create_model("Box", **fields).model_json_schema()
    return schema, definitions


def verdict_of(score: Score, calibration: Calibration | None, looks: int = 1) -> tuple[float | None, Verdict]:
    """The calibrated probability, and the verdict at the threshold. Without a calibration there is neither.

    The score is one of ``looks``, for example of the faces of one picture, and the highest of them counts. The odds are
    therefore divided by ``looks``. This is Bonferroni's correction for e-values (Vovk and Wang 2021, "E-values:
    Calibration, combination and applications"): the calibrated odds of an original reach x times the odds of the prior
    with a probability of at most 1/x, so the highest of n reaches n x with a probability of at most 1/x.
    """
    if calibration is None:
        return None, "uncalibrated"
    probability = float(calibration.probability(score.logit - calibration.temperature * math.log(looks)))
    if score.unfamiliarity is not None and score.unfamiliarity > 1:
        return probability, "unfamiliar"
    return probability, "fake" if probability >= calibration.threshold else "original"


def gravest(faces: Iterable[Face]) -> list[Face]:
    """The faces of a picture, the one who decides first: the gravest verdict, and then the highest logit."""
    return sorted(faces, key=lambda face: (GRAVITY[face.verdict], face.logit), reverse=True)


def face_of(
    face: DetectedFace | None, score: Score, calibration: Calibration | None, prior: float, looks: int = 1
) -> Face:
    """The result for one of ``looks`` faces, or for a whole picture; ``calibration`` is None if there is none."""
    probability, verdict = verdict_of(score, calibration, looks)
    evidence = likelihood_ratio(score.logit, calibration, prior, looks) if calibration else None
    evidence = None if verdict == "unfamiliar" else evidence
    box, landmarks = face or (None, None)
    return Face(box, score.logit, probability, verdict, score.unfamiliarity, landmarks, evidence)


def people_of(
    tracks: Sequence[Sequence[tuple[float, float, Score]]], sidecar: Sidecar
) -> tuple[list[int], list[Person]]:
    """The people of a video, the one who decides first, and the place of each in ``tracks``.

    A track has the frames of one person in the order of time: from when to when each stands for the video, in seconds,
    and its score.
    """
    logits = [np.array([score.logit for _, _, score in track]) for track in tracks]
    windows = [_familiar_windows(track, window_means(own)) for track, own in zip(tracks, logits, strict=True)]
    odds = person_scores(logits, sidecar.score, [own[np.isfinite(own)] for own in windows])
    found = [_person(*each, sidecar) for each in zip(tracks, logits, windows, odds, strict=True)]
    order = sorted(range(len(found)), key=lambda at: _place(found[at]), reverse=True)
    return order, [replace(found[at], number=number) for number, at in enumerate(order, 1)]


def _familiar_windows(track: Sequence[tuple[float, float, Score]], means: Floats) -> Floats:
    """The means of the windows, and minus infinity for those that are unlike the training frames."""
    own = [_median(track[start : start + WINDOW]) for start in range(len(means))]
    return np.where([known is not None and known > 1 for known in own], -np.inf, means)


def _place(person: Person) -> tuple[int, float, float]:
    return GRAVITY[person.verdict], person.probability, person.logit


def _person(
    track: Sequence[tuple[float, float, Score]], logits: Floats, windows: Floats, odds: float, sidecar: Sidecar
) -> Person:
    mean, unfamiliarity = float(logits.mean()), _median(track)
    reading = sidecar.score.reading
    probability = float(reading.probability(odds))
    verdict: Verdict = "fake" if probability >= reading.threshold else "original"
    stretch = _stretch(track, logits, windows, sidecar.score.window) if len(track) > WINDOW else None
    if verdict == "fake" and stretch and stretch.frames < MOSTLY * len(track):
        seconds = np.array([start for start, _, _ in track])
        rest = logits[(seconds < stretch.start) | (seconds >= stretch.end)]
        verdict = "partly fake" if sidecar.video.probability(rest.mean()) < sidecar.video.threshold else "fake"
    if unfamiliarity is not None and unfamiliarity > 1:
        verdict = "unfamiliar"
    evidence = None if verdict == "unfamiliar" else likelihood_ratio(odds, reading, sidecar.prior)
    seen = (len(track), track[0][0], track[-1][1])
    return Person(0, verdict, probability, mean, unfamiliarity, *seen, stretch, evidence)


def _stretch(
    track: Sequence[tuple[float, float, Score]], logits: Floats, windows: Floats, calibration: Calibration
) -> Stretch | None:
    first = int(windows.argmax())
    if not np.isfinite(windows[first]):
        return None
    last = first + WINDOW - 1
    found = float(windows[first])
    suspicious = calibration.probability(logits) > 0.5
    while first and suspicious[first - 1]:
        first -= 1
    while last < len(track) - 1 and suspicious[last + 1]:
        last += 1
    return Stretch(track[first][0], track[last][1], last - first + 1, found, float(calibration.probability(found)))


def _median(track: Sequence[tuple[float, float, Score]]) -> float | None:
    known = [score.unfamiliarity for _, _, score in track if score.unfamiliarity is not None]
    return float(np.median(known)) if known else None
