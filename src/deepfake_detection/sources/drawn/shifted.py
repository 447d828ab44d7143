"""Placeholder."""

from pathlib import Path


def write_shifted(root: Path, categories: list[str], identities: int, frames: int, seed: int) -> None:
    from deepfake_detection.sources.drawn.dataset import generate

    generate(root, categories, identities, frames, 64, seed + 1)
