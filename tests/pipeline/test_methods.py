"""The small network and the methods that blend, through all stages that they touch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from dvc.utils.hydra import compose_and_dump

from deepfake_detection import Detector
from deepfake_detection.common.errors import UserError
from deepfake_detection.frames.prepared import LANDMARKS, SCALE, open_landmarks, open_set
from deepfake_detection.pictures.faces import Landmarks
from tests.pipeline.conftest import ROOT, run_stages
from tests.pipeline.test_metrics_keys import keys, pattern
from tests.support.params import tree
from tools.metrics_keys import FILES, every_key

DATA = ("download", "index", "split", "prepare", "weights")
SCORES = ("calibrate", "predict", "evaluate", "robustness")


def run(
    project: Path,
    *stages: str,
    crop: str = "face",
    extra: dict[str, str] | None = None,
    sections: dict[str, Any] | None = None,
    **train: Any,
) -> None:
    """Runs stages one after the other. ``extra`` has the use of further drawn data sets, by name."""
    params = tree() | (sections or {})
    drawn = params["datasets"]["embedded"]
    drawn["drawn"] = {"identities": 24, "frames": 1, "size": 128, "seed": 42}
    params["datasets"] |= {
        name: drawn | {"layout": "embedded_shifted", "use": use, "drawn": drawn["drawn"] | {"seed": seed}}
        for seed, (name, use) in enumerate((extra or {}).items())
    }
    params["index"]["max_rejected"] = 0.5
    params["split"] |= {"train": 0.52, "val": 0.23, "test": 0.25}
    params["prepare"] |= {"crop": crop, "image_size": 64}
    params["model"] |= {"arch": "efficientnet_lite0", "weights": "imagenet"}
    params["train"] |= {"epochs": 1, "balance": "class"} | train
    params["train"]["augment"] |= {"jpeg": {"p": 0.5, "range": [20.0, 95.0]}, "erase": 0.5}
    run_stages(project, params, stages)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_nested_training_of_lite0_gives_a_detector_of_one_logit(project: Path) -> None:
    run(project, *DATA, "train", *SCORES, method="nested", pairs=True)
    checkpoint = project / "models" / "best_model_efficientnet_lite0.pth"
    assert torch.load(checkpoint, weights_only=True)["classifier.1.weight"].shape == (1, 1280)
    sidecar = json.loads(checkpoint.with_suffix(".json").read_text())
    assert (sidecar["arch"], sidecar["mean"], sidecar["std"]) == (
        "efficientnet_lite0",
        [127 / 255] * 3,
        [128 / 255] * 3,
    )
    corruptions = pd.read_csv(project / "metrics" / "robustness" / "robustness.csv")["corruption"]
    assert {"webp", "h264"} < set(corruptions)
    predictions = pd.read_csv(project / "data" / "predictions.csv")
    row = predictions[(predictions["split"] == "test") & (predictions["label"] == 0)].iloc[0]
    judged = Detector.load(checkpoint).predict(project / "data" / "raw" / row["path"])
    assert judged.logit == pytest.approx(row["logit"], abs=1e-3)

    rows = pd.read_csv(project / "data" / "prepared" / "train" / "embedded.csv")
    assert [*Landmarks._fields, SCALE] == [*LANDMARKS, SCALE] == list(rows)[-11:]
    assert rows[SCALE].tolist() == open_set(project / "data" / "prepared" / "train")[1][SCALE].tolist()
    assert rows[SCALE].between(0.5, 128 / 64).all()
    landmarks = open_landmarks(project / "data" / "prepared" / "train")
    assert landmarks is not None
    eyes, mouth = landmarks[:, :2].mean(1), landmarks[:, 3:].mean(1)
    assert (landmarks > 0).all()
    assert (landmarks < 64).all()
    assert (mouth[:, 1] - eyes[:, 1]).min() > 8


@pytest.mark.slow
def test_the_profile_ffpp_strong_runs_end_to_end(project: Path) -> None:
    """All that the profile chooses, on few and small drawn frames in the official split, by the network for CPUs."""
    people, lists = 24, project / "lists"
    lists.mkdir()
    pairs = np.random.default_rng([42, 0]).permutation(people).reshape(-1, 2)  # as the drawn people are paired
    for name, part in (("train", pairs[:6]), ("val", pairs[6:9]), ("test", pairs[9:])):
        (lists / f"{name}.json").write_text(json.dumps([[f"{who:03d}" for who in pair] for pair in part]))
    smaller = {
        "index.max_rejected": 0.5,
        "split.official_dir": lists,
        "prepare.image_size": 64,
        "model.arch": "efficientnet_lite0",
        "train.epochs": 2,
        "train.num_workers": 0,
        "evaluate.bootstrap_draws": 100,
        "robustness.max_frames": 8,
    }
    changes = ["profile=ffpp-strong", *(f"{key}={value}" for key, value in smaller.items())]
    compose_and_dump(str(project / "params.yaml"), str(ROOT / "conf"), None, "config", str(project), changes)
    params = yaml.safe_load((project / "params.yaml").read_text())
    (given,) = params["datasets"].values()
    drawn = {
        "path": "none",
        "layout": "embedded",
        "drawn": {"identities": people, "frames": 1, "size": 128, "seed": 42},
    }
    params["datasets"] = {"drawn": {key: given[key] for key in ("use", "real", "fake", "unseen")} | drawn}
    run_stages(project, params, (*DATA, "train", *SCORES, "plot", "report"))
    index = pd.read_csv(project / "data" / "index.csv", dtype=str).set_index("path")
    splits = pd.read_csv(project / "data" / "splits.csv").set_index("path")["split"]
    official = {f"{who:03d}": name for name, part in (("val", pairs[6:9]), ("train", pairs[:6])) for who in part.flat}
    trained = index[index["category"] != "FaceShifter"]
    assert splits[trained.index].tolist() == [official.get(name, "test") for name in trained["video_id"]]
    # fakes across the lists would be left out, and their pairs would be two groups
    assert json.loads((project / "metrics" / "split.json").read_text())["groups"] == len(pairs)
    categories = json.loads((project / "metrics" / "details.json").read_text())["categories"]
    assert {name for name, each in categories.items() if not each["seen"]} == {"FaceShifter"}
    assert (project / "report" / "report.html").stat().st_size > 100_000


def test_a_method_that_needs_faces_says_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(project, *DATA, crop="none")
    assert open_landmarks(project / "data" / "prepared" / "train") is None
    with pytest.raises(UserError, match=r"train\.method: self_blended needs the landmarks of faces"):
        run(project, "train", crop="none", method="self_blended")
    assert "train.augment.erase does nothing: the faces are not known" in capsys.readouterr().out


@pytest.mark.slow
def test_pretraining_adaptation_and_a_teacher_in_one_run(project: Path, tmp_path: Path) -> None:
    extra = {"target": "adapt", "other": "test"}
    simsiam = {"weights": "imagenet", "unlabelled": "adapt", "epochs": 1, "batch_size": 8, "lr": 0.05, "seed": 42}
    run(project, *DATA, "pretrain", crop="none", extra=extra, sections={"pretrain": {"simsiam": simsiam}})
    pretrained = project / "data" / "pretrained-simsiam.pth"
    state = torch.load(pretrained, weights_only=True)["state_dict"]
    assert not any(name.startswith("classifier.") for name in state)
    (project / "data" / "weights.pth").write_bytes(pretrained.read_bytes())
    run(project, "train", "calibrate", crop="none", extra=extra, adapt="coral", unlabelled="adapt")
    checkpoint = project / "models" / "best_model_efficientnet_lite0.pth"
    first = torch.load(checkpoint, weights_only=True)
    (teacher := tmp_path / "teacher.pth").write_bytes(checkpoint.read_bytes())
    teacher.with_suffix(".json").write_bytes(checkpoint.with_suffix(".json").read_bytes())
    run(project, "train", crop="none", extra=extra, teacher=str(teacher), unlabelled="adapt")
    second = torch.load(project / "data" / "trained.pth", weights_only=True)
    assert first.keys() == second.keys()
    assert not torch.equal(first["classifier.1.weight"], second["classifier.1.weight"])
    run(project, "adapt", crop="none", extra=extra, sections={"adapt": ["adabn"]})
    for name, file in (("pretrain/simsiam", "pretrain/<method>.json"), ("adapt/adabn", "adapt/<method>.json")):
        described = every_key(FILES[file][2])
        written = json.loads((project / "metrics" / f"{name}.json").read_text())
        found, patterns = set(keys(written)), {key: pattern(key) for key in described}
        assert all(any(each.fullmatch(key) for key in found) for each in patterns.values()), name
        assert all(any(each.fullmatch(key) for each in patterns.values()) for key in found), name
    assert written["transductive"] is True
    assert written["data_sets"].keys() == {"other"}

    with pytest.raises(UserError, match=r"^train\.teacher: .* was trained with prepare\.crop: none"):
        run(project, "train", teacher=str(teacher))
    for path in (project / "data" / "prepared" / "adapt").iterdir():
        path.unlink()
    for stage, sections in (("train", {}), ("adapt", {"adapt": ["adabn"]})):
        with pytest.raises(UserError, match=r"adapt holds no prepared frames"):
            run(project, stage, crop="none", sections=sections, teacher=str(teacher), unlabelled="adapt")
