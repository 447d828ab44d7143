"""Several data sets in one run: what each is used for, what is measured of it, and what runs again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from deepfake_detection.common.errors import UserError
from tests.pipeline.conftest import STAGES, run_stages
from tests.support.miniatures import celebdf, deepfakebench, faceforensics, folders
from tests.support.miniatures.drawing import picture
from tests.support.params import tree

pytestmark = pytest.mark.slow


def of(folder: Path | str, use: str = "test", **more: Any) -> dict[str, Any]:
    return {"path": str(folder), "use": use, **more}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run stages in, and beside it data sets."""
    (tmp_path / "project").mkdir()
    faceforensics.make(tmp_path / "ffpp", pairs=4)
    celebdf.make(tmp_path / "celeb")
    for who in range(8):
        for label, name in enumerate(("real", "fake")):
            picture(tmp_path / "own" / name / f"holiday {who}.png", 100 + who, bool(label))
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def run(project: Path, datasets: dict[str, Any], stages: tuple[str, ...] = STAGES, **sections: dict[str, Any]) -> None:
    params = tree()
    categories = {"real": ["Original"], "fake": ["Deepfakes"], "unseen": ["FaceSwap"]}
    params["datasets"] = {"ffpp": of(project.parent / "ffpp", "train", **categories)} | datasets
    params["video"] |= {"frames": 2}
    params["split"] |= {"train": 0.5, "val": 0.25, "test": 0.25}
    params["train"] |= {"epochs": 1}
    for section, changes in sections.items():
        params[section] |= changes
    run_stages(project, params, stages)


