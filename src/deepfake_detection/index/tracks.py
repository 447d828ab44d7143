"""Chooses one face for each frame. The faces of a video are joined into tracks, so its crops do not jump."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.dtypes import StringDType

from deepfake_detection.common.parallel import map_in_processes
from deepfake_detection.index.tables import CHUNK_ROWS, one_line_errors
from deepfake_detection.media.faces import Box, detect_faces, prominence
from deepfake_detection.media.images import read_rgb

BOX_COLUMNS = ["path", *Box._fields]
NO_FACE = "no face found"
# Two boxes with at least this intersection over union are one face that has moved by at most about half its width.
MIN_IOU = 0.3

_VIDEO = ["category", "video_id", "source_id"]


def find_faces(index: pd.DataFrame, raw: Path, workers: int | None = None) -> pd.DataFrame:
    """One box for each frame of ``index`` (paths relative to ``raw``), with columns BOX_COLUMNS, in the same order.

    Frames of videos in which no face is found are left out. The result does not depend on ``workers``
    (processes; default: all granted processors). Raises UserError when the detector is not installed.
    """
    paths = np.array(index["path"], dtype=StringDType())
    found = list(map_in_processes(partial(_detect, raw), paths, len(paths), workers, "finding faces", "frame"))
    videos: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, video in enumerate(index[_VIDEO].itertuples(index=False, name=None)):
        videos[video].append(row)
    frames = index["frame"].tolist()
    boxes: dict[int, Box] = {}
    for rows in videos.values():
        followed = follow_faces([frames[row] for row in rows], [found[row] for row in rows])
        boxes |= {row: box for row, box in zip(rows, followed, strict=True) if box}
    return pd.DataFrame([(paths[row], *boxes[row]) for row in sorted(boxes)], columns=BOX_COLUMNS)


def follow_faces(frames: Sequence[int], faces: Sequence[list[Box]]) -> list[Box | None]:
    """One box for each frame of a video, given the numbers of the frames and their faces, the best face first.

    The most prominent face starts a track. Each frame that has the same face (MIN_IOU) joins the track. The
    other frames form further tracks in the same way, for example after a cut. All frames of a track get the
    union of its boxes, which keeps a moving head whole, and the highest of their scores. A frame without a face
    gets the box of the frame nearest in number that has one. If no frame has a face, all get None.
    """
    seen = sorted((at for at, boxes in enumerate(faces) if boxes), key=lambda at: -prominence(faces[at][0]))
    tracks: list[list[Box]] = []  # in each, the box that started it comes first
    track_of: dict[int, int] = {}
    for at in seen:
        joins = (
            (track, box)
            for track, joined in enumerate(tracks)
            for box in faces[at]
            if _overlap(box, joined[0]) >= MIN_IOU
        )
        track, box = next(joins, (len(tracks), faces[at][0]))
        if track == len(tracks):
            tracks.append([])
        tracks[track].append(box)
        track_of[at] = track
    if not tracks:
        return [None] * len(faces)
    unions = [_union(joined) for joined in tracks]
    nearest = (min(seen, key=lambda other: (abs(frames[other] - frame), frames[other])) for frame in frames)
    return [unions[track_of[at if at in track_of else near]] for at, near in enumerate(nearest)]


def read_boxes(path: Path) -> Iterator[tuple[str, Box]]:
    """Yields the paths and boxes of a file of faces, with at most CHUNK_ROWS in memory.

    Raises UserError when the file is missing or is not a table of faces.
    """
    types = {"path": str, **Box.__annotations__}
    with one_line_errors(path, "a table of faces"):
        for chunk in pd.read_csv(path, dtype=types, usecols=BOX_COLUMNS, keep_default_na=False, chunksize=CHUNK_ROWS):
            for name, *numbers in chunk[BOX_COLUMNS].itertuples(index=False):
                yield name, Box(*numbers)


def _detect(raw: Path, path: str) -> list[Box]:
    return detect_faces(read_rgb(raw / path))


def _overlap(one: Box, other: Box) -> float:
    """The intersection over union of two boxes."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    common = max(0, width) * max(0, height)
    return common / (_area(one) + _area(other) - common)


def _area(box: Box) -> int:
    return (box.right - box.left) * (box.bottom - box.top)


def _union(boxes: Sequence[Box]) -> Box:
    left, top, right, bottom, score = zip(*boxes, strict=True)
    return Box(min(left), min(top), max(right), max(bottom), max(score))
