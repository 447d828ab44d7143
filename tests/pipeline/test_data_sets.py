"""Several data sets in one run: what each is used for, what is measured of it, and what runs again."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from deepfake_detection.common.errors import UserError
from tests.pipeline.conftest import Project
from tests.pipeline.test_layouts import STAGES
from tests.support.miniatures import celebdf, deepfakebench, dfdc_preview, faceforensics
from tests.support.miniatures.drawing import picture
from tests.support.params import tree

pytestmark = pytest.mark.slow


def extra(name: str, folder: Path | str, use: str = "test", layout: str = "auto") -> dict[str, str]:
    return {"name": name, "dir": str(folder), "layout": layout, "use": use}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run stages in, and beside it data sets."""
    (tmp_path / "project").mkdir()
    faceforensics.make(tmp_path / "ffpp", pairs=4)
    celebdf.make(tmp_path / "celeb")
    for who in range(8):
        for label, name in enumerate(("real", "fake")):
            picture(tmp_path / "own" / name / f"holiday {who}.png", who, bool(label))
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def run(
    project: Path, further: list[dict[str, str]], stages: tuple[str, ...] = STAGES, **sections: dict[str, Any]
) -> None:
    params = tree()
    categories = {"real": ["Original"], "fake": ["Deepfakes"], "unseen": ["FaceSwap"]}
    local = {"source": "local", "local_dir": str(project.parent / "ffpp"), "frames": 2, "categories": categories}
    params["data"] |= local | {"extra": further}
    params["split"] |= {"train": 0.5, "val": 0.25, "test": 0.25}
    params["train"] |= {"epochs": 1}
    for section, changes in sections.items():
        params[section] |= changes
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    for name in stages:
        import_module(f"stages.{name}").main()


