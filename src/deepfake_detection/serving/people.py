"""Follows every face through the sampled frames of a video, which are kept, so that it is decoded once.

The faces of one person form a track.
"""

from collections.abc import Sequence
from tempfile import SpooledTemporaryFile, gettempdir
from types import TracebackType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.text import system_words
from deepfake_detection.index.tracks import MIN_IOU, overlap
from deepfake_detection.pictures.crops import crop_face
from deepfake_detection.pictures.faces import DetectedFace

# How something looks: a square this many pixels wide, in colour. Looks are compared by their correlation.
LOOK_SIZE, LOOK_MARGIN = 8, 0.3  # of a face; the margin is that of crop_face
SHOT_SIZE = 16  # of a whole frame
# Measured on frames of 80 photo-like videos, and on drawn videos, whose frames are less alike. Between frames of one
# video the look of the whole is above 0.88 (drawn: 95% above 0.82), that of the face above 0.93 (drawn: all above 0.6).
# Between two videos, 95% are below 0.84 (drawn: 0.62), and 99% of the faces below 0.93 (drawn: 0.77).
SAME_SHOT = 0.85  # of two frames; less is a cut
SAME_PLACE = 0.6  # of a face where the last one was, in the same shot
SAME_PLACE_AFTER_CUT = 0.85
SAME_LOOK = 0.93  # of a face elsewhere
IN_MEMORY = 2**28  # bytes; what is more goes to a temporary file

Pixels = NDArray[np.uint8]
Look = NDArray[np.float32]


class Sighting(NamedTuple):
    """A face in one frame, and how it looks."""

    face: DetectedFace
    look: Look


def look_of(pixels: Pixels, face: DetectedFace) -> Look:
    """What tells a person from the others in a video: the face and what is around it, coarsely.

    Shape (LOOK_SIZE * LOOK_SIZE * 3,), of mean 0 and length 1. ``pixels`` is RGB of shape (height, width, 3).
    """
    return _unit(crop_face(pixels, face, "face", LOOK_MARGIN, LOOK_SIZE))


def shot_of(pixels: Pixels) -> Look:
    """As look_of, for the whole frame: shape (SHOT_SIZE * SHOT_SIZE * 3,)."""
    size = (SHOT_SIZE, SHOT_SIZE)
    return _unit(np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)))


def follow_people(frames: Sequence[Sequence[Sighting]], shots: Sequence[Look]) -> list[dict[int, DetectedFace]]:
    """The tracks of a video, given the faces and the looks of its frames in the order of time.

    A track is the face of one person for each frame's place; it has at least one. A face goes on with a track if it is
    where the track's last face was (MIN_IOU) and not unlike it, or if it looks very much like it, wherever it is.
    Behind a cut the look counts more. So a cut to another person begins a track, and a person who leaves and returns
    goes on with the old one. Among the faces of one frame, the assignment with the most in common is taken (Kuhn 1955).
    """
    from scipy.optimize import linear_sum_assignment  # only videos with faces need it, and it is slow to load

    tracks: list[dict[int, DetectedFace]] = []
    last: list[tuple[Sighting, int]] = []  # of each track, with the number of its shot
    shot = 0
    for at, seen in enumerate(frames):
        shot += at > 0 and float(shots[at - 1] @ shots[at]) < SAME_SHOT
        common = [[_common(known, sighting, shot == known_shot) for sighting in seen] for known, known_shot in last]
        table = np.array(common).reshape(len(last), len(seen))
        pairs = zip(*linear_sum_assignment(table, maximize=True), strict=True)
        joined = {int(number): int(track) for track, number in pairs if table[track, number] > 0}
        for number, sighting in enumerate(seen):
            track = joined.get(number, len(tracks))
            if track == len(tracks):
                tracks.append({})
                last.append((sighting, shot))
            tracks[track][at], last[track] = sighting.face, (sighting, shot)
    return tracks


def _common(known: Sighting, seen: Sighting, same_shot: bool) -> float:
    """How much speaks for one person, and 0 if too little does."""
    place, look = overlap(known.face.box, seen.face.box), float(known.look @ seen.look)
    needed = SAME_LOOK if place < MIN_IOU else SAME_PLACE if same_shot else SAME_PLACE_AFTER_CUT
    return place + look if look >= needed else 0.0


def _unit(small: Pixels) -> Look:
    look = small.astype(np.float32).ravel()
    look -= look.mean()
    scaled: Look = look / max(float(np.linalg.norm(look)), 1e-6)
    return scaled


class NoSpaceError(UserError):
    """There is no space for temporary files."""


class KeptFrames:
    """Frames by their times in seconds, uint8 of shape (height, width, 3). It is a context, at whose end all are gone.

    Up to IN_MEMORY bytes are in memory, and more in a temporary file without a name. A frame that is the same array as
    the one before it takes no space.
    """

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  closed by __exit__
        self._places: dict[float, tuple[int, tuple[int, ...]]] = {}
        self._last: tuple[Pixels, tuple[int, tuple[int, ...]]] | None = None

    def __enter__(self) -> "KeptFrames":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._last = None
        self._file.close()

    def add(self, seconds: float, pixels: Pixels) -> None:
        """Keeps a frame. Raises NoSpaceError if there is no space for it."""
        if self._last is None or self._last[0] is not pixels:
            start = self._file.seek(0, 2)
            try:
                self._file.write(np.ascontiguousarray(pixels).data)
            except OSError as error:
                where = f"{gettempdir()}: the frames of a video cannot be kept there ({system_words(error)})"
                raise NoSpaceError(f"{where}; set TMPDIR to a folder with more space") from None
            self._last = pixels, (start, pixels.shape)
        self._places[seconds] = self._last[1]

    def __getitem__(self, seconds: float) -> Pixels:
        start, shape = self._places[seconds]
        self._file.seek(start)
        read = self._file.read(int(np.prod(shape)))
        return np.frombuffer(read, np.uint8).reshape(shape)