def read(project: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(project / "data" / f"{name}.csv", dtype=str, keep_default_na=False)


def listed_in(celeb: Path) -> list[tuple[int, str]]:
    """The label (1 is a real video) and the path of each video on Celeb-DF's list."""
    lines = (celeb / celebdf.LIST).read_text().splitlines()
    return [(int(label), path) for label, path in (line.split() for line in lines)]


def test_what_is_only_evaluated_and_what_is_trained_on(project: Path) -> None:
    celeb = project.parent / "celeb"
    run(project, {"Celeb-DF": of(celeb), "own": of(project.parent / "own", "train")})
    index, splits, predictions = (read(project, name) for name in ("index", "splits", "predictions"))
    assert list(splits) == ["path", "split", "dataset", "group"]
    assert splits[["path", "dataset"]].equals(index[["path", "dataset"]])
    of_celeb = splits[splits["dataset"] == "Celeb-DF"]
    assert set(of_celeb["split"]) == {"test"}
    assert {path.rpartition("/")[0] for path in of_celeb["path"]} == {
        f"Celeb-DF/files/{path}" for _, path in listed_in(celeb)
    }
    assert splits.loc[splits["dataset"] == "own", "split"].value_counts().to_dict() == {"train": 8, "val": 4, "test": 4}
    there = {
        role: {
            (path.stem, category)
            for path in (project / "data" / "prepared" / role).glob("*.csv")
            for category in pd.read_csv(path)["category"]
        }
        for role in ("train", "unseen", "test", "adapt")
    }
    assert there == {
        "train": {("ffpp", "Original"), ("ffpp", "Deepfakes"), ("own", "real"), ("own", "fake")},
        "unseen": {("ffpp", "FaceSwap")},
        "test": {("Celeb-DF", category) for category in index.loc[index["dataset"] == "Celeb-DF", "category"]},
        "adapt": set(),
    }

    test = json.loads((project / "metrics" / "details.json").read_text())
    uses = {name: found["use"] for name, found in test["datasets"].items()}
    assert uses == {"Celeb-DF": "test", "ffpp": "train", "own": "train"}
    tested = predictions[predictions["split"] == "test"]
    headline = tested[tested["dataset"].isin(["ffpp", "own"]) & (tested["category"] != "FaceSwap")]
    assert sum(test["confusion_matrix"].values()) == len(headline)
    rows, found = tested[tested["dataset"] == "Celeb-DF"], test["datasets"]["Celeb-DF"]
    assert found["frame"]["auroc"] == roc_auc_score(rows["label"].astype(int), rows["logit"].astype(float))
    assert found["frame"]["groups"] == rows["group"].nunique()
    assert test["macro_auroc_datasets"] == found["frame"]["auroc"]
    videos = rows.assign(logit=rows["logit"].astype(float)).groupby(["video_id", "source_id", "label"])["logit"].mean()
    labels = videos.index.get_level_values("label").astype(int)
    assert found["video"]["auroc"] == pytest.approx(roc_auc_score(labels, videos), abs=1e-12)
    assert found["coverage"] == 1
    assert set(test["val"]["datasets"]) == {"ffpp", "own"}


def test_a_missing_video_is_counted_and_left_out_or_judged_as_chance(project: Path) -> None:
    celeb = project.parent / "celeb"
    path = next(path for label, path in listed_in(celeb) if label == 0)
    (celeb / path).write_bytes(b"no video")
    with pytest.raises(
        UserError, match=r"^Celeb-DF: 1 of \d+ files rejected .*index\.max_rejected.*no frame of the video"
    ):
        run(project, {"Celeb-DF": of(celeb)}, ("download", "index"))
    run(project, {"Celeb-DF": of(celeb)}, index={"max_rejected": 0.5})
    assert read(project, "missing/Celeb-DF")["dataset"].tolist() == ["Celeb-DF"]
    left_out = json.loads((project / "metrics" / "details.json").read_text())["datasets"]["Celeb-DF"]
    videos = len(listed_in(celeb))
    assert (left_out["videos"], left_out["missing_videos"], left_out["coverage"]) == (
        videos - 1,
        1,
        (videos - 1) / videos,
    )
    assert sum(left_out["video"]["confusion_matrix"].values()) == videos - 1
    run(project, {"Celeb-DF": of(celeb)}, ("evaluate",), evaluate={"missing": "as_chance"})
    chance = json.loads((project / "metrics" / "details.json").read_text())["datasets"]["Celeb-DF"]
    assert sum(chance["video"]["confusion_matrix"].values()) == videos
    assert chance["frame"] == left_out["frame"]
    assert chance["coverage"] == left_out["coverage"]


def test_pictures_without_labels_are_prepared_for_later(project: Path) -> None:
    picture(project.parent / "phone" / "IMG 1.png", 50, False)
    picture(project.parent / "phone" / "burst" / "1.png", 51, False)
    run(project, {"phone": of(project.parent / "phone", "adapt")}, STAGES[:5])
    splits = read(project, "splits")
    assert splits.loc[splits["dataset"] == "phone", "split"].tolist() == ["adapt", "adapt"]
    prepared = pd.read_csv(project / "data" / "prepared" / "adapt" / "phone.csv")
    assert prepared["label"].tolist() == [-1, -1]
    assert prepared["path"].tolist() == ["phone/files/IMG 1.png", "phone/files/burst/1.png"]
    assert np.load(project / "data" / "prepared" / "adapt" / "phone.npy").shape == (2, 32, 32, 3)
    assert set(read(project, "splits_trained")["dataset"]) == {"ffpp"}


@pytest.mark.parametrize(
    ("datasets", "words"),
    [
        ({"phone": of("../phone")}, r"^datasets\.phone: \.\./phone has no known layout; .* with use: adapt$"),
        ({"celeb": of("../celeb", layout="folders")}, r"^datasets\.celeb: \.\./celeb does not fit layout folders: "),
        ({"many": of("../bench")}, r"^datasets\.many: \.\./bench holds several data sets \(.*\): "),
        ({"gone": of("../gone")}, r"^datasets\.gone: \.\./gone: no such file or folder"),
        ({"data": of("data")}, r"^datasets\.data: path: data and data/"),
        ({"one": of("none")}, r"params\.yaml: datasets\.one: path, kaggle or a layout that is drawn"),
        ({"one": of("../celeb", layout="embedded")}, r"params\.yaml: datasets\.one: path, kaggle or a layout"),
    ],
)
def test_what_cannot_be_used_is_one_line(project: Path, datasets: dict[str, Any], words: str) -> None:
    picture(project.parent / "phone" / "IMG 1.png", 50, False)
    deepfakebench.make(project.parent / "bench")
    with pytest.raises(UserError, match=words) as raised:
        run(project, datasets, ("download",))
    assert "\n" not in str(raised.value)


def test_videos_of_faceforensics(project: Path) -> None:
    run(project, {})
    index, splits, predictions = (read(project, name) for name in ("index", "splits", "predictions"))
    first = index[index["path"].str.contains("/Deepfakes/c23/videos/000_001.mp4/")]
    assert first["frame"].tolist() == ["1", "3"]
    assert set(first["group"]) == {"ffpp/000"}
    assert sorted(index["group"].unique()) == [f"ffpp/{group}" for group in ("000", "002", "004", "006")]
    side = index.assign(split=splits["split"])
    assert side.loc[side["category"] != "FaceSwap"].groupby("group")["split"].nunique().eq(1).all()
    tested = predictions[predictions["split"] == "test"]
    assert tested["group"].nunique() == 1
    assert set(tested["category"]) == {"Original", "Deepfakes", "FaceSwap"}


def test_folders_that_are_divided_keep_their_division(project: Path) -> None:
    folders.make_divided(project.parent / "divided")
    params = tree() | {"datasets": {"own": of("../divided", "train")}}
    params["train"] |= {"epochs": 1}
    run_stages(project, params)
    index, splits, predictions = (read(project, name) for name in ("index", "splits", "predictions"))
    parts = {"train": "train", "valid": "val", "Test": "test"}
    assert [parts[path.split("/")[2]] for path in index["path"]] == splits["split"].tolist()
    assert predictions.loc[predictions["split"] == "test", "path"].tolist() == [
        "own/files/Test/0/004_f4.jpg",
        "own/files/Test/1/004_005_f4.jpg",
    ]


def test_a_list_of_files(project: Path) -> None:
    rows = ["path;label;video;group;category"]
    for who in range(8):
        for label, name in enumerate(("camera", "swap")):
            picture(project.parent / "listed" / f"{name} {who}.png", who, bool(label))
            rows.append(f"{name} {who}.png;{label};{name} {who};person {who};{name}")
    (project.parent / "listed" / "mine.csv").write_text("\r\n".join(rows), encoding="utf-8-sig")
    params = tree() | {"datasets": {"own": of("../listed/mine.csv", "train")}}
    params["split"] |= {"train": 0.5, "val": 0.25, "test": 0.25}
    run_stages(project, params, STAGES[:4])
    index, splits = (read(project, name) for name in ("index", "splits"))
    assert index["group"].tolist() == [f"own/person {who}" for who in range(8)] * 2
    assert splits["split"].value_counts().to_dict() == {"train": 8, "val": 4, "test": 4}
