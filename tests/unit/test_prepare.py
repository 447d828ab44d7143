"""Prepared pixels: the same whatever the workers, in the index's order, tied to their splits."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepfake_detection.errors import UserError
from deepfake_detection.prepare import prepare_frames
from deepfake_detection.prepared import open_prepared
from deepfake_detection.tables import COLUMNS, read_index, read_paths, read_predictions, read_splits
from tests.disks import file_size_limit


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A written index of 40 frames, whose files lie beside it."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(40):
        path = tmp_path / f"{number:03d}_f0.jpg"
        height, width = rng.integers(40, 90, 2)
        Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(path)
        rows.append((path.name, "Original", 0, f"{number:03d}", "", 0, width, height))
    pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(tmp_path / "index.csv", index=False)
    return tmp_path / "index.csv"


def test_pixels_do_not_depend_on_the_workers(tmp_path: Path, index: Path) -> None:
    for workers in (1, 3):
        prepare_frames(index, tmp_path, tmp_path / f"w{workers}", 32, workers)
    one, three = ((tmp_path / f"w{workers}" / "pixels.npy").read_bytes() for workers in (1, 3))
    assert one == three


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


OUTSIDE = ["/etc/passwd", "../../etc/passwd", "a/../../b.jpg", "..", r"..\b.jpg", r"C:\b.jpg", "a\0b.jpg"]


@pytest.mark.parametrize("outside", OUTSIDE)
def test_a_table_whose_path_leads_out_of_the_data_is_refused(tmp_path: Path, index: Path, outside: str) -> None:
    table = read_index(index).assign(split="test", logit=0.5, probability=0.5)
    table.loc[39, "path"] = outside
    table.to_csv(index, index=False)
    for read in (read_index, read_paths, read_splits, read_predictions):
        with pytest.raises(UserError, match=r"index\.csv: the path .* leads out of the data; run") as caught:
            list(read(index))
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="leads out of the data"):
        prepare_frames(index, tmp_path, tmp_path / "prepared", 32)
    assert not (tmp_path / "prepared").exists()


def test_names_with_dots_are_paths_like_any_other(index: Path) -> None:
    table = read_index(index)
    table.loc[[0, 1], "path"] = ["a..b/..c/d...jpg", "FF++C32-Frames/Original/005_f0.jpg"]
    table.to_csv(index, index=False)
    assert read_index(index)["path"].tolist() == list(read_paths(index)) == table["path"].tolist()


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


def test_a_full_disk_leaves_the_earlier_frames_whole(tmp_path: Path, index: Path) -> None:
    folder = tmp_path / "prepared"
    prepare_frames(index, tmp_path, folder, 32)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with file_size_limit(100_000), pytest.raises(OSError, match=r"/prepared'$"):
        prepare_frames(index, tmp_path, folder, 48, workers=1)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not list(tmp_path.glob(".part-*"))
