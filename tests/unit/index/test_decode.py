"""One decoding says all that index and split ask of a frame."""

import hashlib
from itertools import repeat
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
import pytest
from numpy.dtypes import StringDType
from PIL import Image

from deepfake_detection.common.tables import VIDEO
from deepfake_detection.index.decode import decode_frames, open_frames
from deepfake_detection.pictures.faces import detect_faces
from deepfake_detection.pictures.images import read_rgb
from deepfake_detection.sources.drawn.drawing import film


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drawn faces, the second one stored on its side with an orientation, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("frames")
    for name, who in (("a", 0), ("b", 7)):
        face = np.asarray(np.round(film(who, 0, 256, seed=1).filmed * 255), np.uint8)[:, :240]
        Image.fromarray(face if name == "a" else np.rot90(face)).save(
            folder / f"{name}.jpg", exif=b"" if name == "a" else Image.Exif.tobytes(turned())
        )
    (folder / "c.jpg").write_bytes(b"no picture")
    return folder


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned clockwise by a quarter
    return exif


@pytest.mark.parametrize("workers", [1, 2])
def test_a_frame_is_described_by_its_upright_pixels_and_its_bytes(folder: Path, workers: int) -> None:
    files = np.array(["b.jpg", "c.jpg", "a.jpg"], dtype=StringDType())
    decoded = decode_frames(folder, files, np.zeros(3, np.int64), repeat({}), "opening", workers)
    assert decoded.found["row"].tolist() == [0, 2]
    for found, faces, name in zip(decoded.found, decoded.faces, ("b.jpg", "a.jpg"), strict=True):
        pixels = read_rgb(folder / name)
        assert (found["width"], found["height"], found["number"]) == (240, 256, VIDEO)
        assert found["digest"].decode() == hashlib.sha256((folder / name).read_bytes()).hexdigest()[:32]
        assert f"{found['phash']:016x}" == str(imagehash.phash(Image.fromarray(pixels)))
        assert faces == detect_faces(pixels) != []
    assert list(decoded.problems) == [1]
    assert decoded.problems[1].startswith("could not be decoded: ")


def test_the_hash_of_a_large_frame_is_nearly_that_of_all_its_pixels(folder: Path) -> None:
    for number in range(4):
        face = Image.fromarray(np.round(film(number, 0, 256, seed=1).filmed * 255).astype(np.uint8))
        face.resize((1280, 720), Image.Resampling.BICUBIC).save(folder / f"large{number}.png", compress_level=1)
    files = np.array([f"large{number}.png" for number in range(4)], dtype=StringDType())
    decoded = decode_frames(folder, files, np.zeros(4, np.int64), repeat({}), "opening", 1)
    for name, found in zip(files, decoded.found["phash"], strict=True):
        whole = int(str(imagehash.phash(Image.open(folder / name))), 16)
        assert (whole ^ int(found)).bit_count() <= 2


def test_faces_are_looked_for_where_they_are_wanted_and_not_known(folder: Path) -> None:
    files = np.array(["a.jpg"] * 4, dtype=StringDType())
    known = [None, {7: [(240, 256)]}, {7: [(256, 240)]}, {8: [(240, 256)]}]
    decoded = decode_frames(folder, files, np.full(4, 7), known, "opening", 1)
    assert [faces is None for faces in decoded.faces] == [True, True, False, False]


def test_originals_and_fakes_whose_names_alternate_are_opened(tmp_path: Path) -> None:
    """At this number, NumPy 2.4 breaks off in its quicksort of two sorted parts that interleave."""
    parts = [
        [f"{who:04d}-{label}-{frame}.png" for who in range(60) for frame in range(8)] for label in ("real", "fake")
    ]
    for number, name in enumerate(parts[0] + parts[1]):
        Image.fromarray(np.array([[number % 256, number // 256]], np.uint8)).save(tmp_path / name)
    columns = {"category": "x", "label": np.repeat([0, 1], 480), "video_id": "", "frame": 0}
    names = pd.DataFrame({"path": parts[0] + parts[1]} | columns)
    table, unusable = open_frames(tmp_path, names, faces=False, workers=1)
    assert table["path"].tolist() == parts[0] + parts[1]
    assert unusable.empty
