"""Decodes every frame once, for all that index and split ask of its pixels: size, hashes and faces."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.dtypes import StringDType
from numpy.typing import NDArray

from deepfake_detection.common.files import write_json
from deepfake_detection.common.parallel import map_in_processes
from deepfake_detection.common.tables import VIDEO
from deepfake_detection.common.text import system_words
from deepfake_detection.pictures.faces import Box, DetectedFace, Landmarks, detect_faces
from deepfake_detection.pictures.images import UnreadableImageError, read_rgb
from deepfake_detection.videos.footage import NO_FOLDERS, Folders, frame_path, frames_a_video, place_of, sound_frames

Size = tuple[int, int]
Known = Mapping[int, Collection[Size]]  # at which sizes the faces of a frame are known already, by its number

DUPLICATE = "duplicate of "


class Decoded(NamedTuple):
    """What the pixels of one frame say.

    ``number`` is the frame's in its video, and ``seconds`` the time at which it comes on show there; VIDEO and 0 for a
    picture. ``digest`` is half the SHA-256 of a picture's file, or of the pixels of a video's frame, in hexadecimal
    digits. Width and height are in pixels of the upright picture.
    ``phash`` is the 64-bit pHash of the library imagehash (Zauner 2010: signs of the lowest 8 x 8 DCT coefficients
    around their median), computed on the whole frame. It sees layout, not identity: different people with similar
    pose, hair and background are near each other, too. ``faces`` is None if faces were not looked for.
    """

    number: int
    seconds: float
    digest: str
    width: int
    height: int
    phash: int
    faces: list[DetectedFace] | None


FOUND = np.dtype(
    [
        ("row", np.int64),  # of the file
        ("number", np.int64),
        ("seconds", np.float64),
        ("digest", "S32"),
        ("width", np.int32),
        ("height", np.int32),
        ("phash", np.uint64),
    ]
)


class DecodedFrames(NamedTuple):
    """What the pixels of many frames say: ``found``, of shape (n,) and the type FOUND, and the ``faces`` of each.

    ``problems`` has the reason for each file that gives no frame, by its row.
    """

    found: NDArray[np.void]
    faces: list[list[DetectedFace] | None]
    problems: dict[int, str]


def open_frames(
    raw: Path,
    table: pd.DataFrame,
    faces: bool,
    workers: int | None,
    folders: Folders = NO_FOLDERS,
    work: Path | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decodes the files of ``table``, whose ``path`` is below ``raw``, originals and unlabelled frames first.

    Returns the frames that can be used, in place of a video those that are taken of it, with width, height,
    ``seconds``, phash and, if they are wanted, ``faces``. A fake whose original has a face in the same frame at the
    same size is not searched: its ``faces`` are None. Also returns path, category and ``reason`` of the files and
    frames that cannot be used. Of equal frames only the first can be used. ``folders`` is as for ``read_pixels``,
    ``work`` as for ``decode_frames``.
    """
    files, numbers = np.array(table["path"].tolist(), dtype=StringDType()), table["frame"].to_numpy()
    ids, originals = table["video_id"].tolist(), int((table["label"] < 1).sum())
    decode = partial(decode_frames, raw, workers=workers, folders=folders, work=work)
    of_real = decode(files[:originals], numbers[:originals], repeat({} if faces else None), "opening originals")
    of_fake = decode(
        files[originals:],
        numbers[originals:],
        _known(of_real, ids, numbers.tolist(), originals) if faces else repeat(None),
        "opening fakes",
    )
    of_fake.found["row"] += originals
    found = np.concatenate([of_real.found, of_fake.found])
    rows, taken = table.iloc[found["row"]], found["number"].tolist()
    paths = [path if number == VIDEO else frame_path(path, number) for path, number in zip(rows["path"], taken)]  # noqa: B905
    frames = rows.assign(
        path=paths,
        frame=np.where(found["number"] == VIDEO, rows["frame"], found["number"]),
        **{name: found[name] for name in ("seconds", "width", "height", "phash")},
    ).reset_index(drop=True)
    if faces:
        frames["faces"] = pd.Series(of_real.faces + of_fake.faces, dtype=object)
    copies = _first_copies(found["digest"])
    again = copies != np.arange(len(copies))
    problems = of_real.problems | {originals + row: reason for row, reason in of_fake.problems.items()}
    unreadable = table.iloc[list(problems)].assign(reason=list(problems.values()))
    twice = frames[again].assign(reason=[DUPLICATE + paths[first] for first in copies[again]])
    unusable = pd.concat([unreadable, twice])[["path", "category", "reason"]]
    return frames[~again].reset_index(drop=True), unusable


def _first_copies(digests: NDArray[np.bytes_]) -> NDArray[np.int64]:
    """For each frame, the number of the first frame with the same digest."""
    _, first, equal = np.unique(digests, return_index=True, return_inverse=True)
    return first[equal]


