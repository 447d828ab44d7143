"""FaceForensics++ as its authors' script downloads it, with DeepFakeDetection, which comes by the same script.

``original_sequences/{youtube,actors}/<compression>/videos/*.mp4`` and
``manipulated_sequences/<method>/<compression>/videos/*.mp4``; frames as ``frames/<video>/*.png`` in place of
``videos``. The lists of the official split, ``train.json`` and so on, may lie beside them or in ``splits``.
"""

import json
from pathlib import Path

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import SPLITS
from deepfake_detection.sources.layouts import names
from deepfake_detection.sources.layouts.clips import clips
from deepfake_detection.sources.layouts.lists import read_text
from deepfake_detection.sources.layouts.table import DEFAULT, Found, Layout, Options
from deepfake_detection.sources.layouts.tree import Tree

DATASET = "FaceForensics++"
LOOKS_FOR = "original_sequences/ or manipulated_sequences/"
ORIGINALS = {"youtube": "Original", "actors": "DeepFakeDetection_original"}
OPTIONAL = frozenset({"FaceShifter"})  # it came later: many copies lack it
RAW = ("raw", "c0")  # two names of one compression
COMPRESSIONS = {*RAW, "c23", "c40"}

_TOPS = ("original_sequences", "manipulated_sequences")


def recognise(folder: Path) -> str:
    """Why a folder has this layout, or ""."""
    there = [name for name in Tree(folder, trusted=True).folders() if name in _TOPS]
    return f"it holds {' and '.join(f'{name}/' for name in there)}" if there else ""


def read(folder: Path, options: Options = DEFAULT) -> Layout:
    """The videos, or their frames, with the compression that is wanted.

    Raises UserError if no category, or one that was asked for, has that compression, or a list is invalid.
    """
    tree = Tree(folder, options.trusted)
    found = Found(tree, DATASET, options)
    compressions = RAW if options.compression in RAW else (options.compression,)
    splits = _official_splits(tree)
    lacking: dict[str, list[str]] = {}
    taken = 0
    for label, top in enumerate(_TOPS):
        for name in tree.folders(top):
            category = name if label else ORIGINALS.get(name, name)
            there = [each for each in tree.folders(f"{top}/{name}") if each in COMPRESSIONS]
            used = next((each for each in compressions if each in there), "")
            if not there or not found.wants(category, label):
                continue
            if not used:
                lacking[category] = there
                continue
            taken += 1
            for clip in clips(tree, f"{top}/{name}/{used}", category, found):
                _add(found, clip.name, clip.frames, category, label, splits)
    if lacking and (options.categories is not None or not taken):
        category, there = next(iter(lacking.items()))
        raise UserError(
            f"{folder}: {category} is not there in {options.compression}, but in {', '.join(there)}: "
            "set compression, or download it"
        )
    for category, there in lacking.items():
        found.note(f"{category} is there in {', '.join(there)} only, not in {options.compression}: left out")
    return found.layout(OPTIONAL)


def _add(
    found: Found, stem: str, frames: list[tuple[str, int]], category: str, label: int, splits: dict[str, str]
) -> None:
    name = names.faceforensics(stem, label)
    sides = {splits.get(video, "") for video in (name.video_id, name.source_id) if video} if name else {""}
    split = sides.pop() if len(sides) == 1 else ""  # a pair is on one list, so this is only "" for what is on none
    for file, frame in frames:
        if name is None:
            example = "005_010 or 01_02__scene__ABCD1234" if label else "005 or 01__scene"
            found.reject(file, category, f"name gives no target and source: expected one like {example}")
        else:
            found.add(file, category, label, name, frame, split)


def _official_splits(tree: Tree) -> dict[str, str]:
    """The part of each video id, from the authors' lists of pairs. {} without the lists."""
    for below in ("", "splits/"):
        paths = [path for split in SPLITS if (path := tree.list_at(f"{below}{split}.json"))]
        if len(paths) == len(SPLITS):
            return {video: path.stem for path in paths for pair in _pairs(path) for video in pair}
    return {}


def _pairs(path: Path) -> list[list[str]]:
    try:
        pairs = json.loads(read_text(path))
    except (ValueError, RecursionError):
        pairs = None
    if isinstance(pairs, list) and all(isinstance(pair, list) and all(map(_is_name, pair)) for pair in pairs):
        return pairs
    raise UserError(f'{path} is not a list of pairs such as [["071", "054"]]: get it again, or take it away')


def _is_name(video: object) -> bool:
    return isinstance(video, str)
