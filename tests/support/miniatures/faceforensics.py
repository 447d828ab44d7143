"""A miniature of FaceForensics++ and DeepFakeDetection as their authors' script downloads them."""

from pathlib import Path

from tests.support.miniatures.drawing import film, picture


def make(folder: Path, pairs: int = 1, compression: str = "c23") -> None:
    """Originals, Deepfakes as videos, FaceSwap as frames, and one recording of DeepFakeDetection with its fake."""
    for number in range(pairs):
        pair = (2 * number, 2 * number + 1)
        for target, source in (pair, pair[::-1]):
            film(folder / f"original_sequences/youtube/{compression}/videos/{target:03d}.mp4", target, False)
            name = f"{target:03d}_{source:03d}"
            film(folder / f"manipulated_sequences/Deepfakes/{compression}/videos/{name}.mp4", target, True)
            for frame in range(2):
                path = f"manipulated_sequences/FaceSwap/{compression}/frames/{name}/{frame * 10:04d}.png"
                picture(folder / path, target, True, frame)
    film(folder / f"original_sequences/actors/{compression}/videos/01__kitchen_pan.mp4", 901, False)
    film(
        folder / f"manipulated_sequences/DeepFakeDetection/{compression}/videos/01_02__kitchen_pan__ABCD1234.mp4",
        901,
        True,
    )
    (folder / "manipulated_sequences/Deepfakes/masks/videos").mkdir(parents=True)
