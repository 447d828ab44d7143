"""Prepares what the page and case files show for a picture or video: text, numbers, small pictures.

``load`` and ``values_of`` are the page's. They run in a separate process, which may be killed at any time.
"""

import warnings
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.text import clock
from deepfake_detection.pictures.images import UnreadableImageError, read_picture
from deepfake_detection.pictures.kinds import is_video
from deepfake_detection.reporting.html import data_uri
from deepfake_detection.serving.credentials import Anchors, credentials_of
from deepfake_detection.serving.labels import Rect, place_labels
from deepfake_detection.serving.people import KeptFrames
from deepfake_detection.serving.results import decisive_stretch
from deepfake_detection.serving.words import face_words, rounded_percent, where_words, wording

if TYPE_CHECKING:  # the server process holds no network and starts without torch
    from deepfake_detection.network.sidecar import Sidecar
    from deepfake_detection.pictures.faces import Box
    from deepfake_detection.serving.detector import Detector
    from deepfake_detection.serving.results import Face, Moment, Person, Prediction, VideoPrediction

Pixels = NDArray[np.uint8]

MOMENTS_SHOWN = 4  # frames of the person who decides; of every other person one is shown
FACES_SHOWN = 20
PEOPLE_SHOWN = 5  # of a video
WIDE, NARROW = 1000, 560  # longer side in pixels of a picture shown alone, and of one among several


def load(checkpoint: Path, device: str | None = None, threshold: float | str | None = None) -> None:
    """Loads the network of ``checkpoint``, unless this process already has. Raises UserError like Detector.load."""
    detector_of(checkpoint, device, threshold)


def values_of(
    checkpoint: Path,
    path: Path,
    device: str | None = None,
    threshold: float | str | None = None,
    anchors: Anchors | None = None,
) -> dict[str, Any]:
    """What the template shows for the picture or video in ``path``: plain values and data: URIs.

    Raises UnreadableImageError, in a few words, if the file is neither or is damaged.
    """
    values = shown(detector_of(checkpoint, device, threshold), path)[1]
    return values | {"credentials": credentials_of(path, anchors)}


def shown(
    detector: "Detector", path: Path, frames: int | None = None, check: bool = False
) -> "tuple[Prediction, dict[str, Any]]":
    """The prediction of a picture or video, and what a template shows for it. ``frames`` is as for Detector.video.

    With ``check`` the file is judged again after mild changes, see serving.stability.

    Raises UnreadableImageError as ``values_of`` does.
    """
    found, values = _video(detector, path, frames, check) if is_video(path) else _picture(detector, path, check)
    return found, values | {
        "verdict": found.verdict,
        "said": wording(found, detector.sidecar),
        "probability": found.probability,
        "reason": found.reason,
    }


@cache
def detector_of(checkpoint: Path, device: str | None, threshold: float | str | None) -> "Detector":
    """The detector of this process, which is the page's own: it may keep freed memory and set a filter."""
    from deepfake_detection.network.allocator import keep_freed_memory
    from deepfake_detection.serving.detector import Detector

    warnings.filterwarnings("ignore", module="PIL")
    detector = Detector.load(checkpoint, device=device, threshold=threshold)
    keep_freed_memory(detector.device)
    return detector


def _picture(detector: "Detector", path: Path, check: bool) -> "tuple[Prediction, dict[str, Any]]":
    from deepfake_detection.serving.given import in_file
    from deepfake_detection.serving.stability import checked_picture

    read = read_picture(path)
    pixels = read.pixels
    (found,) = detector.predict([pixels])
    found = checked_picture(detector, found, pixels) if check else found
    faces = sorted(found.faces, key=lambda face: -face.logit)
    placed = tuple(replace(face, box=face.box and in_file(face.box, read)) for face in found.faces)
    return replace(found, path=str(path), faces=placed), {
        "kind": "picture",
        "threshold": detector.sidecar.frame.threshold,
        "faces": [face_words(face, detector.sidecar.frame.threshold) for face in faces[:FACES_SHOWN]],
        "more_faces": max(0, len(faces) - FACES_SHOWN),
        "people": [],
        "whole": found.verdict != "none" and faces[0].box is None,
        "shown": [_annotated_picture(pixels, faces[:FACES_SHOWN], WIDE, detector.sidecar.frame.threshold)],
        "looks": [_look(detector, pixels, face) for face in faces[:MOMENTS_SHOWN]],
        "brightness": float(detector.crop(pixels, faces[0].detected).mean()) if faces else None,
    }


