"""Finds frames that look nearly the same and stand on two sides of the split, and shows them."""

from concurrent.futures import ProcessPoolExecutor
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import Any

import imagehash
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps
from tqdm import tqdm

from deepfake_detection.cpus import cpu_count
from deepfake_detection.errors import UserError
from deepfake_detection.images import UnreadableImageError, read_rgb
from deepfake_detection.splits import SPLITS

# Of photo-like FF++-shaped frames (80 people), 24% of the pairs of frames of one target are within 4 bits, and 2
# in 10,000 of the pairs of strangers; 6 bits would find 44% and 12 in 10,000. A pHash has as many ones as zeros, so
# distances are even.
MAX_DISTANCE = 4
LISTED = 50
SHOWN = 12
COLOURS = {"train": "#3b6ea8", "val": "#8a6d1f", "test": "#b8452c"}

_SIDE, _GAP, _PAD, _COLUMNS = 216, 10, 24, 2  # pixels; pairs next to one another
_INK, _FAINT, _PAPER, _CARD = "#1f2328", "#646b73", "#f3f4f6", "#ffffff"

_CHUNK = 256  # of rows compared at once: 256 x 10,000 distances are a few MB


def near_duplicates(rows: pd.DataFrame, max_distance: int = MAX_DISTANCE, workers: int | None = None) -> dict[str, Any]:
    """Counts the pairs of frames on two sides whose perceptual hashes differ in at most ``max_distance`` bits.

    ``rows`` has ``path``, ``filepath`` and ``split``; rows that are not train, val or test are left
    out. The hash is the 64-bit pHash of the library imagehash (Zauner 2010: signs of the lowest
    8 x 8 DCT coefficients around their median), of the whole decoded frame. It sees layout, not
    identity: strangers of like pose, hair and background are counted as well. Returns, ready for
    JSON, ``near_duplicates`` (all pairs), ``hash``, ``max_distance`` and ``pairs``, the closest LISTED by
    (distance, paths), each with ``distance``, ``paths`` and ``splits``. Does not depend on the
    order of the rows nor on ``workers`` (processes; default: all processors granted).

    Raises UserError when a frame cannot be read.
    """
    rows = rows[rows["split"].isin(SPLITS)].sort_values("path", ignore_index=True)  # so that pairs are sorted by path
    hashes = _hash_all(rows["filepath"].tolist(), workers or cpu_count())
    split = rows["split"].to_numpy(dtype=object)
    count, closest = closest_pairs(hashes, split, max_distance)
    pairs = [
        {"distance": int(bits), "paths": rows["path"].iloc[ends].tolist(), "splits": split[ends].tolist()}
        for bits, *ends in closest.tolist()
    ]
    return {"near_duplicates": count, "hash": "phash 64 bit", "max_distance": max_distance, "pairs": pairs}


def closest_pairs(
    hashes: NDArray[np.uint64], split: NDArray[np.object_], max_distance: int
) -> tuple[int, NDArray[np.int64]]:
    """How many pairs on two sides differ in at most ``max_distance`` bits, and the closest LISTED.

    ``hashes`` and ``split`` have shape (n,), the pairs (at most LISTED, 3): distance in bits and
    the two row numbers, the smaller one first, sorted.
    """
    count, closest = 0, np.empty((0, 3), dtype=np.int64)
    for first, second in combinations(SPLITS, 2):
        here, there = np.flatnonzero(split == first), np.flatnonzero(split == second)
        for start in range(0, len(here), _CHUNK):
            some = here[start : start + _CHUNK]
            distance = np.bitwise_count(hashes[some, None] ^ hashes[there])
            a, b = np.nonzero(distance <= max_distance)
            count += len(a)
            ends = np.sort(np.stack([some[a], there[b]], axis=1), axis=1)
            found = np.concatenate([closest, np.column_stack([distance[a, b], ends])])
            closest = found[np.lexsort(found.T[::-1])[:LISTED]]
    return count, closest


def _hash_all(files: list[str], workers: int) -> NDArray[np.uint64]:
    with ProcessPoolExecutor(workers) as pool:
        hashes = pool.map(_hash, files, chunksize=16)
        return np.array(list(tqdm(hashes, "hashing frames", len(files), unit="frame")), dtype=np.uint64)


def _hash(file: str) -> int:
    bits = imagehash.phash(Image.fromarray(_read(file))).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _read(file: str) -> NDArray[np.uint8]:
    try:
        return read_rgb(Path(file))
    except UnreadableImageError as error:
        raise UserError(f"{file}: {error}: mend or remove it and index the frames again (dvc repro)") from None


def contact_sheet(rows: pd.DataFrame, pairs: list[dict[str, Any]]) -> Image.Image:
    """A picture of the first SHOWN ``pairs`` that ``near_duplicates`` found in ``rows``.

    Each pair stands side by side under its distance, each frame over its side, category and name.
    Raises UserError when a frame cannot be read.
    """
    files = dict(zip(rows["path"], rows["filepath"], strict=True))
    shown = [(pair, [_thumbnail(files[path]) for path in pair["paths"]]) for pair in pairs[:SHOWN]]
    height = max((picture.height for _, pictures in shown for picture in pictures), default=0)
    card = 2 * _SIDE + 3 * _GAP, height + 88
    lines = -(-len(shown) // _COLUMNS)
    top = 2 * _PAD + 22
    width = 2 * _PAD + _COLUMNS * card[0] + (_COLUMNS - 1) * _GAP
    sheet = Image.new("RGB", (width, top + max(lines * (card[1] + _GAP), 24) + _PAD), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_PAD, _PAD), "Near-duplicate frames on two sides of the split", _INK, _font(22))
    if not shown:
        draw.text((_PAD, top), "none found", _FAINT, _font(16))
    for number, (pair, pictures) in enumerate(shown):
        line, column = divmod(number, _COLUMNS)
        x, y = _PAD + column * (card[0] + _GAP), top + line * (card[1] + _GAP)
        draw.rounded_rectangle((x, y, x + card[0], y + card[1]), 6, _CARD)
        draw.text((x + _GAP, y + 8), f"{pair['distance']} of 64 bits differ", _INK, _font(15))
        for place, (path, split, picture) in enumerate(zip(pair["paths"], pair["splits"], pictures, strict=True)):
            left, up = x + _GAP + place * (_SIDE + _GAP), y + 32
            sheet.paste(picture, (left + (_SIDE - picture.width) // 2, up + (height - picture.height) // 2))
            _caption(draw, (left, up + height + 6), path, split)
    return sheet


def _caption(draw: ImageDraw.ImageDraw, at: tuple[int, int], path: str, split: str) -> None:
    x, y = at
    font = _font(14)
    wide = draw.textlength(split, font) + 12
    draw.rounded_rectangle((x, y, x + wide, y + 19), 4, COLOURS[split])
    draw.text((x + 6, y + 9), split, _CARD, font, anchor="lm")
    parts = PurePosixPath(path).parts
    draw.text((x + wide + 8, y + 9), _fit(draw, "".join(parts[-2:-1]), _SIDE - wide - 8), _INK, font, anchor="lm")
    draw.text((x, y + 33), _fit(draw, parts[-1], _SIDE), _FAINT, font, anchor="lm")


def _fit(draw: ImageDraw.ImageDraw, text: str, width: float) -> str:
    short = text
    while draw.textlength(short, _font(14)) > width and len(text) > 1:
        text = text[:-1]
        short = f"{text}..."
    return short


def _thumbnail(file: str) -> Image.Image:
    return ImageOps.contain(Image.fromarray(_read(file)), (_SIDE, _SIDE), Image.Resampling.LANCZOS)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
