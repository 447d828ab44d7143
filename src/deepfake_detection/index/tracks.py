"""Chooses one face for each frame. The faces of a video are joined into tracks, so its crops do not jump."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import mean, median
from typing import TYPE_CHECKING

import numpy as np

from deepfake_detection.pictures.faces import FACE_COLUMNS, Box, DetectedFace, prominence

if TYPE_CHECKING:  # a detector follows faces without tables
    import pandas as pd

NO_FACE = "no face found"
# Two boxes with at least this intersection over union are one face that has moved by at most about half its width.
MIN_IOU = 0.3
# With at least this one, the face has moved by at most a twentieth of its width: it stands still, and the detector's
# result differs from frame to frame.
STILL_IOU = 0.9

_VIDEO = ["dataset", "category", "video_id", "source_id"]
_FRAME = ["dataset", "video_id", "frame", "width", "height"]


def choose_faces(index: "pd.DataFrame") -> "pd.DataFrame":
    """One face for each frame of ``index``, with columns FACE_COLUMNS, in the same order.

    ``index`` is that of ``build_index`` with faces. A fake's face is that of its original's frame (same video_id, frame
    number and size) if the index has exactly one. So the crops of both match pixel by pixel. Frames of videos without
    any face are left out.
    """
    import pandas as pd

    labels, frames, found = (index[name].tolist() for name in ("label", "frame", "faces"))
    videos: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, video in enumerate(index[_VIDEO].itertuples(index=False, name=None)):
        videos[video].append(row)
    original_of = _originals(index)
    faces: dict[int, DetectedFace] = {}
    for label in (-1, 0, 1):  # fakes last, because they take the faces of their originals
        taken = {row: faces[original] for row, original in original_of.items() if original in faces}
        for rows in videos.values():
            if labels[rows[0]] == label:
                seen = [[taken[row]] if row in taken else found[row] for row in rows]
                followed = follow_faces([frames[row] for row in rows], seen)
                faces |= {row: face for row, face in zip(rows, followed, strict=True) if face}
        faces |= taken
    paths = index["path"].tolist()
    table = [(paths[row], *faces[row].box, *faces[row].landmarks) for row in sorted(faces)]
    return pd.DataFrame(table, columns=FACE_COLUMNS)


def _originals(index: "pd.DataFrame") -> dict[int, int]:
    """The row of the original for the row of each fake that has one."""
    keys = list(index[_FRAME].itertuples(index=False, name=None))
    originals: defaultdict[tuple[str, str, int, int, int], list[int]] = defaultdict(list)
    for row in np.flatnonzero(index["label"] == 0).tolist():
        originals[keys[row]].append(row)
    # two real categories may use the same ids for different videos: then it is not known which is the original
    fakes = np.flatnonzero(index["label"] == 1).tolist()
    return {row: originals[keys[row]][0] for row in fakes if len(originals.get(keys[row], ())) == 1}


def follow_faces(frames: Sequence[int], faces: Sequence[list[DetectedFace]]) -> list[DetectedFace | None]:
    """One face for each frame of a video, given the numbers of the frames and their faces, the best face first.

    The most prominent face starts a track. Each frame that has the same face (MIN_IOU) joins the track. The
    other frames form further tracks in the same way, for example after a cut. ``smooth_track`` makes the boxes of a
    track. A frame without a face gets the face of the frame nearest in number that has one. If no frame has a face,
    all get None.
    """
    seen = sorted((at for at, found in enumerate(faces) if found), key=lambda at: -prominence(faces[at][0].box))
    tracks: list[dict[int, DetectedFace]] = []  # in each, the face that started it comes first
    for at in seen:
        joins = (
            (track, face)
            for track in tracks
            for face in faces[at]
            if overlap(face.box, next(iter(track.values())).box) >= MIN_IOU
        )
        track, face = next(joins, (None, faces[at][0]))
        if track is None:
            tracks.append({at: face})
        else:
            track[at] = face
    followed: dict[int, DetectedFace] = {}
    for track in tracks:
        in_order = sorted(track, key=lambda at: frames[at])
        followed |= zip(in_order, smooth_track([track[at] for at in in_order]), strict=True)
    if not followed:
        return [None] * len(faces)
    nearest = (min(seen, key=lambda other: (abs(frames[other] - frame), frames[other])) for frame in frames)
    return [followed[at if at in followed else near] for at, near in enumerate(nearest)]


def smooth_track(track: Sequence[DetectedFace]) -> list[DetectedFace]:
    """The faces of one track, in the order of its frames, with boxes of one size: the medians of widths and heights.

    Each box is centred on the frame's own face, so a crop is about the one that the frame gets when it is judged by
    itself. The centre is the mean over the face and those right before and after it which hardly differ (STILL_IOU).
    This takes away part of the detector's noise and hardly any of a movement. The numbers of the frames do not count:
    in FaceForensics++, as in a video that is sampled, frames 0 and 1 may be many seconds apart. A box stays within the
    union of the track's boxes, and so inside the picture. Scores and landmarks do not change, and a track of one face
    is returned as it is.
    """
    boxes = [face.box for face in track]
    width = round(median(box.right - box.left for box in boxes))
    height = round(median(box.bottom - box.top for box in boxes))
    least_left, least_top = min(box.left for box in boxes), min(box.top for box in boxes)
    most_left, most_top = max(box.right for box in boxes) - width, max(box.bottom for box in boxes) - height
    smooth = []
    for at, (own, landmarks) in enumerate(track):
        still = [box for box in boxes[max(0, at - 1) : at + 2] if overlap(own, box) >= STILL_IOU]
        left = round(mean(box.left + box.right for box in still) / 2 - width / 2)
        top = round(mean(box.top + box.bottom for box in still) / 2 - height / 2)
        left, top = min(max(left, least_left), most_left), min(max(top, least_top), most_top)
        smooth.append(DetectedFace(Box(left, top, left + width, top + height, own.score), landmarks))
    return smooth


def overlap(one: Box, other: Box) -> float:
    """The intersection over union of two boxes."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    common = max(0, width) * max(0, height)
    return common / (_area(one) + _area(other) - common)


def _area(box: Box) -> int:
    return (box.right - box.left) * (box.bottom - box.top)
