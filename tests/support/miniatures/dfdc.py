"""A miniature of the Deepfake Detection Challenge: parts of the training set, and the test set."""

import json
from pathlib import Path

from tests.support.miniatures.drawing import film


def make(folder: Path, parts: int = 2) -> None:
    """Each part has an original with two fakes and their metadata; the test part has a real and a fake video."""
    for part in range(parts):
        below = folder / f"dfdc_train_part_{part}"
        names = [f"{'abcdefghij'[part]}{letter * 9}.mp4" for letter in "abc"]
        metadata = {names[0]: {"label": "REAL", "split": "train"}}
        metadata |= {name: {"label": "FAKE", "split": "train", "original": names[0]} for name in names[1:]}
        for name in names:
            film(below / name, part, name != names[0])
        (below / "metadata.json").write_text(json.dumps(metadata))
    film(folder / "test" / "zaaaaaaaaa.mp4", 900, False)
    film(folder / "test" / "zbbbbbbbbb.mp4", 901, True)
    (folder / "test" / "labels.csv").write_text("filename,label\nzaaaaaaaaa.mp4,0\nzbbbbbbbbb.mp4,1\n")
