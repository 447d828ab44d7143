"""The videos of a folder: video files, and folders that hold the frames of one video each."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from deepfake_detection.common.tables import VIDEO
from deepfake_detection.sources.layouts.names import numbered
from deepfake_detection.sources.layouts.table import Found
from deepfake_detection.sources.layouts.tree import NOT_MEDIA, Tree, joined, kind_of

HOLDERS = ("videos", "frames", "images")
_BESIDE = {"masks", "landmarks", "models", "audio"}  # what preprocessing leaves beside them


class Clip(NamedTuple):
    """A video: its name without suffix, and its frames with their numbers, or the video file with VIDEO."""

    name: str
    frames: list[tuple[str, int]]


def clips(tree: Tree, below: str, category: str, found: Found, lists: Collection[str] = ()) -> Iterator[Clip]:
    """Yields the videos in a folder: ``<video>.mp4`` and ``<video>/<frame>.png``, also if they are in one of HOLDERS.

    Where a video is there as frames too, the frames are taken. What is no video is rejected, except ``lists``.
    """
    holders = [below, *(joined(below, name) for name in tree.folders(below) if name in HOLDERS)]
    folders: dict[str, str] = {}
    for holder in holders:
        for name, reason in sorted(tree.listing(holder).folders.items()):
            if reason:
                found.reject(joined(holder, name), category, reason)
            elif not (holder == below and name in (*HOLDERS, *_BESIDE)):
                if name in folders:
                    found.reject(joined(holder, name), category, f"frames of the same video as {folders[name]}")
                folders.setdefault(name, joined(holder, name))
    with_frames, twice = set(), []
    for name, folder in folders.items():
        if frames := frames_in(tree, folder, category, found):
            with_frames.add(name)
            yield Clip(name, frames)
    for holder in holders:
        for name, reason in sorted(tree.listing(holder).files.items()):
            path, stem = joined(holder, name), name.rpartition(".")[0]
            if name in lists:
                continue
            if reason or kind_of(name) != "video":
                found.reject(
                    path, category, reason or ("picture in no folder of a video" if kind_of(name) else NOT_MEDIA)
                )
            elif stem in with_frames:
                twice.append(path)
            else:
                yield Clip(stem, [(path, VIDEO)])
    if twice:
        found.note(f"{below}: {len(twice)} videos are there as frames too, e.g. {twice[0]}: the frames are taken")


def frames_in(tree: Tree, folder: str, category: str, found: Found) -> list[tuple[str, int]]:
    """The pictures below a folder with their numbers. What is no picture is rejected."""
    pictures = []
    for path, reason in tree.walk(folder):
        if reason or kind_of(path) != "picture":
            found.reject(path, category, reason or "no picture, in a folder of frames")
        else:
            pictures.append(path)
    return sorted(numbered(pictures).items())