def _video(detector: "Detector", path: Path, frames: int | None, check: bool) -> "tuple[Prediction, dict[str, Any]]":
    from deepfake_detection.serving.stability import checked_video

    with KeptFrames() as kept:
        found = detector.video(path, frames, kept=kept)
        if found.failed:
            raise UnreadableImageError(found.reason)
        found = checked_video(detector, found, kept) if check else found
        own = [moment for moment in found.moments if moment.person == 1]
        # of every other person the most suspicious frame, which is the first
        others = {moment.person: moment for moment in reversed(found.moments) if moment.person > 1}
        moments = own[:MOMENTS_SHOWN] + [others[number] for number in sorted(others)[: PEOPLE_SHOWN - 1]]
        views = [
            _annotated_picture(kept[moment.seconds], [moment.face], NARROW, detector.sidecar.frame.threshold)
            | {"time": clock(moment.seconds), "person": moment.person}
            for moment in moments
        ]
        looks = [_look(detector, kept[moment.seconds], moment.face) for moment in moments]
        crops = [detector.crop(kept[moment.seconds], moment.face.detected) for moment in own[:MOMENTS_SHOWN]]
    return found, {
        "kind": "video",
        "threshold": detector.sidecar.score.reading.threshold,
        "whole": bool(own) and own[0].face.box is None,
        "people": [_person(person, detector.sidecar.score.reading.threshold) for person in found.people[:PEOPLE_SHOWN]],
        "more_people": max(0, len(found.people) - PEOPLE_SHOWN),
        "timeline": timeline(found, detector.sidecar),
        "shown": views,
        "brightness": float(np.mean(crops)) if crops else None,
        "looks": looks,
    }


def timeline(found: "VideoPrediction", sidecar: "Sidecar") -> dict[str, Any]:
    """What is drawn of a video over time: a lane for each person who is shown, with a point for each judged frame.

    Places are in percent: ``x`` of the video's length, ``y`` of a lane's height, from above. An unfamiliar frame has
    no ``y``, and no frame of an unfamiliar person has one. ``lines`` join the points of frames that follow each other.
    """
    length = max(found.seconds, 0.1)
    order = {seconds: number for number, seconds in enumerate(sorted({each.seconds for each in found.moments}))}

    def point(moment: "Moment", known: bool) -> dict[str, Any]:
        probability = None if moment.face.verdict == "unfamiliar" else moment.face.probability
        return {
            "x": round(100 * min(moment.seconds / length, 1), 2),
            "y": round(100 * (1 - probability), 2) if known and probability is not None else None,
            "side": moment.face.verdict if known else "unfamiliar",
            "seconds": round(moment.seconds, 3),
            "place": order[moment.seconds],
            "said": face_words(moment.face, sidecar.frame.threshold) if known else "unfamiliar",
            "time": clock(moment.seconds),
        }

    def lane(person: "Person") -> dict[str, Any]:
        own = sorted((each for each in found.moments if each.person == person.number), key=lambda each: each.seconds)
        points = [point(moment, person.verdict != "unfamiliar") for moment in own]
        known = [each for each in points if each["y"] is not None]
        starts = [at for at, each in enumerate(known) if not at or each["place"] != known[at - 1]["place"] + 1]
        lines = [known[start:end] for start, end in pairwise([*starts, len(known)])]
        return {"said": _said_of(person, sidecar.score.reading.threshold), "points": points, "lines": lines}

    stretch = decisive_stretch(found)
    return {
        "seconds": found.seconds,
        "ticks": [clock(found.seconds * share / 4) for share in range(5)],
        "threshold": sidecar.frame.threshold,
        "stretch": stretch
        and {
            "x": round(100 * stretch.start / length, 2),
            "width": round(100 * (min(stretch.end, length) - stretch.start) / length, 2),
            "times": stretch.times(),
        },
        "lanes": [lane(person) for person in found.people[:PEOPLE_SHOWN]],
    }


