"""Reads what the FaceForensics++ authors say of their 1000 sequences: their split, and the recordings.

The split is 360, 70 and 70 pairs of ids. The sequences come from 977 YouTube videos, here called recordings: 22 of
them gave two or three sequences each, 45 together. Such sequences may show the same place and the same face.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import SPLITS
from deepfake_detection.common.text import system_words

FILES = tuple(f"{name}.json" for name in SPLITS)
CONVERSION = "conversion_dict.json"

_ID = re.compile(r"[0-9]{3}")
_SEQUENCE = re.compile(r"(?P<recording>[A-Za-z0-9_-]+) [0-9]+")  # a YouTube id and a number
_ADVICE = "get it again from dataset/ of github.com/ondyari/FaceForensics, or correct split.official_dir"


def read_lists(folders: Iterable[Path]) -> dict[str, str]:
    """The split (train, val or test) of each id, by ``train.json`` and so on in the first folder that has them.

    {} if none has. Raises UserError when a list cannot be read, is not a list of pairs of three-digit ids, or shares an
    id with another one.
    """
    folder = next((folder for folder in folders if any((folder / name).exists() for name in FILES)), None)
    splits: dict[str, str] = {}
    for name in FILES if folder else ():
        path = Path(str(folder)) / name
        pairs = _read(path)
        if not (isinstance(pairs, list) and pairs and all(map(_is_pair, pairs))):
            raise UserError(f'{path} is not a list of pairs of three-digit ids such as [["071", "054"]]: {_ADVICE}')
        for video in (video for pair in pairs for video in pair):
            if splits.setdefault(video, path.stem) != path.stem:
                raise UserError(f"{path}: {video} is in {splits[video]}.json too: {_ADVICE}")
    return splits


def read_recordings(folders: Iterable[Path]) -> dict[str, str]:
    """The recording of each id, by ``conversion_dict.json`` in the first folder that has it; {} if none has.

    The file maps three-digit ids to a YouTube id and a number, such as ``{"331": "R03Sko97IDE 0"}``. Raises UserError
    when it cannot be read, or does not have this form.
    """
    path = next((folder / CONVERSION for folder in folders if (folder / CONVERSION).exists()), None)
    recordings: dict[str, str] = {}
    ids: dict[str, str] = {}
    # a dict would hide an id that is named twice; with list, an object becomes a list of tuples
    entries = _read(path, object_pairs_hook=list) if path else []
    if path and not (isinstance(entries, list) and entries and all(map(_is_entry, entries))):
        raise UserError(f'{path} does not map three-digit ids to sequences as in {{"331": "R03Sko97IDE 0"}}: {_ADVICE}')
    for video, sequence in entries:
        if video in recordings:
            raise UserError(f"{path} names {video} twice: {_ADVICE}")
        if (other := ids.setdefault(sequence, video)) != video:
            raise UserError(f'{path} gives {other} and {video} the same sequence "{sequence}": {_ADVICE}')
        recordings[video] = sequence.partition(" ")[0]
    return recordings


def _read(path: Path, **options: Any) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"), **options)
    except OSError as error:
        problem = f"cannot be read ({system_words(error)})"
    except UnicodeDecodeError:
        problem = "is not UTF-8"
    except (ValueError, RecursionError):
        problem = "is not JSON"
    raise UserError(f"{path} {problem}: {_ADVICE}")


def _is_pair(pair: object) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(video, str) and bool(_ID.fullmatch(video)) for video in pair)
    )


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, tuple)
        and all(isinstance(part, str) for part in entry)
        and bool(_ID.fullmatch(entry[0]) and _SEQUENCE.fullmatch(entry[1]))
    )
