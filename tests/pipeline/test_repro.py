"""The real `dvc repro` on a tiny project: what it writes, and what it runs again after a change."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from dvc.repo import Repo

from deepfake_detection.network.model import build_model
from deepfake_detection.pictures.faces import FACE_COLUMNS
from deepfake_detection.serving.detector import Detector
from tests.pipeline.conftest import Project
from tests.support.commands import command

SETS = ("embedded", "embedded_shifted")
STAGES = [
    *(f"{stage}@{name}" for stage in ("download", "index", "prepare", "predict") for name in SETS),
    *("weights", "split", "train", "calibrate", "evaluate", "robustness", "plot", "report"),
]


def test_every_stage_runs_once(finished: tuple[Project, list[str]]) -> None:
    assert sorted(finished[1]) == sorted(STAGES)


def numbers(content: Any) -> Iterator[float]:
    """The numbers in parsed JSON."""
    if isinstance(content, dict):
        for value in content.values():
            yield from numbers(value)
    elif isinstance(content, int | float):
        yield content


def test_outputs_are_as_agreed(built: Project) -> None:
    data, metrics = built.path / "data", built.path / "metrics"
    index = pd.read_csv(data / "index.csv")
    assert list(index) == [
        *["path", "dataset", "category", "label", "video_id", "source_id", "group", "frame", "width", "height"]
    ]
    assert set(index["dataset"]) == {"embedded", "embedded_shifted"}
    main = index[index["dataset"] == "embedded"]
    assert sorted(main["group"].unique()) == [f"embedded/00{n}" for n in range(4)]  # the smallest id of each pair
    assert len(main) == 8 * 2 * 3
    assert len(index) == len(main) + 2 * 2 * 6
    assert index["path"].is_monotonic_increasing
    assert (data / "faces" / "embedded.csv").read_text() == ",".join(FACE_COLUMNS) + "\n"
    splits = pd.read_csv(data / "splits.csv")
    assert list(splits) == ["path", "split", "dataset", "group"]
    predictions = pd.read_csv(data / "predictions.csv")
    assert list(predictions) == [
        *["path", "dataset", "category", "video_id", "source_id", "group", "label", "split", "logit"],
        *["raw_probability", "probability"],
    ]
    unfamiliarity = pd.read_csv(data / "unfamiliarity.csv")
    assert unfamiliarity["path"].tolist() == predictions["path"].tolist()
    assert (unfamiliarity["unfamiliarity"] > 0).all()
    assert set(predictions["path"]) == set(splits.loc[splits["split"].isin(["val", "test"]), "path"])
    assert (
        dict(zip(splits["path"], splits["split"], strict=True)).items()
        >= dict(zip(predictions["path"], predictions["split"], strict=True)).items()
    )

    test = json.loads((metrics / "test.json").read_text())
    assert list(test)[:6] == ["accuracy", "precision", "recall", "f1", "auroc", "log_loss"]
    headline = predictions[(predictions["category"] != "FaceSwap") & (predictions["split"] == "test")]
    headline = headline[headline["dataset"] == "embedded"]
    called = headline["probability"] >= 0.5
    assert test["accuracy"] == pytest.approx((called == headline["label"]).mean())
    assert len(list(numbers(test))) <= 30
    val = json.loads((metrics / "val.json").read_text())
    assert val.keys() < test.keys()
    details = json.loads((metrics / "details.json").read_text())
    assert {name: part["seen"] for name, part in details["categories"].items()} == {
        "Deepfakes": True,
        "FaceSwap": False,
    }
    sidecar = json.loads((built.path / "models" / "best_model_efficientnet_b0.json").read_text())
    assert sidecar["categories"] == {"real": ["Original"], "fake": ["Deepfakes"]}
    assert (sidecar["crop"], sidecar["margin"]) == ("none", 0.3)
    assert (sidecar["arch"], sidecar["input_size"]) == ("efficientnet_b0", [32, 32])
    assert (sidecar["mean"], sidecar["std"]) == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    assert sidecar["parameters"] == sum(p.numel() for p in build_model("efficientnet_b0", 0.2).parameters())
    calibrated = 1 / (1 + np.exp(-(headline["logit"] / sidecar["frame"]["temperature"] + sidecar["frame"]["bias"])))
    assert headline["probability"].to_numpy() == pytest.approx(calibrated.to_numpy(), abs=1e-12)
    assert details["brier"] == pytest.approx(((calibrated - headline["label"]) ** 2).mean())
    raw = 1 / (1 + np.exp(-headline["logit"]))
    assert headline["raw_probability"].to_numpy() == pytest.approx(raw.to_numpy(), abs=1e-12)
    assert details["raw"]["brier"] == pytest.approx(((raw - headline["label"]) ** 2).mean())
    assert "<html" in (built.path / "report" / "report.html").read_text()
    train = json.loads((metrics / "train.json").read_text())
    assert train["epochs_run"] == 2
    assert json.loads((metrics / "split.json").read_text())["leaked_groups"] == 0
    distances = pd.read_csv(metrics / "split" / "distances.csv")
    assert distances["distance"].tolist() == list(range(65))
    for name in ("train", "val", "test"):
        assert distances[name].sum() == (splits["split"] == name).sum()

    state = torch.load(built.path / "models" / "best_model_efficientnet_b0.pth", weights_only=True)
    assert state["classifier.1.weight"].shape == (1, 1280)
    for name in (
        "plots/confusion_matrix",
        "plots/roc",
        "plots/learning_curves",
        "plots/leak_distances",
    ):
        assert (metrics / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    curves = pd.read_csv(metrics / "train" / "curves.csv")
    assert curves["epoch"].tolist() == [0, 1]
    assert curves["val_loss"][train["best_epoch"]] == train["val_loss"]


def test_the_command_judges_test_frames_as_evaluate_does(
    built: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(built.path)
    predictions = pd.read_csv(built.path / "data" / "predictions.csv")
    frames = [f"data/raw/{path}" for path in predictions["path"]]
    assert command("predict", *frames, "--checkpoint", "models/best_model_efficientnet_b0.pth", "--json") == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["path"] for row in found] == frames
    assert [row["probability"] for row in found] == pytest.approx(predictions["probability"].to_list(), abs=1e-5)


@pytest.mark.slow
def test_with_crops_of_the_face_the_command_judges_pictures_as_evaluate_does(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = yaml.safe_load((project.path / "params.yaml").read_text())["datasets"]["embedded"]
    drawn = tree["drawn"] | {"frames": 1, "size": 128}
    project.set_params(datasets={"embedded": tree | {"drawn": drawn}}, prepare__crop="face")
    # enough training for logits that depend on the pixels
    project.set_params(train__epochs=20, train__patience=20, train__batch_size=2, train__lr=0.01)
    monkeypatch.chdir(project.path)
    before = [f"{stage}@embedded" for stage in ("download", "index")]
    for name in (*before, "weights", "split", "prepare@embedded", "train", "calibrate", "predict@embedded", "evaluate"):
        project.stage(name)
    data = project.path / "data"
    faces = pd.read_csv(data / "faces" / "embedded.csv", index_col="path")
    assert list(faces.reset_index()) == FACE_COLUMNS
    predictions = pd.read_csv(data / "predictions.csv")
    checkpoint = project.path / "models" / "best_model_efficientnet_b0.pth"

    frames = [f"data/raw/{path}" for path in predictions["path"]]
    capsys.readouterr()
    assert command("predict", *frames, "--checkpoint", checkpoint, "--json") == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found_of = {row["path"].removeprefix("data/raw/"): row for row in found}
    originals = predictions[predictions["label"] == 0]
    judged = [found_of[path] for path in originals["path"]]
    assert len(judged) == 4
    boxes = list(faces.columns[:4])
    assert [[row["faces"][0]["box"][side] for side in boxes] for row in judged] == faces.loc[
        originals["path"], boxes
    ].to_numpy().tolist()
    assert [row["probability"] for row in judged] == pytest.approx(originals["probability"].to_list(), abs=1e-5)
    # Calibration puts the probabilities of a network that has hardly learned close together, but not its logits.
    assert [row["logit"] for row in judged] == pytest.approx(originals["logit"].to_list(), abs=1e-5)
    assert np.ptp(originals["logit"]) > 1e-3
    detector = Detector.load(checkpoint)
    trained = data / "prepared" / "train" / "embedded"
    paths, pixels = pd.read_csv(trained.with_suffix(".csv"))["path"], np.load(trained.with_suffix(".npy"))
    prepared = dict(zip(paths, pixels, strict=True))
    for path, crop in zip(
        originals["path"], detector.crops([data / "raw" / path for path in originals["path"]]), strict=True
    ):
        assert np.array_equal(crop, prepared[path])

    # A fake has its original's face. Judged by itself, it is searched, and its face is at about the same place.
    originals_faces = faces.filter(like="/Original/", axis=0)
    number = originals_faces.index.str.extract(r"/(\d+)_f", expand=False)
    by_number = dict(zip(number, originals_faces.to_numpy().tolist(), strict=True))
    for path, face in faces.filter(regex="/(?:Deepfakes|FaceSwap)/", axis=0).iterrows():
        assert list(face) == by_number[str(path).rpartition("/")[2].partition("_")[0]]
    fakes = predictions[predictions["label"] == 1]
    alone = [list(found_of[path]["faces"][0]["box"].values())[:4] for path in fakes["path"]]
    moved = np.abs(faces.loc[fakes["path"], boxes].to_numpy() - alone)
    differs = fakes["probability"] - [found_of[path]["probability"] for path in fakes["path"]]
    print(f"fakes: edges {moved.mean():.2f} pixels of 128, probabilities up to {differs.abs().max():.2g}")
    assert moved.mean() < 6


def test_git_holds_metrics_and_no_data(built: Project) -> None:
    tracked = set(built.run("git", "ls-files", "data", "models", "metrics").stdout.split())
    assert {name.rpartition("/")[2] for name in tracked if not name.startswith("metrics/")} == {".gitignore"}
    assert not {name for name in tracked if "leak_audit" in name}  # on the real data set it shows real people
    assert {
        "metrics/test.json",
        "metrics/split/distances.csv",
        "metrics/plots/roc.png",
        "metrics/train/curves.csv",
        "metrics/details.json",
    } <= tracked


def test_nothing_tracked_names_the_machine(built: Project) -> None:
    for name in built.run("git", "ls-files").stdout.split():
        assert str(built.path).encode() not in (built.path / name).read_bytes(), name


def test_a_second_run_runs_nothing(built: Project) -> None:
    assert built.stages_run("dvc", "repro") == []
    assert built.run("git", "status", "--porcelain").stdout == ""


def each(stage: str) -> set[str]:
    return {f"{stage}@{name}" for name in SETS}


def of_set(name: str) -> set[str]:
    """The stages that read the parameters of a data set."""
    stages = {f"{stage}@{name}" for stage in ("download", "index", "prepare", "predict")}
    return stages | {"split", "evaluate", "report"}


CHANGES = {
    "calibrate__threshold": (0.6, {"calibrate"}),
    "calibrate__prior": (0.1, {"calibrate"}),
    "train__balance": ("none", {"train"}),
    "train__lr": (0.5, {"train"}),
    "train__seed": (1, {"train"}),
    "train__adapt_weight": (3.0, {"train"}),
    "train__unlabelled": ("adapt", {"train"}),
    "model__dropout": (0.1, {"train"}),
    "model__weights": ("imagenet", {"calibrate", "split", "train", "weights"}),
    "evaluate__batch_size": (3, {"robustness", *each("predict")}),
    "evaluate__missing": ("as_chance", {"evaluate"}),
    "evaluate__seed": (1, {"evaluate", "robustness"}),
    "robustness__max_frames": (6, {"robustness"}),
    "prepare__image_size": (40, each("prepare")),
    "prepare__crop": ("face", {*each("index"), *each("prepare"), "train", "calibrate"}),
    "prepare__margin": (0.5, {*each("prepare"), "train", "calibrate"}),
    "split__strategy": ("frame", {"split"}),
    "split__train": (0.6, {"split"}),
    "split__seed": (1, {"split"}),
    "index__max_rejected": (0.5, each("index")),
    "video__frames": (4, each("download")),
    "datasets__embedded__unseen": ([], of_set("embedded")),
    "datasets__embedded_shifted__drawn__seed": (1, of_set("embedded_shifted")),
}


@pytest.mark.parametrize("key", CHANGES)
def test_a_parameter_concerns_just_the_stages_that_read_it(
    built: Project, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(built.path)
    value, stages = CHANGES[key]
    before = (built.path / "params.yaml").read_text()
    built.set_params(**{key: value})
    try:
        status = Repo().status()  # what `dvc status` prints, without the time to start it
    finally:
        (built.path / "params.yaml").write_text(before)
    assert {name for name, changes in status.items() if "params.yaml" in str(changes)} == stages


@pytest.mark.slow
def test_an_experiment_runs_what_it_changes_and_shows_in_the_diff(built: Project) -> None:
    old = json.loads((built.path / "metrics" / "test.json").read_text())["recall"]
    threshold, new = (0.999, 0.0) if old > 0 else (0.001, 1.0)  # calls every frame the other way
    users = ("models/mine.pth", "metrics/plots/mine.png", "metrics/train/mine", "report/notes.md")
    for name in users:
        (built.path / name).write_text("mine")
    ran = built.stages_run("dvc", "exp", "run", "-S", "profile=tiny", "-S", f"calibrate.threshold={threshold}")
    assert ran[0] == "calibrate"
    for name in users:  # beside the outputs: they stay, and make nothing run
        assert (built.path / name).read_text() == "mine"
        (built.path / name).unlink()
    assert set(ran) == {"calibrate", *each("predict"), "evaluate", "plot", "report", "robustness"}
    shown = built.run("dvc", "metrics", "diff").stdout.splitlines()
    assert len(shown) <= 50
    assert max(map(len, shown)) <= 120
    diff = json.loads(built.run("dvc", "metrics", "diff", "--json").stdout)
    assert diff["metrics/test.json"]["recall"] == {"old": old, "new": new, "diff": new - old}
    assert str(threshold) in built.run("dvc", "params", "diff").stdout
    header = built.run("dvc", "exp", "show", "--csv").stdout.splitlines()[0]
    assert "calibrate.threshold" in header
    built.run("git", "checkout", "--quiet", ".")
    built.run("dvc", "checkout")
    assert built.stages_run("dvc", "repro") == []
    assert len(header.split(",")) <= 200


def test_dvc_draws_the_plots(built: Project) -> None:
    built.run("dvc", "plots", "show", "--out", "plots-page")
    page = (built.path / "plots-page" / "index.html").read_text()
    for title in ("confusion matrix", "ROC curve", "auroc"):
        assert title in page
    assert len(list((built.path / "plots-page").rglob("*.png"))) == 12
    built.run("dvc", "plots", "diff", "HEAD", "--out", "plots-diff")
