"""Prepares what the page of ``deepfake-detect serve`` shows for a picture or video: text, numbers, small pictures.

``load`` and ``judge`` run in a separate process, which may be killed at any time.
"""

import math
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.text import clock
from deepfake_detection.media.images import UnreadableImageError, read_picture
from deepfake_detection.media.kept import KeptFrames
from deepfake_detection.media.videos import is_video
from deepfake_detection.network.sidecar import Calibration
from deepfake_detection.params.thresholds import fpr_limit
from deepfake_detection.reporting.html import data_uri

if TYPE_CHECKING:  # the server process holds no network and starts without torch
    from deepfake_detection.media.faces import Box
    from deepfake_detection.serving.detector import Detector
    from deepfake_detection.serving.results import Face, Person

Pixels = NDArray[np.uint8]

MOMENTS_SHOWN = 4  # frames of the person who decides; of every other person one is shown
FACES_SHOWN = 20
PEOPLE_SHOWN = 5  # of a video
WIDE, NARROW = 1000, 560  # longer side in pixels of a picture shown alone, and of one among several

# Distances in log-odds, from the threshold and from even odds. 1 means odds of 2.7 to 1, and 3 means 20 to 1.
UNCERTAIN, CLEAR = 1.0, 3.0
# If at least this share of a video's frames is at or above the threshold, its mean alone does not decide the headline.
MIXED = 0.1
HEADLINES = {
    ("fake", "clear"): "Looks like a deepfake",
    ("fake", "leaning"): "More like a deepfake than an original",
    ("original", "leaning"): "More like an original than a deepfake",
    ("original", "clear"): "No sign of the deepfakes it knows",
}
MIXED_HEADLINE = "Mixed: some frames look like a deepfake"
UNFAMILIAR_HEADLINE = "Unfamiliar: not like what this network was trained on"
UNDECIDED_HEADLINE = "Undecided: too little of it could be seen"

UNFAMILIAR = {"headline": UNFAMILIAR_HEADLINE, "level": "uncertain", "side": "unfamiliar"}


def load(checkpoint: Path, device: str | None = None, threshold: float | str | None = None) -> None:
    """Loads the network of ``checkpoint``, unless this process already has. Raises UserError like Detector.load."""
    detector_of(checkpoint, device, threshold)


def judge(
    checkpoint: Path, path: Path, device: str | None = None, threshold: float | str | None = None
) -> dict[str, Any]:
    """What the template shows for the picture or video in ``path``: plain values and data: URIs.

    Raises UnreadableImageError, in a few words, if the file is neither or is damaged.
    """
    detector = detector_of(checkpoint, device, threshold)
    return _video(detector, path) if is_video(path) else _picture(detector, read_picture(path).pixels)


def certainty(probability: float, threshold: float) -> tuple[str, str]:
    """The headline for a calibrated probability, and its level: "clear", "leaning" or "uncertain".

    Certainty is the smaller of two distances in log-odds: from the threshold, and from even odds. Below a
    strict threshold, a score can count as original although it is more probably fake than not. Such a score
    is called uncertain.
    """
    away = [_log_odds(probability) - _log_odds(threshold), _log_odds(probability)]
    side, distance = ("fake", min(away)) if probability >= threshold else ("original", -max(away))
    if distance < UNCERTAIN:
        return "Uncertain: too close to call", "uncertain"
    level = "clear" if distance >= CLEAR else "leaning"
    return HEADLINES[side, level], level


def rounded_percent(probability: float, threshold: float | None = None) -> str:
    """In whole percent, but never 0% or 100%. It gets more digits if it would otherwise look equal to the threshold."""
    if probability < 0.005:
        return "under 1%"
    if probability >= 0.995:
        return "over 99%"
    for digits in (0, 1, 2):
        text = f"{probability:.{digits}%}"
        if threshold is None or text != f"{threshold:.{digits}%}" or probability == threshold:
            return text
    return f"just {'above' if threshold is not None and probability > threshold else 'below'} {threshold:.0%}"


