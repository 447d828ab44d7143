"""A table from an earlier stage is read as it was written, or refused in one line."""

from pathlib import Path

import pandas as pd
import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import COLUMNS, read_index, read_paths, read_predictions, read_splits


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A written index of 40 frames."""
    rows = [
        (f"{number:03d}_f0.jpg", "drawn", "Original", 0, f"{number:03d}", "", "000", 0, 64, 48) for number in range(40)
    ]
    pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(tmp_path / "index.csv", index=False)
    return tmp_path / "index.csv"


@pytest.mark.parametrize("content", ["", "path,label\na,0\n", "not an index"])
def test_other_file_is_not_an_index(tmp_path: Path, content: str) -> None:
    (tmp_path / "index.csv").write_text(content)
    with pytest.raises(UserError, match=r"index\.csv is not an index \(.+\): run the stage that writes it again"):
        read_index(tmp_path / "index.csv")


def test_missing_index_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"index\.csv not found"):
        read_index(tmp_path / "index.csv")


OUTSIDE = ["/etc/passwd", "../../etc/passwd", "a/../../b.jpg", "..", r"..\b.jpg", r"C:\b.jpg", "a\0b.jpg"]


@pytest.mark.parametrize("outside", OUTSIDE)
def test_a_table_whose_path_leads_out_of_the_data_is_refused(index: Path, outside: str) -> None:
    table = read_index(index).assign(split="test", logit=0.5, raw_probability=0.5, probability=0.5)
    table.loc[39, "path"] = outside
    table.to_csv(index, index=False)
    for read in (read_index, read_paths, read_splits, read_predictions):
        with pytest.raises(UserError, match=r"index\.csv: the path .* leads out of the data; run") as caught:
            list(read(index))
        assert "\n" not in str(caught.value)


def test_names_with_dots_are_paths_like_any_other(index: Path) -> None:
    table = read_index(index)
    table.loc[[0, 1], "path"] = ["a..b/..c/d...jpg", "FF++C32-Frames/Original/005_f0.jpg"]
    table.to_csv(index, index=False)
    assert read_index(index)["path"].tolist() == list(read_paths(index)) == table["path"].tolist()
