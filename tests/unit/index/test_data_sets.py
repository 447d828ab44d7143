"""Each data set is divided by itself."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from deepfake_detection.params.data import AllCategories

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import COLUMNS
from deepfake_detection.index.data_sets import split_data_sets
from deepfake_detection.sources.gather import TABLE_COLUMNS

CATEGORIES = AllCategories(real=["Original"], fake=["Deepfakes"], unseen=["FaceSwap"])
SHARES = (0.5, 0.25, 0.25)


def rows(dataset: str, categories: dict[str, int], videos: int, splits: tuple[str, ...] = ("",)) -> pd.DataFrame:
    """A frame of each video and category, in a group for each video."""
    found = [
        {
            "path": f"{dataset}/{category}/{video:03d}.png",
            "dataset": dataset,
            "category": category,
            "label": label,
            "video_id": f"{video:03d}",
            "source_id": "",
            "group": f"{dataset}/{video:03d}",
            "unit": "",
            "frame": 0,
            "width": 8,
            "height": 8,
            "split": splits[video % len(splits)],
        }
        for category, label in categories.items()
        for video in range(videos)
    ]
    return pd.DataFrame(found)


MAIN = rows("FaceForensics++", {"Original": 0, "Deepfakes": 1, "FaceSwap": 1}, 20)
OTHER = rows("other", {"real": 0, "fake": 1}, 8)
DIVIDED = rows("divided", {"real": 0, "fake": 1}, 9, ("train", "val", "test"))
PHONE = rows("phone", {"unlabelled": -1}, 3)


def divide(
    folder: Path, further: list[pd.DataFrame], extra: dict[str, str], strategy: str = "group", **lists: Any
) -> Any:
    """The splits by path, and the report."""
    table = pd.concat([MAIN, *further]).sort_values("path", ignore_index=True)
    table[list(COLUMNS)].to_csv(folder / "index.csv", index=False)
    pd.concat([MAIN.iloc[:0], *further])[TABLE_COLUMNS].to_csv(folder / EXTRA_TABLE, index=False)
    split, report = split_data_sets(folder / "index.csv", folder, CATEGORIES, extra, strategy, SHARES, 3, **lists)
    return dict(zip(table["path"], split["split"], strict=True)), report


def test_a_further_data_set_never_changes_the_split_of_the_main_one(tmp_path: Path) -> None:
    alone, report = divide(tmp_path, [], {})
    assert report["datasets"] == {}
    uses = {"other": "train", "divided": "train", "phone": "adapt"}
    together, found = divide(tmp_path, [OTHER, DIVIDED, PHONE], uses)
    assert alone.items() <= together.items()
    assert {key: found[key] for key in report if key != "datasets"} == {
        key: value for key, value in report.items() if key != "datasets"
    }
    sides = pd.Series({path: side for path, side in together.items() if path.startswith("other/real")})
    assert sides.value_counts().to_dict() == {"train": 4, "val": 2, "test": 2}
    for video in range(8):
        assert together[f"other/real/{video:03d}.png"] == together[f"other/fake/{video:03d}.png"]
    assert [together[path] for path in DIVIDED["path"]] == DIVIDED["split"].tolist()
    assert {together[path] for path in PHONE["path"]} == {"adapt"}
    assert {name: (part["use"], part["strategy"]) for name, part in found["datasets"].items()} == {
        "other": ("train", "group"),
        "divided": ("train", "own"),
        "phone": ("adapt", "adapt"),
    }


def test_what_is_only_tested_on_is_test(tmp_path: Path) -> None:
    split, report = divide(tmp_path, [OTHER], {"other": "test"})
    assert {split[path] for path in OTHER["path"]} == {"test"}
    assert report["datasets"]["other"]["test"]["frames"] == len(OTHER)


def test_official_lists_are_of_the_main_data_set_alone(tmp_path: Path) -> None:
    official = {f"{video:03d}": ("train", "val", "test")[video % 3] for video in range(20)}
    split, report = divide(tmp_path, [OTHER], {"other": "train"}, "official", official=official)
    assert all(split[f"FaceForensics++/Original/{video}.png"] == side for video, side in official.items())
    assert (report["strategy"], report["datasets"]["other"]["strategy"]) == ("official", "group")


def test_a_data_set_that_cannot_be_divided_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^data set other: split: .*the 2 groups of videos are too few"):
        divide(tmp_path, [rows("other", {"real": 0, "fake": 1}, 2)], {"other": "train"})