def _said_of(person: "Person", threshold: float) -> str:
    if person.verdict == "unfamiliar":
        return person.verdict
    return f"{person.verdict}, {rounded_percent(person.probability, threshold)}"


def _person(person: "Person", threshold: float) -> dict[str, Any]:
    stretch = person.stretch
    return {
        "said": _said_of(person, threshold),
        "frames": person.frames,
        "first": clock(person.first),
        "last": clock(person.last),
        "stretch": stretch.times() if stretch else "",
        "stretch_percent": rounded_percent(stretch.probability) if stretch else "",
    }


def _annotated_picture(pixels: Pixels, faces: "list[Face]", longest: int, threshold: float) -> dict[str, Any]:
    """A smaller copy of a picture, and the boxes of its faces in the copy's pixels."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((longest, longest), reducing_gap=2.0)
    scale = picture.width / pixels.shape[1]
    boxed = [(face, _scaled(face.box, scale)) for face in faces if face.box]
    texts = [label_of(face, number, len(boxed), threshold) for number, (face, _) in enumerate(boxed, 1)]
    size = max(picture.size) * (0.045 if longest == WIDE else 0.07)
    labels = place_labels([rect for _, rect in boxed], texts, *picture.size, size)
    return {
        "uri": data_uri(picture, "JPEG", quality=88),
        "width": picture.width,
        "height": picture.height,
        "boxes": [rect._asdict() | {"side": face.verdict.replace(" ", "-")} for face, rect in boxed],
        "labels": [
            {name: round(value, 1) for name, value in label.place._asdict().items()}
            | {"text": label.text, "size": round(label.size, 1)}
            for label in labels
        ],
        "percent": face_words(faces[0], threshold) if faces else "",
    }


def _scaled(box: "Box", scale: float) -> Rect:
    edges = [round(edge * scale, 1) for edge in box[:4]]
    return Rect(edges[0], edges[1], round(edges[2] - edges[0], 1), round(edges[3] - edges[1], 1))


def label_of(face: "Face", number: int, faces: int, threshold: float) -> str:
    """What stands at a face, with its number if there are several."""
    said = face_words(face, threshold)
    return f"{number}: {said}" if faces > 1 else said


def _look(detector: "Detector", pixels: Pixels, face: "Face") -> dict[str, str]:
    """The crop that the network saw, and its heat map, as data: URIs; {} if the extra ``explain`` is not installed.

    If the map says where it looks changed, ``where`` says how often that is right. An ONNX file has no heat map, nor
    have networks that judge together.
    """
    try:
        from deepfake_detection.serving.explain import heat_map, measured_where, network_view
    except ModuleNotFoundError:
        return {}
    crop = network_view(detector, pixels, face.detected)
    look = {"crop": data_uri(_enlarged(crop), "JPEG", quality=88)}
    try:
        overlay = heat_map(detector, pixels, face.detected)
    except UserError:
        return look
    where = measured_where(detector)
    said = {"where": where_words(where)} if where else {}
    return look | {"heat": data_uri(_enlarged(Image.fromarray(overlay)), "PNG")} | said


def _enlarged(picture: Image.Image) -> Image.Image:
    if max(picture.size) < NARROW // 2:  # browsers enlarge in different ways
        picture = picture.resize((NARROW // 2, NARROW // 2 * picture.height // picture.width), Image.Resampling.BICUBIC)
    picture.thumbnail((NARROW, NARROW))
    return picture
