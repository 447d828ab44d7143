"""A miniature of WildDeepfake with its archives unpacked."""

from pathlib import Path

from tests.support.miniatures.drawing import picture


def make(folder: Path) -> None:
    """Two sequences of an archive for training and one for the test, in each class."""
    for number, category in enumerate(("real", "fake")):
        for sequence in (54, 55):
            for frame in (3, 12):
                path = f"{category}_train/6/{category}/{sequence}/{frame}.png"
                picture(folder / path, sequence + 100 * number, bool(number), frame)
        picture(folder / f"{category}_test/6/{category}/9/7.png", 9 + 100 * number, bool(number), 7)
