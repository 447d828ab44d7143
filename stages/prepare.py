"""Decodes and resizes every frame once, into memory-mapped pixels."""

from pathlib import Path

from deepfake_detection.params import load_params
from deepfake_detection.prepare import prepare_frames
from deepfake_detection.tables import load_index
from stages import run


def main() -> None:
    params = load_params()
    index = load_index(Path("data/index.csv"), Path("data/raw"))
    prepare_frames(index, Path("data/prepared"), params.prepare.image_size)


if __name__ == "__main__":
    run(main)
