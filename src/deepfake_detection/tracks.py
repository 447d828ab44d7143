"""Which face of each frame is looked at: the faces of a video's frames, joined so that its crops do not jump."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.dtypes import StringDType

from deepfake_detection.cpus import map_in_processes
from deepfake_detection.crops import Box, detect_faces, prominence
from deepfake_detection.errors import UserError
from deepfake_detection.images import read_rgb
from deepfake_detection.tables import PART

BOX_COLUMNS = ["path", *Box._fields]
NO_FACE = "no face found"
# Intersection over union from which on two boxes are one face that has moved: by half its width, or not quite
SAME_FACE = 0.3

_VIDEO = ["category", "video_id", "source_id"]


def find_faces(index: pd.DataFrame, raw: Path, workers: int | None = None) -> pd.DataFrame:
    """One box for each frame of ``index`` (paths relative to ``raw``), with columns BOX_COLUMNS, in its order.

    Frames of videos in which no face is found are left out. Nothing depends on ``workers`` (processes;
    default: all processors granted). Raises UserError when the detector is not installed.
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
    """One box for each frame of a video, given the frames' numbers and their faces, each frame's best first.

    The most prominent face founds a track; each frame whose faces include that one (SAME_FACE) joins it; what
    is left goes on in the same way, as after a cut. All frames of a track get the union of its boxes, in which
    a moving head stays whole, with the highest of their scores. A frame without a face gets the box of the
    frame nearest in number; all get None where no frame has a face.
    """
    seen = sorted((at for at, boxes in enumerate(faces) if boxes), key=lambda at: -prominence(faces[at][0]))
    tracks: list[list[Box]] = []  # the founder first
    track_of: dict[int, int] = {}
    for at in seen:
        joins = (
            (track, box)
            for track, joined in enumerate(tracks)
            for box in faces[at]
            if _overlap(box, joined[0]) >= SAME_FACE
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
    """The paths and boxes of a written table, of which it never holds more than PART.

    Raises UserError when the file is missing or is no such table.
    """
    types = {"path": str, **Box.__annotations__}
    try:
        for part in pd.read_csv(path, dtype=types, usecols=BOX_COLUMNS, keep_default_na=False, chunksize=PART):
            for name, *numbers in part[BOX_COLUMNS].itertuples(index=False):
                yield name, Box(*numbers)
    except FileNotFoundError:
        raise UserError(f"{path} not found: run the stage that writes it (dvc repro)") from None
    except ValueError as error:
        problem = " ".join(str(error).split())
        raise UserError(f"{path} is not a table of faces ({problem}): run the stage that writes it again") from None


def _detect(raw: Path, path: str) -> list[Box]:
    return detect_faces(read_rgb(raw / path))


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    common = max(0, width) * max(0, height)
    return common / (_area(one) + _area(other) - common)


def _area(box: Box) -> int:
    return (box.right - box.left) * (box.bottom - box.top)


def _union(boxes: Sequence[Box]) -> Box:
    left, top, right, bottom, score = zip(*boxes, strict=True)
    return Box(min(left), min(top), max(right), max(bottom), max(score))