def of_hundred(probability: float) -> str:
    """How many out of 100, in words: "about 87" for 0.873."""
    if probability < 0.01:
        return "fewer than 1"
    return "more than 99" if probability > 0.99 else f"about {100 * probability:.0f}"


def false_alarms(probability: float, calibration: Calibration) -> list[str]:
    """What the ``fpr@x`` thresholds of a calibration say about a score, one item for each threshold."""
    said = []
    for rule, threshold in sorted(calibration.thresholds.items(), key=lambda item: item[1]):
        limit = fpr_limit(rule)
        if not math.isnan(limit):
            where = "This score is in that range." if probability >= threshold else "This score is below that range."
            share = f"{100 * limit:g} in 100 originals" if limit >= 0.01 else f"{1000 * limit:g} in 1000 originals"
            said.append(
                f"At most {share} of the validation frames scored {rounded_percent(threshold)} or more. {where}"
            )
    return said


@cache
def detector_of(checkpoint: Path, device: str | None, threshold: float | str | None) -> "Detector":
    """The detector of this process, which is the page's own: it may keep freed memory and set a filter."""
    from deepfake_detection.network.allocator import keep_freed_memory
    from deepfake_detection.serving.detector import Detector

    warnings.filterwarnings("ignore", module="PIL")
    detector = Detector.load(checkpoint, device=device, threshold=threshold)
    keep_freed_memory(detector.device)
    return detector


def _picture(detector: "Detector", pixels: Pixels) -> dict[str, Any]:
    (found,) = detector.predict([pixels])
    faces = sorted(found.faces, key=lambda face: -face.logit)
    shown = [_annotated_picture(pixels, faces[:FACES_SHOWN], WIDE, detector.sidecar.threshold)]
    crops = [_heat_map_uri(detector, pixels, face.box) for face in faces[:MOMENTS_SHOWN]]
    return {
        "kind": "picture",
        "mixed": False,
        "stretch": "",
        "reason": found.reason,
        "faces": [_face_label(face, detector.sidecar.threshold) for face in faces[:FACES_SHOWN]],
        "more_faces": max(0, len(faces) - FACES_SHOWN),
        "whole": found.verdict != "none" and faces[0].box is None,
        "shown": shown,
        "heat": [uri for uri in crops if uri],
        **_score_values(found.probability, detector.sidecar),
        **(UNFAMILIAR if found.verdict == "unfamiliar" else {}),
    }


def _face_label(face: "Face", threshold: float) -> str:
    return rounded_percent(face.probability, threshold) + ", unfamiliar" * (face.verdict == "unfamiliar")


def _video(detector: "Detector", path: Path) -> dict[str, Any]:
    with KeptFrames() as kept:
        found = detector.video(path, kept=kept)
        if found.failed:
            raise UnreadableImageError(found.reason)
        own = [moment for moment in found.moments if moment.person == 1]
        worst = own[:MOMENTS_SHOWN]
        # of every other person the most suspicious frame, which is the first
        others = {moment.person: moment for moment in reversed(found.moments) if moment.person > 1}
        shown = worst + [others[number] for number in sorted(others)[: PEOPLE_SHOWN - 1]]
        views = [
            _annotated_picture(kept[moment.seconds], [moment.face], NARROW, detector.sidecar.threshold)
            | {"time": clock(moment.seconds), "person": moment.person}
            for moment in shown
        ]
        heat = [_heat_map_uri(detector, kept[moment.seconds], moment.face.box) for moment in worst]
    above = sum(moment.face.verdict == "fake" for moment in own)
    mixed = found.verdict == "original" and above >= MIXED * len(own)
    undecided = found.verdict == "undecided"
    stretch = found.people[0].stretch if found.people else None
    return {
        "kind": "video",
        "reason": found.reason,
        "faces": [],
        "more_faces": 0,
        "frames": len(own),
        "above": above,
        "mixed": mixed,
        "whole": bool(own) and own[0].face.box is None,
        "people": [_person(person, detector.sidecar.video.threshold) for person in found.people[:PEOPLE_SHOWN]],
        "more_people": max(0, len(found.people) - PEOPLE_SHOWN),
        "stretch": f"{clock(stretch.start)} to {clock(stretch.end)}" if stretch and stretch.decides else "",
        "shown": views,
        "heat": [uri for uri in heat if uri],
        **_score_values(found.probability, detector.sidecar.video),
        **({"headline": MIXED_HEADLINE, "level": "uncertain"} if mixed else {}),
        **(UNFAMILIAR if found.verdict == "unfamiliar" else {}),
        **({"headline": UNDECIDED_HEADLINE, "level": "uncertain", "side": "none"} if undecided else {}),
    }


