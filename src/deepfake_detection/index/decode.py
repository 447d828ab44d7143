"""Decodes every frame once, for all that index and split ask of its pixels: size, hashes and faces."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.dtypes import StringDType
from numpy.typing import NDArray

from deepfake_detection.common.parallel import map_in_processes
from deepfake_detection.pictures.faces import DetectedFace, detect_faces
from deepfake_detection.pictures.images import UnreadableImageError, read_rgb

Size = tuple[int, int]
Shot = tuple[str, int]  # the video that a frame shows, changed or not, and its number there

DUPLICATE = "duplicate of "


class Decoded(NamedTuple):
    """What the pixels of one frame say.

    ``digest`` is half the SHA-256 of the file's bytes. Width and height are in pixels of the upright picture.
    ``phash`` is the 64-bit pHash of the library imagehash (Zauner 2010: signs of the lowest 8 x 8 DCT coefficients
    around their median), computed on the whole frame. It sees layout, not identity: different people with similar
    pose, hair and background are near each other, too. ``faces`` is None if faces were not looked for.
    """

    digest: bytes
    width: int
    height: int
    phash: int
    faces: list[DetectedFace] | None


class DecodedFrames(NamedTuple):
    """What the pixels of many frames say. ``sizes`` has shape (n, 2), the other arrays have shape (n,).

    A frame that cannot be decoded has the digest b"", and the reason in ``problems`` under its number.
    """

    digests: NDArray[np.bytes_]
    sizes: NDArray[np.int32]
    phashes: NDArray[np.uint64]
    faces: NDArray[np.object_]
    problems: dict[int, str]


def open_frames(
    raw: Path, table: pd.DataFrame, faces: bool, workers: int | None
) -> tuple[pd.DataFrame, dict[int, str]]:
    """Decodes the files of ``table``, whose ``path`` is below ``raw``, originals and unlabelled frames first.

    Returns ``path``, width, height, phash and, if they are wanted, ``faces`` of the files that can be used. A fake
    whose original has a face in the same frame at the same size is not searched: its ``faces`` are None. Also returns
    what is wrong with the others, by their row. Of equal files only the first can be used.
    """
    files, originals = np.array(table["path"].tolist(), dtype=StringDType()), int((table["label"] < 1).sum())
    shots = list(zip(table["video_id"], table["frame"], strict=True))
    none = repeat(None)
    of_real = decode_frames(raw, files[:originals], repeat(()) if faces else none, "opening originals", workers)
    known = _sizes_with_face(shots[:originals], of_real, shots[originals:]) if faces else none
    of_fake = decode_frames(raw, files[originals:], known, "opening fakes", workers)
    problems = of_real.problems | {originals + row: reason for row, reason in of_fake.problems.items()}
    copies = _first_copies(np.concatenate([of_real.digests, of_fake.digests]))
    for row in np.flatnonzero((copies >= 0) & (copies != np.arange(len(files)))).tolist():
        problems[row] = f"{DUPLICATE}{files[copies[row]]}"
    usable = np.flatnonzero(copies == np.arange(len(files)))
    sizes = np.concatenate([of_real.sizes, of_fake.sizes])[usable]
    found = pd.DataFrame({"path": table["path"].iloc[usable], "width": sizes[:, 0], "height": sizes[:, 1]})
    found["phash"] = np.concatenate([of_real.phashes, of_fake.phashes])[usable]
    if faces:
        found["faces"] = np.concatenate([of_real.faces, of_fake.faces])[usable]
    return found, problems


def _first_copies(digests: NDArray[np.bytes_]) -> NDArray[np.int64]:
    """For each file, the number of the first file with the same digest; -1 for a file without digest."""
    opened = np.flatnonzero(digests != b"")
    _, first, equal = np.unique(digests[opened], return_index=True, return_inverse=True)
    copies = np.full(len(digests), -1)
    copies[opened] = opened[first][equal]
    return copies


def _sizes_with_face(real: list[Shot], decoded: DecodedFrames, fake: list[Shot]) -> Iterator[Collection[Size]]:
    """For each fake, the sizes at which exactly one original has its target and frame number, and has a face in it."""
    copies = _first_copies(decoded.digests)
    counts: Counter[tuple[str, int, Size]] = Counter()
    for row in np.flatnonzero(copies == np.arange(len(real))).tolist():
        counts[*real[row], tuple(decoded.sizes[row].tolist())] += 1 if decoded.faces[row] else 2
    sizes: defaultdict[Shot, list[Size]] = defaultdict(list)
    for (target, frame, size), count in counts.items():
        if count == 1:
            sizes[target, frame].append(size)
    return (sizes.get(shot, ()) for shot in fake)


def decode_frames(
    folder: Path, files: NDArray[Any], known: Iterable[Collection[Size] | None], title: str, workers: int | None
) -> DecodedFrames:
    """Decodes ``files``, an array of paths below ``folder``.

    ``known`` gives for each file the sizes of picture for which its faces are known already; None: no faces are wanted.
    ``title`` stands before the progress bar.
    The result does not depend on ``workers`` (processes; default: all granted processors). Raises UserError when
    faces are wanted and the detector is not installed.
    """
    import imagehash  # noqa: F401
    import scipy.fftpack  # noqa: F401  imagehash loads it at the first hash: load both once here, not in each process

    count = len(files)
    found = DecodedFrames(
        np.zeros(count, "S16"),
        np.zeros((count, 2), np.int32),
        np.zeros(count, np.uint64),
        np.full(count, None, dtype=object),
        {},
    )
    items = zip(files, known, strict=False)  # ``known`` may be endless
    results = map_in_processes(partial(_decode, folder), items, count, workers, title, "frame")
    for row, frame in enumerate(results):
        if isinstance(frame, str):
            found.problems[row] = f"could not be decoded: {frame}"
        else:
            found.digests[row], *found.sizes[row], found.phashes[row], found.faces[row] = frame
    return found


def _decode(folder: Path, item: tuple[str, Collection[Size] | None]) -> Decoded | str:
    """What a file's pixels say, or a string that says what is wrong with it."""
    import imagehash
    from PIL import Image

    file, known = item
    try:
        pixels = read_rgb(folder / file)
    except UnreadableImageError as error:
        return str(error)
    height, width, _ = pixels.shape
    bits = imagehash.phash(Image.fromarray(pixels)).hash
    return Decoded(
        hashlib.sha256((folder / file).read_bytes()).digest()[:16],
        width,
        height,
        int.from_bytes(np.packbits(bits).tobytes(), "big"),
        None if known is None or (width, height) in known else detect_faces(pixels),
    )