def read(project: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(project / "data" / f"{name}.csv", dtype=str, keep_default_na=False)


def listed_in(celeb: Path) -> list[tuple[int, str]]:
    """The label (1 is a real video) and the path of each video on Celeb-DF's list."""
    lines = (celeb / celebdf.LIST).read_text().splitlines()
    return [(int(label), path) for label, path in (line.split() for line in lines)]


def test_what_is_only_evaluated_and_what_is_trained_on(project: Path) -> None:
    celeb = project.parent / "celeb"
    run(project, [extra("Celeb-DF", celeb), extra("own", project.parent / "own", "train")])
    index, splits, predictions = (read(project, name) for name in ("index", "splits", "predictions"))
    assert list(splits) == ["path", "split", "dataset"]
    assert splits[["path", "dataset"]].equals(index[["path", "dataset"]])
    of_celeb = splits[splits["dataset"] == "Celeb-DF"]
    assert set(of_celeb["split"]) == {"test"}
    assert {path.rpartition("/")[0] for path in of_celeb["path"]} == {
        f"Celeb-DF/{path}" for _, path in listed_in(celeb)
    }
    assert splits.loc[splits["dataset"] == "own", "split"].value_counts().to_dict() == {"train": 8, "val": 4, "test": 4}
    prepared = {
        role: pd.read_csv(project / "data" / "prepared" / role / "index.csv")
        for role in ("trained", "evaluated", "adapt")
    }
    there = {role: set(zip(rows["dataset"], rows["category"], strict=True)) for role, rows in prepared.items()}
    assert there["trained"] == {
        ("FaceForensics++", "Original"),
        ("FaceForensics++", "Deepfakes"),
        ("own", "real"),
        ("own", "fake"),
    }
    assert ("FaceForensics++", "FaceSwap") in there["evaluated"]
    assert {dataset for dataset, _ in there["evaluated"]} == {"FaceForensics++", "Celeb-DF"}
    assert not there["adapt"]

    test = json.loads((project / "metrics" / "test.json").read_text())
    uses = {name: found["use"] for name, found in test["datasets"].items()}
    assert uses == {"Celeb-DF": "test", "FaceForensics++": "train", "own": "train"}
    tested = predictions[predictions["split"] == "test"]
    headline = tested[tested["dataset"].isin(["FaceForensics++", "own"]) & (tested["category"] != "FaceSwap")]
    assert sum(test["confusion_matrix"].values()) == len(headline)
    rows, found = tested[tested["dataset"] == "Celeb-DF"], test["datasets"]["Celeb-DF"]
    assert found["frame"]["auroc"] == roc_auc_score(rows["label"].astype(int), rows["logit"].astype(float))
    assert found["frame"]["groups"] == rows["group"].nunique()
    assert test["macro_auroc_datasets"] == found["frame"]["auroc"]
    videos = rows.assign(logit=rows["logit"].astype(float)).groupby(["video_id", "source_id", "label"])["logit"].mean()
    labels = videos.index.get_level_values("label").astype(int)
    assert found["video"]["auroc"] == roc_auc_score(labels, videos)
    assert found["coverage"] == 1
    val = json.loads((project / "metrics" / "val.json").read_text())
    assert set(val["datasets"]) == {"FaceForensics++", "own"}


def test_a_missing_video_is_counted_and_left_out_or_judged_as_chance(project: Path) -> None:
    celeb = project.parent / "celeb"
    path = next(path for label, path in listed_in(celeb) if label == 0)
    (celeb / path).write_bytes(b"no video")
    with pytest.raises(
        UserError, match=r"^Celeb-DF: 1 of \d+ files rejected .*index\.max_rejected.*no frame of the video"
    ):
        run(project, [extra("Celeb-DF", celeb)], STAGES[:3])
    run(project, [extra("Celeb-DF", celeb)], index={"max_rejected": 0.5})
    assert read(project, "missing")["dataset"].tolist() == ["Celeb-DF"]
    left_out = json.loads((project / "metrics" / "test.json").read_text())["datasets"]["Celeb-DF"]
    videos = len(listed_in(celeb))
    assert (left_out["videos"], left_out["missing_videos"], left_out["coverage"]) == (
        videos - 1,
        1,
        (videos - 1) / videos,
    )
    assert sum(left_out["video"]["confusion_matrix"].values()) == videos - 1
    run(project, [extra("Celeb-DF", celeb)], ("evaluate",), evaluate={"missing": "as_chance"})
    chance = json.loads((project / "metrics" / "test.json").read_text())["datasets"]["Celeb-DF"]
    assert sum(chance["video"]["confusion_matrix"].values()) == videos
    assert chance["frame"] == left_out["frame"]
    assert chance["coverage"] == left_out["coverage"]


def test_pictures_without_labels_are_prepared_for_later(project: Path) -> None:
    picture(project.parent / "phone" / "IMG 1.png", 50, False)
    picture(project.parent / "phone" / "burst" / "1.png", 51, False)
    run(project, [extra("phone", project.parent / "phone", "adapt")], STAGES[:5])
    splits = read(project, "splits")
    assert splits.loc[splits["dataset"] == "phone", "split"].tolist() == ["adapt", "adapt"]
    prepared = pd.read_csv(project / "data" / "prepared" / "adapt" / "index.csv")
    assert prepared["label"].tolist() == [-1, -1]
    assert prepared["path"].tolist() == ["phone/IMG 1.png", "phone/burst/1.png"]
    assert np.load(project / "data" / "prepared" / "adapt" / "pixels.npy").shape == (2, 32, 32, 3)
    assert set(read(project, "splits_trained")["dataset"]) == {"FaceForensics++"}


@pytest.mark.parametrize(
    ("further", "words"),
    [
        (
            [extra("phone", "../phone")],
            r"^phone: \.\./phone has no known layout; .*data\.extra\.0\.dir; pictures without "
            r"labels can be used with use: adapt only, not with use: test$",
        ),
        (
            [extra("FaceForensics++", "../celeb")],
            r"^data\.extra: FaceForensics\+\+ is the name of the main data set: give it ",
        ),
        (
            [extra("splits", "../celeb")],
            r"^data\.extra: splits is the name of something else in data/raw: give it another",
        ),
        (
            [extra("celeb", "../celeb", layout="folders")],
            r"^celeb: \.\./celeb does not fit data\.extra\.0\.layout folders: ",
        ),
        (
            [extra("many", "../bench")],
            r"^many: \.\./bench holds several data sets \(.*\): name the one that ",
        ),
        (
            [extra("one", "../celeb"), extra("one", "../own")],
            r"params\.yaml: data: extra: one is the name of several data sets$",
        ),
        ([extra("one", "")], r"params\.yaml: data\.extra\.0: dir must name the folder of one$"),
        (
            [extra("one", "../celeb", layout="embedded")],
            r"data\.extra\.0: dir must be empty, because embedded is drawn$",
        ),
    ],
)
def test_what_cannot_be_used_is_one_line(project: Path, further: list[dict[str, str]], words: str) -> None:
    picture(project.parent / "phone" / "IMG 1.png", 50, False)
    deepfakebench.make(project.parent / "bench")
    with pytest.raises(UserError, match=words) as raised:
        run(project, further, STAGES[:2])
    assert "\n" not in str(raised.value)


def test_adding_a_data_set_never_trains_again(built: Project, tmp_path: Path) -> None:
    celebdf.make(tmp_path / "celeb")
    dfdc_preview.make(tmp_path / "preview")
    params = yaml.safe_load((built.path / "params.yaml").read_text())
    before = json.loads((built.path / "metrics" / "test.json").read_text())
    further = [*params["data"]["extra"], extra("Celeb-DF", tmp_path / "celeb"), extra("preview", tmp_path / "preview")]
    built.set_params(data__extra=further, data__frames=2)
    assert "train" not in json.loads(built.run("dvc", "status", "--json").stdout)
    ran = built.stages_run("dvc", "repro", "evaluate")
    assert ran == ["inputs", "download", "index", "split", "prepare", "evaluate"]
    after = json.loads((built.path / "metrics" / "test.json").read_text())
    assert set(after["datasets"]) == {"embedded", "embedded_shifted", "Celeb-DF", "preview"}
    assert after["datasets"]["embedded"] == before["datasets"]["embedded"]
    assert after["auroc"] == before["auroc"]
    built.set_params(data__extra=further[:1], data__frames=params["data"]["frames"])
    assert "train" not in built.stages_run("dvc", "repro")
    assert built.run("git", "status", "--porcelain").stdout == ""
