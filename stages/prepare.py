"""Decodes, crops and resizes every frame once, and stores the pixels for memory mapping."""

from pathlib import Path

from deepfake_detection.frames.prepare import prepare_frames
from deepfake_detection.params.load import load_params
from stages import run


def main() -> None:
    params = load_params()
    prepare_frames(
        Path("data/index.csv"),
        Path("data/raw"),
        Path("data/prepared"),
        params.prepare.image_size,
        faces=Path("data/faces.csv") if params.prepare.crop == "face" else None,
        margin=params.prepare.margin,
    )


if __name__ == "__main__":
    run(main)