def _person(person: "Person", threshold: float) -> dict[str, Any]:
    stretch = person.stretch
    return {
        "verdict": person.verdict,
        "percent": rounded_percent(person.probability, threshold),
        "frames": person.frames,
        "first": clock(person.first),
        "last": clock(person.last),
        "stretch": f"{clock(stretch.start)} to {clock(stretch.end)}" if stretch else "",
    }


def _score_values(probability: float | None, calibration: Calibration) -> dict[str, Any]:
    threshold = calibration.threshold
    if probability is None:
        text = rounded_percent(threshold)
        return {"headline": "Not judged", "level": "none", "side": "none", "probability": None, "threshold_text": text}
    headline, level = certainty(probability, threshold)
    return {
        "headline": headline,
        "level": level,
        "side": "fake" if probability >= threshold else "original",
        "probability": probability,
        "threshold": threshold,
        "threshold_text": rounded_percent(threshold),
        "percent": rounded_percent(probability, threshold),
        "of_hundred": of_hundred(probability),
        "false_alarms": false_alarms(probability, calibration),
    }


def _annotated_picture(pixels: Pixels, faces: "list[Face]", longest: int, threshold: float) -> dict[str, Any]:
    """A smaller copy of a picture, and the boxes of its faces in the copy's pixels."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((longest, longest), reducing_gap=2.0)
    scale = picture.width / pixels.shape[1]
    boxes = [
        {
            "x": round(face.box.left * scale, 1),
            "y": round(face.box.top * scale, 1),
            "width": round((face.box.right - face.box.left) * scale, 1),
            "height": round((face.box.bottom - face.box.top) * scale, 1),
            "side": face.verdict,
        }
        for face in faces
        if face.box
    ]
    return {
        "uri": data_uri(picture, "JPEG", quality=88),
        "width": picture.width,
        "height": picture.height,
        "label_size": round(max(picture.size) * (0.045 if longest == WIDE else 0.07), 1),
        "boxes": boxes,
        "percent": rounded_percent(faces[0].probability, threshold) if faces else "",
    }


def _heat_map_uri(detector: "Detector", pixels: Pixels, box: "Box | None") -> str | None:
    """The heat map of a crop as a data: URI, or None if the extra ``explain`` is not installed."""
    try:
        from deepfake_detection.serving.explain import heat_map

        overlay = heat_map(detector, pixels, box)
    except (ModuleNotFoundError, UserError):
        return None
    picture = Image.fromarray(overlay)
    if max(picture.size) < NARROW // 2:  # browsers enlarge in different ways
        picture = picture.resize((NARROW // 2, NARROW // 2 * picture.height // picture.width), Image.Resampling.BICUBIC)
    picture.thumbnail((NARROW, NARROW))
    return data_uri(picture, "PNG")


def _log_odds(probability: float) -> float:
    inside = min(max(probability, 1e-9), 1 - 1e-9)
    return math.log(inside / (1 - inside))
