"""What the name of a frame's file says."""

import re
from pathlib import PurePosixPath

EXAMPLES = ("005_f4.jpg", "005_010_f4.jpg")
STEMS = (
    re.compile(r"(?P<video>[0-9]+)_f(?P<frame>[0-9]{1,9})"),
    re.compile(r"(?P<video>[0-9]+)_(?P<source>[0-9]+)_f(?P<frame>[0-9]{1,9})"),
)  # of originals, of fakes


def stem_parts(file: str) -> list[str]:
    """Target, source (only fakes) and frame, as text, of a file whose name matches one of STEMS."""
    return PurePosixPath(file).stem.split("_")


def target_and_frame(file: str) -> tuple[str, int]:
    """The id of the video that a frame was taken from, and its number there."""
    parts = stem_parts(file)
    return parts[0], int(parts[-1].removeprefix("f"))


def category_of(file: str) -> str:
    """The folder that a file lies in."""
    return PurePosixPath(file).parent.name
