"""What the names of videos and frames say in the data sets of the field.

A fake was made from a recording, the target, whose pictures it shows with another face. So ``video_id`` is the
target's recording, and ``source_id`` is what gave the face or the expression, with anything else that tells two fakes
of one target apart. An original has its own name as ``video_id``, and no source.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from deepfake_detection.sources.layouts.tree import joined, stem_of

_FFPP = re.compile(r"(?P<target>[0-9]{3,})_(?P<source>[0-9]{3,})")
_FFPP_ORIGINAL = re.compile(r"[0-9]{3,}")
_DFD = re.compile(r"(?P<target>[0-9]+)_(?P<source>[0-9]+)__(?P<scene>.+)__(?P<experiment>[A-Z0-9]+)")
_DFD_ORIGINAL = re.compile(r"[0-9]+__.+")
_CELEB = re.compile(r"(?P<target>id[0-9]+)_(?P<source>id[0-9]+)_(?P<recording>[0-9]+)(?P<rest>(?:_.+)?)")
_CELEB_DRIVEN = re.compile(r"(?P<target>id[0-9]+)_(?P<recording>[0-9]+)_(?P<driver>.+)")  # a talking face, by a sound
_CELEB_ORIGINAL = re.compile(r"id[0-9]+_[0-9]+|[0-9]+")
_PREVIEW = re.compile(r"(?P<source>[0-9]+)_(?P<actor>[0-9]+)_(?P<clip>[A-Za-z]+_.+)")
_PREVIEW_ORIGINAL = re.compile(r"(?P<actor>[0-9]+)_[A-Za-z]+_.+")

_FRAME = re.compile(r"(?P<video>.+)_(?:f|frame)_?(?P<frame>[0-9]{1,9})")
_LAST_NUMBER = re.compile(r"([0-9]{1,9})$")
_DIGITS = re.compile(r"([0-9]+)")

LABELS = {
    **dict.fromkeys(("real", "original", "0", "authentic"), 0),
    **dict.fromkeys(("fake", "deepfake", "1", "manipulated", "generated"), 1),
}
SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}

Key = tuple[str, ...]  # of a video: what its name must be unique in, then the video


class Name(NamedTuple):
    """What a name says. ``group`` is "" if the names of target and source already say what belongs together."""

    video_id: str
    source_id: str = ""
    group: str = ""


class Unnamed(NamedTuple):
    """A video of which only its place is known: an ``id`` to call it by, the part that it is in ("train", "" for none),
    its path below the folder of its class, and its label."""

    id: str
    part: str
    path: str
    label: int


def faceforensics(stem: str, label: int) -> Name | None:
    """``<target>_<source>`` of FaceForensics++, ``<target>_<source>__<scene>__<experiment>`` of DeepFakeDetection.

    In DeepFakeDetection every actor is joined to every other, so a group is one recording of the target.
    """
    if label == 0:
        if _FFPP_ORIGINAL.fullmatch(stem):
            return Name(stem)
        return Name(stem, group=stem) if _DFD_ORIGINAL.fullmatch(stem) else None
    if match := _FFPP.fullmatch(stem):
        return Name(match["target"], match["source"])
    if match := _DFD.fullmatch(stem):
        recording = f"{match['target']}__{match['scene']}"
        return Name(recording, f"{match['source']}__{match['experiment']}", recording)
    return None


def celebdf(stem: str, label: int) -> Name | None:
    """``id<target>_id<source>_<recording>``, and ``id<target>_<recording>_<driver>`` of a talking face.

    Every identity is joined to every other, so a group is one recording of the target.
    """
    if label == 0:
        return Name(stem, group=stem) if _CELEB_ORIGINAL.fullmatch(stem) else None
    if match := _CELEB.fullmatch(stem):
        recording = f"{match['target']}_{match['recording']}"
        return Name(recording, match["source"] + match["rest"], recording)
    if match := _CELEB_DRIVEN.fullmatch(stem):
        recording = f"{match['target']}_{match['recording']}"
        return Name(recording, match["driver"], recording)
    return None


def dfdc_preview(stem: str, label: int) -> Name | None:
    """``<source>_<target>_<recording>_<clip>``; ``<actor>_<recording>_<clip>`` of an original. A group is an actor."""
    if label == 0:
        match = _PREVIEW_ORIGINAL.fullmatch(stem)
        return Name(stem, group=match["actor"]) if match else None
    match = _PREVIEW.fullmatch(stem)
    return Name(f"{match['actor']}_{match['clip']}", match["source"], match["actor"]) if match else None


def known(stem: str, label: int) -> Name | None:
    """What a name says by the first of these schemes that it fits, or None."""
    by_celebrity = celebdf(stem, label) if stem.startswith("id") else None  # others have mere numbers
    return faceforensics(stem, label) or by_celebrity or dfdc_preview(stem, label)


def all_named(videos: Mapping[Key, Unnamed]) -> dict[Key, Name]:
    """The name of each video, by its stem if that has one of these schemes, or else by its path.

    A mere number says something of an original only if a fake has it as its target or source. A name that two videos
    share says nothing. A video of which nothing is said is a group of its own, with one exception: a fake is in the
    group of the original whose path ends like its own, such as ``real/x`` and ``fake/method/x``. The longest such end
    counts; if several originals have it, it says nothing.
    """
    said = _all_known(videos)
    originals = {(video.part, video.path): key for key, video in videos.items() if video.label == 0}
    owners: dict[tuple[str, str], set[str]] = defaultdict(set)
    for part, path in originals:
        for end in _ends(path):
            owners[part, end].add(path)
    names = {}
    for key, video in videos.items():
        those = next((owners[video.part, end] for end in _ends(video.path) if (video.part, end) in owners), set())
        path = next(iter(those)) if len(those) == 1 else video.path
        alone = Name(video.id, group=joined(video.part, path))
        if (original := originals.get((video.part, path))) is not None and video.label:
            target = said[original] or alone._replace(video_id=videos[original].id)
            alone = target._replace(source_id=video.id if video.id != target.video_id else "")
        names[key] = said[key] or alone
    return names


def _all_known(videos: Mapping[Key, Unnamed]) -> dict[Key, Name | None]:
    """What the stem and label of each video say, or None if they say nothing, or the same of another video."""
    said = {key: known(video.path.rpartition("/")[2], video.label) for key, video in videos.items()}
    used = {each for name in said.values() if name and name.source_id for each in (name.video_id, name.source_id)}
    said = {
        key: name if name and (name.source_id or name.group or name.video_id in used) else None
        for key, name in said.items()
    }
    counts = Counter((key[:-1], name) for key, name in said.items())
    return {key: name if counts[key[:-1], name] == 1 else None for key, name in said.items()}


def _ends(path: str) -> list[str]:
    """``a/b/c``, ``b/c`` and ``c`` of ``a/b/c``."""
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def frame_of(stem: str) -> tuple[str, int] | None:
    """The video and the number of a frame called ``<video>_f<number>`` or ``<video>_frame<number>``."""
    match = _FRAME.fullmatch(stem)
    return (match["video"], int(match["frame"])) if match else None


def natural(name: str) -> list[tuple[int, str]]:
    """A sorting key under which 10 comes after 9."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in _DIGITS.split(name)]


def numbered(names: Sequence[str]) -> dict[str, int]:
    """The number of each frame of a video: the number that its name ends in.

    If names do not all end in numbers of their own, frames are counted in the order of their names.
    """
    found = [_LAST_NUMBER.search(stem_of(name)) for name in names]
    numbers = [int(match[1]) for match in found if match]
    if len(set(numbers)) < len(names):
        return {name: number for number, name in enumerate(sorted(names, key=lambda name: (natural(name), name)))}
    return dict(zip(names, numbers, strict=True))
