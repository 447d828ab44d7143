"""Judges a video: its frames are looked at once, its people are followed, and their faces are scored."""

import os
from contextlib import nullcontext
from dataclasses import replace
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from deepfake_detection.index.tracks import NO_FACE, smooth_track
from deepfake_detection.network.sidecar import UNCALIBRATED
from deepfake_detection.pictures.faces import DetectedFace, detect_faces, is_turned
from deepfake_detection.pictures.images import UnreadableImageError
from deepfake_detection.serving.ahead import in_one_thread
from deepfake_detection.serving.authors_reading import counting, logit_of, video_score
from deepfake_detection.serving.detector import TURNED, Detector, large_enough, reason_for
from deepfake_detection.serving.given import Pixels
from deepfake_detection.serving.people import KeptFrames, Look, Sighting, follow_people, look_of, shot_of
from deepfake_detection.serving.results import Moment, Verdict, VideoPrediction, damage_words, people_of
from deepfake_detection.videos.video import NONE_SOUND, Frame, Video

MAX_UNSEEN = 1 / 3  # of a video may be damaged or missing; if it is more, there is no verdict
TURNED_FRAMES = 3  # of a video are looked at, to see whether it is turned


class _Shown(NamedTuple):
    """One sampled frame of a video, without its pixels: its faces, or the crop if the whole of it is judged."""

    seconds: float
    damaged: bool
    seen: list[Sighting]
    look: Look
    crop: Pixels | None


def judge_video(
    detector: Detector,
    path: str | os.PathLike[str],
    frames: int | None,
    batch_size: int,
    kept: KeptFrames | None,
) -> VideoPrediction:
    """See ``Detector.video``."""
    authors = detector.authors
    try:
        video = Video(Path(path), frames or (authors.video_frames if authors else None), authors is not None)
        with nullcontext(kept) if kept is not None else KeptFrames() as store:
            shown = [_look_at(detector, frame, store, keep=kept is not None) for frame in in_one_thread(video.frames())]
            if all(frame.damaged for frame in shown):
                raise UnreadableImageError(NONE_SOUND)
            decided = video.unseen_share <= MAX_UNSEEN
            sound = [frame for frame in shown if not (decided and frame.damaged)]
            with_face = [frame for frame in sound if frame.seen][:TURNED_FRAMES]
            if with_face and all(
                is_turned(store[frame.seconds], [each.face for each in frame.seen]) for frame in with_face
            ):
                return _of_video(path, video, reason=TURNED)
            tracks = _tracks(detector, sound)
            faces = [(at, track) for at in range(len(sound)) for track, found in enumerate(tracks) if at in found]
            crops = (_crop_of(detector, sound[at], tracks[track][at], store) for at, track in faces)
            scores = dict(zip(faces, detector.scores(crops, batch_size), strict=True))
    except UnreadableImageError as error:
        return VideoPrediction(str(path), "none", reason=str(error), failed=True)
    if not tracks:
        return _of_video(path, video, NO_FACE)
    moments = [
        Moment(
            sound[at].seconds,
            detector.to_face(tracks[track][at], scores[at, track], len(tracks)),
            sound[at].damaged,
            track + 1,
        )
        for at, track in faces
    ]
    moments.sort(key=lambda moment: -moment.face.logit)
    if authors:
        logits = [[scores[place].logit for place in places] for _, places in groupby(faces, key=itemgetter(0))]
        found = video_score(logits, authors)
        numbers: dict[str, Any] = {"logit": logit_of(found), "authors_score": found}
        moments = [replace(moment, person=1) for moment in moments]
        return _of_video(path, video, UNCALIBRATED, verdict="uncalibrated", moments=tuple(moments), **numbers)
    times = _spans([frame.seconds for frame in shown], video.seconds)
    timed = [[(*times[sound[at].seconds], scores[at, track]) for at in found] for track, found in enumerate(tracks)]
    order, people = people_of(timed, detector.sidecar)
    worst = people[0]
    verdict: Verdict = worst.verdict if decided else "uncertain"
    return _of_video(
        path,
        video,
        reason_for(verdict, worst.unfamiliarity, detector.sidecar.score.reading),
        verdict=verdict,
        probability=worst.probability,
        logit=worst.logit,
        unfamiliarity=worst.unfamiliarity,
        evidence=worst.evidence if decided else None,
        moments=tuple(replace(moment, person=order.index(moment.person - 1) + 1) for moment in moments),
        people=tuple(people),
    )


def _look_at(detector: Detector, frame: Frame, store: KeptFrames, keep: bool) -> _Shown:
    """What is needed of a frame later: its crop, if the whole of it is judged, or else its faces."""
    faces = detector.sidecar.crop != "none"
    if keep or faces:
        store.add(frame.seconds, frame.pixels)
    if not faces:
        return _Shown(frame.seconds, frame.damaged, [], shot_of(frame.pixels), detector.crop(frame.pixels, None))
    found = large_enough(detect_faces(frame.pixels))
    seen = [Sighting(face, look_of(frame.pixels, face)) for face in found]
    return _Shown(frame.seconds, frame.damaged, seen, shot_of(frame.pixels), None)


def _tracks(detector: Detector, frames: list[_Shown]) -> list[dict[int, DetectedFace | None]]:
    """The people of a video: the face for each frame's place. The whole frames are one person, without faces.

    Authors of others follow nobody: the first track has the most prominent face of each frame, and so on.
    """
    if detector.sidecar.crop == "none":
        return [dict.fromkeys(range(len(frames)))]
    if detector.authors:
        counted = [counting([each.face for each in frame.seen], detector.authors, video=True) for frame in frames]
        most = max(map(len, counted), default=0)
        return [{at: own[rank] for at, own in enumerate(counted) if len(own) > rank} for rank in range(most)]
    tracks = follow_people([frame.seen for frame in frames], [frame.look for frame in frames])
    return [dict(zip(track, smooth_track(list(track.values())), strict=True)) for track in tracks]


def _crop_of(detector: Detector, frame: _Shown, face: DetectedFace | None, store: KeptFrames) -> Pixels:
    return detector.crop(store[frame.seconds], face) if frame.crop is None else frame.crop


def _of_video(
    path: str | os.PathLike[str], video: Video, reason: str, verdict: Verdict = "none", **values: Any
) -> VideoPrediction:
    """The prediction, which also says how much of the video was not seen. ``values`` are further fields."""
    seconds, unseen = video.seconds, video.unseen_seconds
    said = ", ".join(filter(None, [reason, damage_words(seconds, unseen)]))
    return VideoPrediction(str(path), verdict, reason=said, seconds=seconds, unseen_seconds=unseen, **values)


def _spans(seconds: list[float], length: float) -> dict[float, tuple[float, float]]:
    """From when to when a sampled frame stands for the video: halfway to the one before and to the one behind."""
    edges = [0.0, *((one + other) / 2 for one, other in pairwise(seconds)), length]
    return dict(zip(seconds, pairwise(edges), strict=True))
