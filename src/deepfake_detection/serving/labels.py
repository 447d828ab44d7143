"""Places the labels of faces in a picture so that none covers a face or another label."""

from collections.abc import Sequence
from typing import NamedTuple

WIDE, TALL, PAD = 0.62, 1.4, 0.5  # of a label, in sizes of its text: a character, a line, and the space at both ends
SIZES = (1.0, 0.8, 0.65, 0.5)  # that are tried, of the one that is wished for


class Rect(NamedTuple):
    """A rectangle in the pixels of the picture."""

    x: float
    y: float
    width: float
    height: float

    def covers(self, other: "Rect") -> bool:
        across = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        down = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return across > 0 and down > 0


class Label(NamedTuple):
    """A text in a rectangle. Its letters are ``size`` pixels high."""

    place: Rect
    text: str
    size: float


def place_labels(faces: Sequence[Rect], texts: Sequence[str], width: int, height: int, size: float) -> list[Label]:
    """A label for each face, beside it: first above or below, then in smaller letters, at last its number alone.

    ``size`` is the wished height of letters in a picture of ``width`` by ``height`` pixels. A label for which there is
    no space at all lies in the upper left corner of its own face.
    """
    labels: list[Label] = []
    for number, (face, text) in enumerate(zip(faces, texts, strict=True), 1):
        taken = [*faces, *(label.place for label in labels)]
        wished = [(said, size * share) for said in dict.fromkeys((text, str(number))) for share in SIZES]
        labels.append(
            next(
                (
                    Label(place, said, letters)
                    for said, letters in wished
                    for place in _beside(face, len(said), letters, width, height)
                    if not any(place.covers(other) for other in taken)
                ),
                Label(_rect(face.x, face.y, 1, size * SIZES[-1]), str(number), size * SIZES[-1]),
            )
        )
    return labels


def _rect(x: float, y: float, letters: int, size: float) -> Rect:
    return Rect(x, y, size * (WIDE * letters + PAD), size * TALL)


def _beside(face: Rect, letters: int, size: float, width: int, height: int) -> list[Rect]:
    """Places above and below a face, and to the sides of it, within the picture."""
    _, _, wide, tall = _rect(0, 0, letters, size)
    right, below = face.x + face.width, face.y + face.height
    across = (face.x, right - wide, face.x + (face.width - wide) / 2)
    places = [(x, y) for y in (face.y - tall, below) for x in across]
    places += [(x, y) for x in (right, face.x - wide) for y in (face.y, below - tall)]
    found = [Rect(min(max(x, 0), width - wide), y, wide, tall) for x, y in places]
    return [each for each in found if each.x >= 0 and 0 <= each.y <= height - tall]
