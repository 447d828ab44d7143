"""The threshold that the report names is the one that judges: one rule, from the calibrate stage to every verdict."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from PIL import Image

from deepfake_detection import Detector
from deepfake_detection.serving.export import export
from deepfake_detection.serving.view import detector_of, values_of
from tests.pipeline.conftest import Project
from tests.support.commands import command
from tests.support.exported import checkpoint

pytestmark = pytest.mark.slow

SCORED = ("predict@embedded", "predict@embedded_shifted", "evaluate")
CHECKPOINT = Path("models/best_model_efficientnet_b0.pth")


def test_another_rule_reruns_what_reads_it(built: Project) -> None:
    built.set_params(calibrate__threshold="youden")
    changed = json.loads(built.run("dvc", "status", "--json").stdout)
    assert {stage for stage in changed if "params.yaml" in str(changed[stage])} == {"calibrate"}
    assert "train" not in changed
    # test_repro.py runs what follows evaluate
    ran = built.stages_run("dvc", "repro", "evaluate")
    assert set(ran) == {"calibrate", "predict@embedded", "predict@embedded_shifted", "evaluate"}


@pytest.fixture(scope="module")
def spread(built: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose network gives logits that differ from frame to frame; the tiny one hardly learns."""
    weights = checkpoint(tmp_path_factory.mktemp("weights"), crop="none")
    built.set_params(model__weights=str(weights), train__lr=1e-9, train__epochs=1, train__patience=1)
    for name in ("weights", "train", "calibrate", *SCORED):
        built.stage(name)
    return built


@pytest.mark.parametrize("rule", ["youden", 0.45])
def test_every_way_to_judge_gives_the_verdict_of_the_evaluation(
    spread: Project, rule: float | str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spread.set_params(calibrate__threshold=rule)
    for name in ("calibrate", *SCORED):
        spread.stage(name)
    monkeypatch.chdir(spread.path)

    test = json.loads((spread.path / "metrics" / "details.json").read_text())
    table = pd.read_csv(spread.path / "data" / "predictions.csv").query("split == 'test' and dataset == 'embedded'")
    files = [spread.path / "data" / "raw" / path for path in table["path"]]
    expected = (table["probability"] >= test["threshold"]).map({True: "fake", False: "original"}).tolist()
    assert test["threshold_rule"] == rule
    assert len(files) == 12
    assert len(set(table["probability"].round(3))) > 6

    capsys.readouterr()
    assert command("predict", *files, "--checkpoint", CHECKPOINT, "--json") == 0
    assert [json.loads(line)["verdict"] for line in capsys.readouterr().out.splitlines()] == expected
    assert [found.verdict for found in Detector.load(spread.path / CHECKPOINT).predict(files)] == expected
    detector_of.cache_clear()  # a page loads its network once, and the calibration is another one now
    assert [values_of(spread.path / CHECKPOINT, file)["said"].side for file in files] == expected

    exported = spread.path / "exported.onnx"
    export(spread.path / CHECKPOINT, "onnx", exported)
    session = onnxruntime.InferenceSession(exported)
    about = session.get_modelmeta().custom_metadata_map
    squares = [Image.open(file).convert("RGB").resize((32, 32), Image.Resampling.BILINEAR) for file in files]
    (probabilities,) = session.run(["probability"], {"frames": np.stack([np.asarray(square) for square in squares])})
    assert ["fake" if found >= float(about["threshold"]) else "original" for found in probabilities] == expected


def test_another_threshold_for_one_command(spread: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(spread.path)
    sidecar = json.loads((spread.path / CHECKPOINT).with_suffix(".json").read_text())
    table = pd.read_csv(spread.path / "data" / "predictions.csv").query("split == 'test' and dataset == 'embedded'")
    files = [spread.path / "data" / "raw" / path for path in table["path"]]
    for rule in ("youden", 0.3):
        limit = rule if isinstance(rule, float) else sidecar["frame"]["thresholds"][rule]
        found = Detector.load(spread.path / CHECKPOINT, threshold=rule).predict(files)
        assert [one.verdict == "fake" for one in found] == (table["probability"] >= limit).tolist()
    line = command("predict", files[0], "--checkpoint", CHECKPOINT, "--threshold", "fpr@0.2")
    assert str(line).startswith("error: threshold fpr@0.2 is not there: the checkpoint has youden; set calibrate.thres")


def test_a_rate_that_validation_cannot_show_stops_calibrate_and_is_no_threshold_of_a_command(
    spread: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    spread.set_params(calibrate__threshold="fpr@0.01")
    said = spread.stage_fails_with_one_line("calibrate")
    assert said.startswith(
        "error: calibrate.threshold fpr@0.01 needs 299 independent originals in validation, and there "
    )
    monkeypatch.chdir(spread.path)
    line = str(command("predict", "data/raw", "--checkpoint", CHECKPOINT, "--threshold", "fpr@0.01"))
    assert line.startswith(
        "error: threshold fpr@0.01 is not there: the checkpoint has youden; calibrate.threshold fpr@0"
    )
