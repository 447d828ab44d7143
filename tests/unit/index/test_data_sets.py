"""Each data set is divided by itself, and the report adds up."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import COLUMNS, DIVISION_COLUMNS, SPLIT_COLUMNS, read_splits
from deepfake_detection.index.data_sets import split_data_set, split_data_sets
from deepfake_detection.params.data_sections import Dataset, Split
from tests.support.params import tree

SHARES = (0.5, 0.25, 0.25)


def rows(dataset: str, categories: dict[str, int], videos: int, splits: tuple[str, ...] = ("",)) -> pd.DataFrame:
    """A frame of each video and category, in a group for each video."""
    found = [
        (f"{dataset}/{category}/{video:03d}.png", category, label, f"{video:03d}", splits[video % len(splits)])
        for category, label in categories.items()
        for video in range(videos)
    ]
    table = pd.DataFrame(found, columns=["path", "category", "label", "video_id", "split"])
    table = table.assign(dataset=dataset, group=table["video_id"], source_id="", unit="", frame=0, width=8, height=8)
    return table[[*COLUMNS, *DIVISION_COLUMNS]]


MAIN = rows("main", {"Original": 0, "Deepfakes": 1, "FaceSwap": 1}, 20)
OTHER = rows("other", {"real": 0, "fake": 1}, 8)
DIVIDED = rows("divided", {"real": 0, "fake": 1}, 9, ("train", "val", "test"))
PHONE = rows("phone", {"unlabelled": -1}, 3)


def divide(index: pd.DataFrame, use: str = "train", strategy: str = "group", **how: Any) -> tuple[pd.DataFrame, Any]:
    lists = {"official": {}, "recordings": {}, "unseen": ["FaceSwap"]} | how
    return split_data_set(index, use, strategy=strategy, shares=SHARES, seed=3, **lists)


def counts(report: dict[str, Any]) -> dict[str, int]:
    return {name: report[name]["frames"] for name in ("train", "val", "test", "unused")}


def test_a_data_set_is_divided_in_groups_with_held_out_categories_apart() -> None:
    table, report = divide(MAIN)
    assert list(table) == [*COLUMNS, "role", "split"]
    assert set(table["group"]) == {f"main/{video:03d}" for video in range(20)}
    assert table.groupby("category")["role"].unique().map(list).to_dict() == {
        "Deepfakes": ["train"],
        "FaceSwap": ["unseen"],
        "Original": ["train"],
    }
    assert counts(report) == {"train": 20, "val": 10, "test": 15, "unused": 15}
    assert (report["use"], report["strategy"], report["leaked_groups"]) == ("train", "group", 0)
    without, _ = divide(MAIN[MAIN["category"] != "FaceSwap"].reset_index(drop=True))
    trained = table[table["role"] == "train"].reset_index(drop=True)
    pd.testing.assert_frame_equal(trained, without)


@pytest.mark.parametrize(("use", "split"), [("test", "test"), ("adapt", "adapt")])
def test_what_is_not_trained_on_is_not_divided(use: str, split: str) -> None:
    table, report = divide(PHONE if use == "adapt" else DIVIDED, use)
    assert set(table["split"]) == {split}
    assert set(table["role"]) == {use}
    assert (report["use"], report["strategy"]) == (use, use)
    assert set(divide(MAIN, use)[0]["role"]) == {use}  # held out or not


def test_a_data_sets_own_division_counts_except_for_random_frames() -> None:
    table, report = divide(DIVIDED)
    assert table["split"].tolist() == DIVIDED["split"].tolist()
    assert report["strategy"] == "own"
    assert divide(rows("d", {"real": 0, "fake": 1}, 40, ("train",)), strategy="frame")[1]["strategy"] == "frame"


def test_a_recording_joins_groups_within_a_data_set() -> None:
    table, report = divide(MAIN, recordings={"000": "a", "001": "a"})
    groups = dict(zip(table["path"], table["group"], strict=True))
    assert groups["main/Original/000.png"] == groups["main/Deepfakes/001.png"] == "main/000"
    assert report["leaked_recordings"] == 0


def test_a_data_set_that_cannot_be_divided_is_named() -> None:
    with pytest.raises(UserError, match=r"^data set other: split: .*the 2 groups of videos are too few"):
        divide(rows("other", {"real": 0, "fake": 1}, 2))


def write(folder: Path, index: pd.DataFrame, layout: str = "folders", lists: dict[str, Any] | None = None) -> None:
    """What the stages download and index leave of a data set."""
    name = index["dataset"].iloc[0]
    hashes = index[["path"]].assign(phash=[hashlib.sha256(path.encode()).hexdigest()[:16] for path in index["path"]])
    rejected = pd.DataFrame(columns=["path", "category", "reason"])
    for part, table in (("index", index), ("hashes", hashes), ("rejected", rejected)):
        (folder / "data" / part).mkdir(parents=True, exist_ok=True)
        table.to_csv(folder / "data" / part / f"{name}.csv", index=False)
    (folder / "data" / "raw" / name / "authors").mkdir(parents=True)
    (folder / "data" / "raw" / name / "source.json").write_text(json.dumps({"layout": layout}))
    for file, content in (lists or {}).items():
        (folder / "data" / "raw" / name / "authors" / file).write_text(json.dumps(content))


def divide_all(folder: Path, uses: dict[str, str], **split: Any) -> dict[str, Any]:
    """The report on the data sets that were written to a folder."""
    how = Split.model_validate(tree()["split"] | {"train": SHARES[0], "val": SHARES[1], "test": SHARES[2]} | split)
    datasets = {name: Dataset(path="x", use=use, unseen=["FaceSwap"]) for name, use in uses.items()}  # type: ignore[arg-type]
    return split_data_sets(datasets, how, folder / "data", {})[1]


def test_the_report_adds_up_what_is_trained_on(tmp_path: Path) -> None:
    write(tmp_path, MAIN, lists={"conversion_dict.json": {f"{video:03d}": f"{video} 0" for video in range(20)}})
    for index in (DIVIDED, PHONE):
        write(tmp_path, index)
    total = divide_all(tmp_path, {"main": "train", "divided": "train", "phone": "adapt"})
    assert list(total["datasets"]) == ["main", "divided", "phone"]
    assert total["strategy"] == "group, own"
    assert "use" not in total
    assert counts(total) == {"train": 26, "val": 16, "test": 21, "unused": 15}
    assert total["test"]["categories"].keys() == {"Original", "Deepfakes", "FaceSwap", "real", "fake"}
    assert (total["groups"], total["recordings_known"]) == (29, False)
    alone = divide_all(tmp_path, {"main": "train"})
    assert (alone["groups"], alone["recordings_known"], alone["strategy"]) == (20, True, "group")
    assert counts(alone) == counts(total["datasets"]["main"])


def test_the_strategy_official_needs_a_division_of_some_data_set(tmp_path: Path) -> None:
    for index in (OTHER, DIVIDED, PHONE):
        write(tmp_path, index)
    with pytest.raises(UserError, match=r"^split\.strategy official: .*split\.official_dir.*lists: authors"):
        divide_all(tmp_path, {"other": "train", "divided": "test", "phone": "adapt"}, strategy="official")
    report = divide_all(tmp_path, {"other": "train", "divided": "train"}, strategy="official")
    assert report["strategy"] == "group, own"


def stage(folder: Path, monkeypatch: pytest.MonkeyPatch, uses: dict[str, str], **split: Any) -> dict[str, str]:
    """Runs the stage, and returns the split of each path."""
    from stages import split as module

    unseen = {"real": ["Original"], "fake": ["Deepfakes"], "unseen": ["FaceSwap"]}
    datasets = {name: {"path": "x", "use": use} | (unseen if name == "main" else {}) for name, use in uses.items()}
    shares = {"train": SHARES[0], "val": SHARES[1], "test": SHARES[2]}
    params = tree() | {"datasets": datasets, "split": tree()["split"] | shares | split}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    monkeypatch.chdir(folder)
    removed: list[dict[str, str]] = []
    monkeypatch.setattr(module, "remove_former", removed.append)  # these files are not of a stage
    monkeypatch.setattr(module, "near_duplicates", lambda frames: {"near_duplicates": 0, "pairs": []})
    module.main()
    assert removed == [uses]
    table = read_splits(Path("data/splits.csv"))
    return dict(zip(table["path"], table["split"], strict=True))


def test_a_further_data_set_never_changes_the_split_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in (MAIN, OTHER, DIVIDED, PHONE):
        write(tmp_path, index)
    uses = {"main": "train", "other": "test", "divided": "train", "phone": "adapt"}
    together = stage(tmp_path, monkeypatch, uses)
    paths = {name: read_splits(Path(f"data/{name}.csv"))["path"] for name in ("splits_trained", "splits_unseen")}
    assert set(paths["splits_trained"].str.partition("/")[0]) == {"main", "divided"}
    assert set(paths["splits_unseen"].str.rpartition("/")[0]) == {"main/FaceSwap"}
    assert {together[path] for path in OTHER["path"]} == {"test"}
    report = json.loads(Path("metrics/split.json").read_text())
    assert list(report["datasets"]) == list(json.loads(Path("metrics/index.json").read_text())["datasets"]) == [*uses]
    assert list(pd.read_csv("data/splits.csv")) == SPLIT_COLUMNS
    assert Path("data/leak_audit.png").is_file()
    assert capsys.readouterr().out.startswith("frames: train 26, val 16, test 21; leaked groups: 0 of 29")
    alone = stage(tmp_path, monkeypatch, {"main": "train"})
    assert alone.items() <= together.items()
    assert len(alone) == len(MAIN)


def test_lists_come_from_the_users_folder_or_with_the_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sides: dict[str, list[list[str]]] = {"train": [], "val": [], "test": []}
    for pair in range(8):
        sides[("train", "train", "val", "test")[pair % 4]].append([f"{2 * pair:03d}", f"{2 * pair + 1:03d}"])
    lists = {f"{side}.json": pairs for side, pairs in sides.items()}
    write(tmp_path, MAIN, "kaggle", lists)
    write(tmp_path, OTHER)
    uses = {"main": "train", "other": "train"}
    found = stage(tmp_path, monkeypatch, uses, strategy="official")
    expected = {video: side for side, pairs in sides.items() for pair in pairs for video in pair}
    assert {path: side for path, side in found.items() if path.startswith("main/Original")} == {
        path: expected.get(path[-7:-4], "unused") for path in MAIN["path"] if "Original" in path
    }
    # those of the user's stand before them, and are of FaceForensics++ alone
    (tmp_path / "mine").mkdir()
    turned = {"train.json": sides["train"], "val.json": sides["test"], "test.json": sides["val"]}
    for file, content in turned.items():
        (tmp_path / "mine" / file).write_text(json.dumps(content))
    again = stage(tmp_path, monkeypatch, uses, strategy="official", official_dir="mine")
    assert (found["main/Original/004.png"], again["main/Original/004.png"]) == ("val", "test")
    assert {path: side for path, side in again.items() if path.startswith("other")} == {
        path: side for path, side in found.items() if path.startswith("other")
    }
