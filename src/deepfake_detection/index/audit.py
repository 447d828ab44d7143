"""Finds frames that look nearly the same but are in different splits, and shows them."""

from collections.abc import Collection, Iterator
from itertools import combinations, groupby
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import HASH_COLUMNS, SPLITS, one_line_errors
from deepfake_detection.pictures.images import UnreadableImageError
from deepfake_detection.videos.footage import NO_FOLDERS, Folders, file_of, read_pixels

# Measured on photo-like frames in the form of FF++ (80 people): 4 bits find 24% of the pairs of frames of the same
# target and 2 in 10,000 of the pairs of different people. 6 bits would find 44% and 12 in 10,000. Distances are
# even, because a pHash has as many ones as zeros.
MAX_DISTANCE = 4
LISTED = 50
SHOWN = 12
COLOURS = {"train": "#3b6ea8", "val": "#8a6d1f", "test": "#b8452c"}

_BITS = 64  # of a hash
_COMPARED = 2**20  # pairs in a block, which then takes 8 MB

_SIDE, _GAP, _PAD, _PAIRS_PER_ROW = 216, 10, 24, 2  # the first three in pixels, the last in pairs per row
_INK, _FAINT, _PAPER, _CARD = "#1f2328", "#646b73", "#f3f4f6", "#ffffff"


class HashedFrames(NamedTuple):
    """Frames of train, val and test, sorted by path. Each array has shape (n,)."""

    paths: NDArray[Any]
    split: NDArray[np.str_]
    hashes: NDArray[np.uint64]


def hashed_frames(table: pd.DataFrame) -> HashedFrames:
    """The frames of train, val and test of a table with ``path``, ``split`` and ``phash``, 16 hexadecimal digits."""
    used = table[table["split"].isin(SPLITS)].sort_values("path")
    codes = np.array([int(text, 16) for text in used["phash"]], dtype=np.uint64)
    return HashedFrames(used["path"].to_numpy(object), used["split"].to_numpy("U5"), codes)


def read_hashes(path: Path) -> pd.DataFrame:
    """Reads a file of hashes, with HASH_COLUMNS. Raises UserError when it is missing or is no such table."""
    with one_line_errors(path, "a table of hashes"):
        return pd.read_csv(path, dtype=str, usecols=HASH_COLUMNS, keep_default_na=False)


def near_duplicates(frames: HashedFrames, max_distance: int = MAX_DISTANCE) -> dict[str, Any]:
    """Counts pairs of frames in different splits whose perceptual hashes differ in at most ``max_distance`` bits.

    Returns, ready for JSON, ``near_duplicates`` (the number of pairs), ``hash``, ``max_distance`` and
    ``pairs``: the LISTED closest by (distance, paths), each with ``distance``, ``paths`` and ``splits``.
    """
    count, closest = closest_pairs(frames.hashes, frames.split, max_distance)
    pairs = [
        {"distance": int(bits), "paths": frames.paths[ends].tolist(), "splits": frames.split[ends].tolist()}
        for bits, *ends in closest.tolist()
    ]
    return {"near_duplicates": count, "hash": "phash 64 bit", "max_distance": max_distance, "pairs": pairs}


def nearest_distances(frames: HashedFrames) -> pd.DataFrame:
    """Counts frames by the distance to the nearest frame of another split.

    Returns one row for each ``distance`` from 0 to 64 bits, and in the columns ``train``, ``val`` and ``test`` the
    number of frames of that split. If only one split has frames, all counts are 0.
    """
    bits = np.full(len(frames.hashes), _BITS + 1, dtype=np.uint8)
    rows = {name: np.flatnonzero(frames.split == name) for name in SPLITS}
    for one, other in combinations(rows.values(), 2):
        for start, found in distances(frames.hashes[one], frames.hashes[other]):
            block = one[start : start + len(found)]
            bits[block] = np.minimum(bits[block], found.min(axis=1, initial=_BITS + 1))
            bits[other] = np.minimum(bits[other], found.min(axis=0, initial=_BITS + 1))
    counts = {name: np.bincount(bits[rows[name]], minlength=_BITS + 2)[: _BITS + 1] for name in SPLITS}
    return pd.DataFrame({"distance": np.arange(_BITS + 1), **counts})


