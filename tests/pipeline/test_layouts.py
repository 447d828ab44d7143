"""The stages, from a folder as it comes to predictions, in one process and with a tiny B0."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.support.miniatures import faceforensics, folders
from tests.support.miniatures.drawing import picture
from tests.support.params import tree

STAGES = ("inputs", "download", "index", "split", "prepare", "train", "calibrate", "evaluate")
COLUMNS = ["path", "dataset", "category", "label", "video_id", "source_id", "group", "frame", "width", "height"]


def run(project: Path, folder: Path, categories: dict[str, list[str]], stages: tuple[str, ...] = STAGES) -> Any:
    """Runs stages, and returns the index, the splits and the predictions, as far as they are there."""
    params = tree()
    params["data"] |= {"source": "local", "local_dir": str(folder), "frames": 2, "categories": categories}
    params["split"] |= {"train": 0.5, "val": 0.25, "test": 0.25}
    params["train"] |= {"epochs": 1}
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    for name in stages:
        import_module(f"stages.{name}").main()
    tables = [project / "data" / f"{name}.csv" for name in ("index", "splits", "predictions")]
    return [pd.read_csv(path, dtype=str, keep_default_na=False) for path in tables if path.exists()]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def test_videos_of_faceforensics(project: Path, tmp_path: Path) -> None:
    faceforensics.make(tmp_path / "own", pairs=4)
    categories = {"real": ["Original"], "fake": ["Deepfakes"], "unseen": ["FaceSwap"]}
    index, splits, predictions = run(project, tmp_path / "own", categories)
    assert list(index) == COLUMNS
    assert set(index["dataset"]) == {"FaceForensics++"}
    first = index[index["path"].str.contains("/Deepfakes/c23/videos/000_001.mp4/")]
    assert first["frame"].tolist() == ["1", "3"]
    assert set(first["group"]) == {"000"}
    assert sorted(index["group"].unique()) == ["000", "002", "004", "006"]
    side = index.assign(split=splits["split"])
    assert side.loc[side["category"] != "FaceSwap"].groupby("group")["split"].nunique().eq(1).all()
    assert list(predictions) == [
        *["path", "dataset", "category", "video_id", "source_id", "group", "label", "split"],
        *["logit", "raw_probability", "probability"],
    ]
    tested = predictions[predictions["split"] == "test"]
    assert tested["group"].nunique() == 1
    assert set(tested["category"]) == {"Original", "Deepfakes", "FaceSwap"}
    test = json.loads((project / "metrics" / "test.json").read_text())
    assert test["categories"]["FaceSwap"]["frames"] == 4


def test_folders_that_are_divided_keep_their_division(project: Path, tmp_path: Path) -> None:
    folders.make_divided(tmp_path / "own")
    index, splits, predictions = run(project, tmp_path / "own", {"real": ["real"], "fake": ["fake"], "unseen": []})
    parts = {"train": "train", "valid": "val", "Test": "test"}
    assert [parts[path.split("/")[1]] for path in index["path"]] == splits["split"].tolist()
    assert predictions.loc[predictions["split"] == "test", "path"].tolist() == [
        "folders/Test/0/004_f4.jpg",
        "folders/Test/1/004_005_f4.jpg",
    ]


def test_a_list_of_files(project: Path, tmp_path: Path) -> None:
    rows = ["path;label;video;group;category"]
    for who in range(8):
        for label, name in enumerate(("camera", "swap")):
            picture(tmp_path / "own" / f"{name} {who}.png", who, bool(label))
            rows.append(f"{name} {who}.png;{label};{name} {who};person {who};{name}")
    (tmp_path / "own" / "mine.csv").write_text("\r\n".join(rows), encoding="utf-8-sig")
    index, splits, predictions = run(
        project, tmp_path / "own" / "mine.csv", {"real": ["camera"], "fake": ["swap"], "unseen": []}
    )
    assert index["group"].tolist() == [f"person {who}" for who in range(8)] * 2
    assert splits["split"].value_counts().to_dict() == {"train": 8, "val": 4, "test": 4}
    assert len(predictions) == 8
    assert (project / "data" / "inputs" / "whole" / "data.local_dir").samefile(tmp_path / "own")
