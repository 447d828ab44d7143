"""Prepared pixels are read back as one in the order of the data sets, tied to their splits, or not at all."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import read_index
from deepfake_detection.frames.prepared import open_prepared, open_set
from deepfake_detection.frames.preparing import prepare_frames


@pytest.fixture
def folder(tmp_path: Path, index: Path) -> Path:
    """The frames of an index prepared twice: 30 as the data set b, and the other 10 as a; splits.csv beside them."""
    for name, wanted in (("b", [True] * 30 + [False] * 10), ("a", [False] * 30 + [True] * 10)):
        prepare_frames(index, tmp_path, tmp_path / "prepared" / "train" / name, 32, wanted=wanted)
    splits = pd.DataFrame({"path": read_index(index)["path"], "split": ["train"] * 39 + ["test"], "dataset": "a"})
    splits.assign(group="g").to_csv(tmp_path / "splits.csv", index=False)
    return tmp_path / "prepared" / "train"


def test_rows_are_the_frames_of_all_data_sets(tmp_path: Path, folder: Path) -> None:
    pixels, rows = open_prepared(folder, tmp_path / "splits.csv")
    assert (pixels.shape, pixels[0].dtype) == ((40, 32, 32, 3), np.uint8)
    assert rows["video_id"].tolist() == [f"{n:03d}" for n in (*range(30, 40), *range(30))]
    assert rows["split"].tolist() == ["train"] * 9 + ["test"] + ["train"] * 30
    assert set(rows["group"]) == {"g"}
    for row in (0, 9, 10, 39):
        frame = Image.open(tmp_path / rows["path"][row]).resize((32, 32), Image.Resampling.BILINEAR)
        assert np.array_equal(pixels[row], np.asarray(frame))
    alone, own = open_set(folder, "b")
    assert (len(alone), own["group"].iloc[0]) == (30, "000")


def test_splits_of_other_frames_are_refused(tmp_path: Path, folder: Path) -> None:
    splits = pd.read_csv(tmp_path / "splits.csv").iloc[1:]
    splits.to_csv(tmp_path / "splits.csv", index=False)
    with pytest.raises(UserError, match="do not list the same frames"):
        open_prepared(folder, tmp_path / "splits.csv")
    with pytest.raises(UserError, match="adapt holds no prepared frames"):
        open_set(tmp_path / "adapt")


@pytest.mark.parametrize("damage", ["half", "objects", "other", "header"])
def test_damaged_pixels_are_one_line(folder: Path, damage: str) -> None:
    pixels = folder / "b.npy"
    content = pixels.read_bytes()
    if damage == "objects":
        np.save(pixels, np.array([{}]), allow_pickle=True)
    elif damage == "other":
        np.save(pixels, np.zeros((39, 32, 32, 3), np.uint8))
    else:
        pixels.write_bytes(content[: len(content) // 2] if damage == "half" else content[:20])
    with pytest.raises(UserError, match=r"b\.npy: not .*pixels.*; run `dvc repro prepare`"):
        open_set(folder)
