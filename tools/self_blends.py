"""Draws the picture of docs/methods/self-blending.md: ``python -m tools.self_blends``."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from deepfake_detection.common.files import write_figure
from deepfake_detection.frames.filters import Frame
from deepfake_detection.pictures.crops import crop_face, in_crop
from deepfake_detection.pictures.faces import detect_faces
from deepfake_detection.sources.drawn.drawing import film
from deepfake_detection.training.blending import Points, self_blend

SIZE, DRAWN, MARGIN = 128, 160, 0.3
ROWS, COLUMNS = 4, 8


def main() -> None:
    figure = Figure(figsize=(COLUMNS * 0.6, ROWS * 2 * 0.6), layout="constrained")
    axes = figure.subplots(ROWS * 2, COLUMNS)
    people = faces()
    for number in range(ROWS * COLUMNS):
        row, column = divmod(number, COLUMNS)
        frame, points = next(people)
        blended, mask = self_blend(frame, points, np.random.default_rng(number))
        axes[2 * row, column].imshow(blended)
        axes[2 * row + 1, column].imshow(mask, cmap="gray", vmin=0, vmax=1)
    for each in axes.flat:
        each.set_axis_off()
    write_figure(Path("docs/self-blended.png"), figure)


def faces() -> Iterator[tuple[Frame, Points]]:
    """Crops of drawn people and their landmarks in the crop."""
    who = 0
    while True:
        picture = np.round(film(who, 0, DRAWN, 42).filmed * 255).astype(np.uint8)
        for face in detect_faces(picture)[:1]:
            points = np.array(in_crop(face, "face", MARGIN, (DRAWN, DRAWN), SIZE), np.float32).reshape(5, 2)
            yield crop_face(picture, face, "face", MARGIN, SIZE), points
        who += 1


if __name__ == "__main__":
    main()
