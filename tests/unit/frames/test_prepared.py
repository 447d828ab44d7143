"""Prepared pixels are read back in the index's order, tied to their splits, or not at all."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import read_index
from deepfake_detection.frames.prepared import open_prepared
from deepfake_detection.frames.preparing import prepare_frames


def test_rows_are_the_frames_in_index_order(tmp_path: Path, index: Path) -> None:
    prepare_frames(index, tmp_path, tmp_path / "prepared", 32)
    splits = pd.DataFrame({"path": read_index(index)["path"], "split": ["train"] * 39 + ["test"]})
    splits.to_csv(tmp_path / "splits.csv", index=False)
    pixels, rows = open_prepared(tmp_path / "prepared", tmp_path / "splits.csv")
    assert isinstance(pixels, np.memmap)
    assert (pixels.shape, pixels.dtype) == ((40, 32, 32, 3), np.uint8)
    assert rows["video_id"].tolist() == [f"{n:03d}" for n in range(40)]
    assert rows["split"].iloc[-1] == "test"
    for row in (0, 17, 39):
        frame = Image.open(tmp_path / rows["path"][row]).resize((32, 32), Image.Resampling.BILINEAR)
        assert np.array_equal(pixels[row], np.asarray(frame))


def test_splits_of_other_frames_are_refused(tmp_path: Path, index: Path) -> None:
    prepare_frames(index, tmp_path, tmp_path / "prepared", 32)
    pd.DataFrame({"path": read_index(index)["path"][1:], "split": "train"}).to_csv(tmp_path / "splits.csv", index=False)
    with pytest.raises(UserError, match="do not list the same frames"):
        open_prepared(tmp_path / "prepared", tmp_path / "splits.csv")


@pytest.mark.parametrize("damage", ["half", "objects", "other", "header"])
def test_damaged_pixels_are_one_line(tmp_path: Path, index: Path, damage: str) -> None:
    prepare_frames(index, tmp_path, tmp_path / "prepared", 32)
    pd.DataFrame({"path": read_index(index)["path"], "split": "train"}).to_csv(tmp_path / "splits.csv", index=False)
    pixels = tmp_path / "prepared" / "pixels.npy"
    content = pixels.read_bytes()
    if damage == "objects":
        np.save(pixels, np.array([{}]), allow_pickle=True)
    elif damage == "other":
        np.save(pixels, np.zeros((39, 32, 32, 3), np.uint8))
    else:
        pixels.write_bytes(content[: len(content) // 2] if damage == "half" else content[:20])
    with pytest.raises(UserError, match=r"pixels\.npy: not .*pixels.*; run `dvc repro prepare`"):
        open_prepared(tmp_path / "prepared", tmp_path / "splits.csv")
