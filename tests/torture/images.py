"""Mutated pictures through the index stage's own code: ``python -m tests.torture.images [--files 10000]``.

Prints how many were accepted and rejected and why, and the longest time for one. A crash, a hang or
a file that is neither accepted nor rejected ends it with exit status 1.
"""

import io
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from deepfake_detection.index.build import index_data_set
from deepfake_detection.params.data_sections import Dataset, Video
from deepfake_detection.pictures.images import UnreadableImageError, read_rgb
from deepfake_detection.sources.drawn.drawing import film
from deepfake_detection.sources.gather import gather
from deepfake_detection.sources.layouts.kaggle import FRAMES

LONGEST = 5.0  # seconds that one picture may take
SAVED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("JPEG", {"quality": 90}),
    ("JPEG", {"quality": 60, "progressive": True}),
    ("JPEG", {"quality": 75, "optimize": True, "restart_marker_blocks": 4}),
    ("PNG", {}),
    ("BMP", {}),
    ("WEBP", {"quality": 80}),
    ("AVIF", {"quality": 80}),
    ("GIF", {}),
)


def originals() -> list[bytes]:
    """A drawn face of 160 px in every format that is read, JPEG also grey, CMYK, with EXIF and with more behind it."""
    face = Image.fromarray(np.round(film(0, 0, 160, 42).filmed * 255).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    pictures: list[tuple[Image.Image, str, dict[str, Any]]] = [(face, name, options) for name, options in SAVED]
    pictures += [(face.convert(mode), "JPEG", {"quality": 80}) for mode in ("L", "CMYK")]
    pictures += [(face, "JPEG", {"exif": exif})]
    contents = []
    for picture, name, options in pictures:
        file = io.BytesIO()
        picture.save(file, name, **options)
        contents.append(file.getvalue())
    return [*contents, contents[0] + contents[1], contents[1][:-2]]  # of a phone, and without its end mark


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """One to eight changes: flipped bits, overwritten, deleted, doubled and cut stretches, favouring the header."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 9)):
        end = len(data) if rng.random() < 0.5 else min(len(data), 700)
        at = int(rng.integers(0, max(end, 1)))
        length = int(rng.integers(1, 40))
        match rng.integers(0, 7):
            case 0:
                data[at : at + 1] = bytes([rng.integers(0, 256)])
            case 1:
                data[at : at + length] = rng.bytes(length)
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = data[at : at + length * 10]
            case 4:
                data[at : at + 2] = b"\xff\xff"  # sizes and markers
            case 5:
                data[at : at + length] = bytes(length)
            case 6 if rng.random() < 0.3:
                del data[at:]
    return bytes(data)


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    sources = originals()
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "mine"
        for category, name in (("Original", "0_f0.png"), ("Deepfakes", "0_1_f0.png")):
            (raw / FRAMES / category).mkdir(parents=True)
            Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)).save(raw / FRAMES / category / name)
        files = [raw / FRAMES / "Original" / f"{number}_f1.jpg" for number in range(options.files)]
        for file in tqdm(files, "mutating", unit="file"):
            file.write_bytes(mutated(sources[rng.integers(len(sources))], rng))
        longest = 0.0
        for file in tqdm(files, "decoding one by one", unit="file"):
            start = time.perf_counter()
            with suppress(UnreadableImageError):
                read_rgb(file)
            longest = max(longest, time.perf_counter() - start)
        wanted = Dataset(path=str(raw), use="train")
        gather("own", wanted, Video(frames=1), Path(folder, "raw", "own"))
        index, _, rejected, _ = index_data_set(Path(folder, "raw"), "own", max_rejected=1.0, faces=False)
    reasons = Counter(reason.partition(" of ")[0] for reason in rejected["reason"])
    accepted = len(index) - 2
    print(f"mutated files {options.files}, accepted {accepted}, rejected {len(rejected)}, crashes 0")
    for reason, count in reasons.most_common():
        print(f"  {count:6} {reason}")
    print(f"longest time for one: {longest:.3f} s")
    if accepted + len(rejected) != options.files or longest > LONGEST or not accepted or rejected.empty:
        sys.exit("error: a file was lost or took too long, or nothing was tried")


if __name__ == "__main__":
    main()