def closest_pairs(hashes: NDArray[np.uint64], split: NDArray[Any], max_distance: int) -> tuple[int, NDArray[np.int64]]:
    """Counts pairs in different splits that differ in at most ``max_distance`` bits, and finds the LISTED closest.

    ``hashes`` and ``split`` have shape (n,). The pairs have shape (at most LISTED, 3): the distance in bits and
    the two row numbers, the smaller one first. They are sorted.
    """
    count, closest = 0, np.empty((0, 3), dtype=np.int64)
    for one, other in combinations([np.flatnonzero(split == name) for name in SPLITS], 2):
        for start, bits in distances(hashes[one], hashes[other]):
            here, there = np.nonzero(bits <= max_distance)
            count += len(here)
            ends = np.sort(np.stack([one[start + here], other[there]], axis=1), axis=1)
            found = np.concatenate([closest, np.column_stack([bits[here, there], ends])])
            closest = found[np.lexsort(found.T[::-1])[:LISTED]]
    return count, closest


def distances(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yields the number of bits in which each hash of ``one`` differs from each of ``other``, in blocks of rows.

    With each block of shape (rows, len(other)) comes the number of its first row. 30,000 hashes against as many take
    0.3 s on one core, and the time grows with both numbers.
    """
    rows = max(1, _COMPARED // max(1, len(other)))
    for start in range(0, max(len(one), 1), rows):
        yield start, np.bitwise_count(one[start : start + rows, None] ^ other)


def contact_sheet(raw: Path, pairs: list[dict[str, Any]], folders: Folders = NO_FOLDERS) -> Image.Image:
    """A picture of the first SHOWN ``pairs`` that ``near_duplicates`` found under ``raw``.

    The two frames of a pair are side by side, with their distance above. Below each frame are its split,
    category and name. Videos lie in ``folders``, see ``read_pixels``. Raises UserError when a frame cannot be read.
    """
    thumbnails = _thumbnails(raw, folders, {path for pair in pairs[:SHOWN] for path in pair["paths"]})
    shown = [(pair, [thumbnails[path] for path in pair["paths"]]) for pair in pairs[:SHOWN]]
    height = max((picture.height for _, pictures in shown for picture in pictures), default=0)
    card = 2 * _SIDE + 3 * _GAP, height + 88
    lines = -(-len(shown) // _PAIRS_PER_ROW)
    top = 2 * _PAD + 22
    width = 2 * _PAD + _PAIRS_PER_ROW * card[0] + (_PAIRS_PER_ROW - 1) * _GAP
    sheet = Image.new("RGB", (width, top + max(lines * (card[1] + _GAP), 24) + _PAD), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_PAD, _PAD), "Near-duplicate frames on two sides of the split", _INK, _font(22))
    if not shown:
        draw.text((_PAD, top), "none found", _FAINT, _font(16))
    for number, (pair, pictures) in enumerate(shown):
        line, column = divmod(number, _PAIRS_PER_ROW)
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


def _thumbnails(raw: Path, folders: Folders, paths: Collection[str]) -> dict[str, Image.Image]:
    found = {}
    for file, of_file in groupby(sorted(paths, key=file_of), file_of):
        try:
            for path, pixels in read_pixels(raw, folders, list(of_file)):
                found[path] = ImageOps.contain(Image.fromarray(pixels), (_SIDE, _SIDE), Image.Resampling.LANCZOS)
        except UnreadableImageError as error:
            raise UserError(
                f"{raw / file}: {error}: fix or remove it, then index the frames again (dvc repro)"
            ) from None
    return found


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
