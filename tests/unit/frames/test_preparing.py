"""Frames are prepared the same whatever the workers, all or none, and only those inside the data."""

from pathlib import Path

import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import read_index
from deepfake_detection.frames.preparing import prepare_frames
from tests.support.disks import file_size_limit


def test_pixels_do_not_depend_on_the_workers(tmp_path: Path, index: Path) -> None:
    for workers in (1, 3):
        prepare_frames(index, tmp_path, tmp_path / f"w{workers}", 32, workers)
    one, three = ((tmp_path / f"w{workers}.npy").read_bytes() for workers in (1, 3))
    assert one == three


def test_an_index_whose_path_leads_out_of_the_data_is_refused(tmp_path: Path, index: Path) -> None:
    table = read_index(index)
    table.loc[39, "path"] = "../b.jpg"  # test_tables has the others
    table.to_csv(index, index=False)
    with pytest.raises(UserError, match="leads out of the data"):
        prepare_frames(index, tmp_path, tmp_path / "prepared" / "own", 32)
    assert not (tmp_path / "prepared").exists()


def test_a_full_disk_leaves_the_earlier_frames_whole(tmp_path: Path, index: Path) -> None:
    folder = tmp_path / "prepared"
    prepare_frames(index, tmp_path, folder / "own", 32)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with file_size_limit(100_000), pytest.raises(OSError, match=r"/prepared'$"):
        prepare_frames(index, tmp_path, folder / "own", 48, workers=1)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
