"""Miniatures of folders called real and fake, without and with parts."""

from pathlib import Path

from tests.support.miniatures.drawing import film, picture


def make(folder: Path, people: int = 2) -> None:
    """Pictures, videos, and folders of frames in each class."""
    for number, category in enumerate(("real", "fake")):
        picture(folder / category / "holiday.jpg", 10 + number, bool(number))
        for who in range(people):
            film(folder / category / f"interview {who}.mp4", 20 + 2 * who + number, bool(number))
        for frame in (9, 10):
            picture(folder / category / "street" / f"{frame}.png", 30 + number, bool(number), frame)


def make_divided(folder: Path) -> None:
    """The classes by other words, below train, valid and Test, with names as in FaceForensics++."""
    for part, target, source in (("train", "000", "001"), ("valid", "002", "003"), ("Test", "004", "005")):
        picture(folder / part / "0" / f"{target}_f4.jpg", int(target), False)
        picture(folder / part / "1" / f"{target}_{source}_f4.jpg", int(target), True)