def _known(real: DecodedFrames, ids: Sequence[str], numbers: Sequence[int], originals: int) -> Iterator[Known]:
    """For each fake, the sizes at which exactly one original has its target and frame number, and has a face in it.

    ``ids`` and ``numbers`` are those of all files. Of a video they are the sizes for all of its frames.
    """
    counts: Counter[tuple[str, int, Size]] = Counter()
    copies = _first_copies(real.found["digest"])
    for each in np.flatnonzero(copies == np.arange(len(copies))).tolist():
        row, number, _, _, width, height, _ = real.found[each].item()
        shot = (ids[row], numbers[row] if number == VIDEO else number, (width, height))
        counts[shot] += 1 if real.faces[each] else 2
    sizes: defaultdict[str, dict[int, list[Size]]] = defaultdict(dict)
    for (target, number, size), count in counts.items():
        if count == 1:
            sizes[target].setdefault(number, []).append(size)
    for target, number in zip(ids[originals:], numbers[originals:], strict=True):
        of_target = sizes.get(target, {})
        yield of_target if number == VIDEO else {number: of_target.get(number, ())}


def decode_frames(
    raw: Path,
    files: NDArray[Any],
    numbers: NDArray[np.int64],
    known: Iterable[Known | None],
    title: str,
    workers: int | None,
    folders: Folders = NO_FOLDERS,
    work: Path | None = None,
) -> DecodedFrames:
    """Decodes ``files``, an array of paths below ``raw``, whose ``numbers`` are VIDEO for videos.

    ``known`` gives for each file what faces are known already; None: no faces are wanted. ``title`` stands before the
    progress bar. ``folders`` is as for ``read_pixels``. The folder ``work`` keeps what is found in each video, for a
    run that goes on after this one was killed. The result does not depend on ``workers`` (processes; default: all
    granted processors). Raises UserError when faces are wanted and the detector is not installed.
    """
    import imagehash  # noqa: F401
    import scipy.fftpack  # noqa: F401  imagehash loads it at the first hash: load both once here, not in each process

    found, faces, problems = bytearray(), [], {}
    items = zip(files, numbers.tolist(), known, strict=False)  # ``known`` may be endless
    results = map_in_processes(partial(_decode, raw, folders, work), items, len(files), workers, title, "file")
    for row, frames in enumerate(results):
        if isinstance(frames, str):
            problems[row] = frames
            continue
        for frame in frames:
            found += np.array((row, *frame[:-1]), FOUND).tobytes()
            faces.append(frame.faces)
    return DecodedFrames(np.frombuffer(found, FOUND), faces, problems)


def _decode(raw: Path, folders: Folders, work: Path | None, item: tuple[str, int, Known | None]) -> list[Decoded] | str:
    """What the pixels of a file say, or a string that says what is wrong with it."""
    file, number, known = item
    try:
        if number == VIDEO:
            return _decode_video(place_of(raw, folders, file), frames_a_video(raw, file), known, work)
        pixels, digest = read_rgb(raw / file), hashlib.sha256((raw / file).read_bytes())
        sizes = None if known is None else known.get(number, ())
        return [_decoded(pixels, VIDEO, 0.0, digest.hexdigest(), sizes)]
    except UnreadableImageError as error:
        return f"{'no frame of the video' if number == VIDEO else 'could not be decoded'}: {error}"


def _decode_video(place: Path, count: int, known: Known | None, work: Path | None) -> list[Decoded]:
    """What the pixels of up to ``count`` frames of a video say, also if a former run has found it out."""
    kept = work and work / f"{_key(place, count, known)}.json"
    if kept and kept.exists():
        return [_read_back(values) for values in json.loads(kept.read_text())]
    found = []
    for frame in sound_frames(place, count):
        height, width, _ = frame.pixels.shape
        digest = hashlib.sha256(f"{width} {height} ".encode())
        digest.update(frame.pixels.data)
        sizes = None if known is None else known.get(frame.number, ())
        found.append(_decoded(frame.pixels, frame.number, round(frame.seconds, 3), digest.hexdigest(), sizes))
    if kept:
        write_json(kept, found)
    return found


def _read_back(values: list[Any]) -> Decoded:
    frame = Decoded._make(values)
    return frame._replace(
        faces=frame.faces and [DetectedFace(Box(*box), Landmarks(*marks)) for box, marks in frame.faces]
    )


def _key(place: Path, count: int, known: Known | None) -> str:
    """A name that is another one if the video or what is asked of it changes."""
    try:
        state = place.stat()
    except OSError as error:
        raise UnreadableImageError(system_words(error)) from None
    told = f"{place.absolute()}\0{state.st_size}\0{state.st_mtime_ns}\0{count}\0{known}"
    return hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()[:32]


def _decoded(
    pixels: NDArray[np.uint8], number: int, seconds: float, digest: str, known: Collection[Size] | None
) -> Decoded:
    import imagehash
    from PIL import Image

    height, width, _ = pixels.shape
    # The library's own size for a hash, with the mean of whole blocks first where a frame is over six times as large:
    # 0.5 instead of 5 ms for 1280x720, and of the 64 bits at most two differ.
    small = Image.fromarray(pixels).convert("L").resize((32, 32), Image.Resampling.LANCZOS, reducing_gap=3)
    bits = imagehash.phash(small).hash
    return Decoded(
        number,
        seconds,
        digest[:32],
        width,
        height,
        int.from_bytes(np.packbits(bits).tobytes(), "big"),
        None if known is None or (width, height) in known else detect_faces(pixels),
    )
