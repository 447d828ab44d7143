"""Two networks: what each says, whether they agree, and what both together are worth, which is no product."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepfake_detection.evaluation.calibration import fit_platt
from deepfake_detection.evaluation.likelihood_ratios import cross_entropy, group_weights
from deepfake_detection.inference.evidence import log10_ratio
from deepfake_detection.network.sidecar import Calibration, Sidecar
from deepfake_detection.serving import view
from deepfake_detection.serving.detector import Detector
from deepfake_detection.serving.second_opinion import SecondOpinion, fit_fusion
from tests.support.commands import command
from tests.unit.serving.test_likelihood import described
from tests.unit.serving.test_people import MarkMeansFake
from tests.unit.serving.test_stability import Bright


def scored(groups: int, alike: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What two networks say of five frames of an original and a fake of each group; ``alike`` are their errors."""
    rng = np.random.default_rng(seed)
    own = rng.multivariate_normal([0, 0], [[1, alike], [alike, 1]], (groups, 2)).repeat(5, axis=1)
    labels = np.tile(np.repeat([0, 1], 5), groups)
    logits = 0.9 * own.reshape(-1, 2) + rng.normal(0, 0.44, (len(labels), 2)) + np.outer(2 * labels - 1, [0.9, 0.7])
    rows = pd.DataFrame({"dataset": "a", "label": labels, "split": "val", "group": np.arange(groups).repeat(10)})
    rows["path"] = [f"{at}.jpg" for at in rows.index]
    first, second = (rows.assign(logit=logits[:, at]) for at in (0, 1))
    return first, second


@pytest.mark.parametrize("alike", [0.0, 0.9])
def test_fused_ratios_cost_other_people_less_than_either_and_no_more_than_a_product(alike: float) -> None:
    validation, test = scored(60, alike, 0), scored(300, alike, 1)
    fusion = fit_fusion(*validation)
    assert fusion
    labels, weights = test[0]["label"].to_numpy(), group_weights(test[0]["label"], test[0]["group"])

    def read(known: pd.DataFrame, new: pd.DataFrame) -> Any:
        temperature, bias = fit_platt(known["logit"].to_numpy(), known["label"].to_numpy())
        return log10_ratio(new["logit"].to_numpy(), Calibration(temperature=temperature, bias=bias), 0.5)

    alone = [read(known, new) for known, new in zip(validation, test, strict=True)]
    logits = np.column_stack([each["logit"] for each in test]) @ fusion.weights
    ratios = (*alone, sum(alone), log10_ratio(logits, fusion.reading, 0.5))
    first, second, product, fused = (cross_entropy(each, labels, weights) for each in ratios)
    assert fused < min(first, second) + (-0.1 if alike == 0 else 0.02)
    assert fused < product + (0.02 if alike == 0 else -0.05)
    assert fit_fusion(validation[0], validation[1].assign(path="other.jpg")) is None


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Two checkpoints, one that knows a green mark and one that calls all bright pictures fake, and pictures."""
    networks = {"mark.pth": MarkMeansFake(), "bright.pth": Bright(128.0)}
    detectors = {name: Detector(network, described(), name=name) for name, network in networks.items()}
    monkeypatch.setattr("deepfake_detection.serving.options.load_detector", lambda path, *_, **__: detectors[path.name])
    monkeypatch.setattr(view, "_look", lambda *_: {})
    for name, detector in detectors.items():
        for file in (tmp_path / name, (tmp_path / name).with_suffix(".json")):
            file.write_text(detector.sidecar.model_dump_json())
    for name, grey in (("bright.png", 140), ("dark.png", 90)):
        pixels = np.full((80, 80, 3), grey, np.uint8)
        pixels[10:30, 10:30] = (0, 255, 0)
        Image.fromarray(pixels).save(tmp_path / name)
    return {path.name: path for path in tmp_path.iterdir()}


def save_scores(path: Path, rows: pd.DataFrame, read_by: Sidecar) -> Path:
    rows.assign(probability=read_by.frame.probability(rows["logit"].to_numpy())).to_csv(path, index=False)
    return path


def test_both_are_named_with_what_they_are_worth_together(
    both: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    networks = ["--checkpoint", both["mark.pth"], "--checkpoint", both["bright.pth"]]
    tables = [save_scores(tmp_path / f"{at}.csv", rows, described()) for at, rows in enumerate(scored(60, 0.5, 0))]
    scores = [word for table in tables for word in ("--scores", table)]

    def said(*words: object) -> list[dict[str, Any]]:
        assert command("predict", both["bright.png"], both["dark.png"], *networks, "--json", *words) == 0
        return list(map(json.loads, capsys.readouterr().out.splitlines()))

    agrees, differs = said()
    assert agrees["together"] == "bright.pth agrees: fake; not fused: no validation frames that both scored"
    assert differs["together"].startswith("the networks disagree: mark.pth says fake, bright.pth says original; not")
    assert (differs["verdict"], differs["second_verdict"], differs["together_log10_lr"]) == ("fake", "original", None)
    agrees, differs = said(*scores)
    assert agrees["together_log10_lr"] > differs["together_log10_lr"]
    assert "times more likely if manipulated" in agrees["together"]
    assert command("predict", both["dark.png"], *networks, *scores) == 0
    assert f"({differs['together']})" in capsys.readouterr().out
    assert command("report", both["dark.png"], *networks, *scores, "--out", tmp_path / "case.html") == 0
    (file,) = json.loads((tmp_path / "case.json").read_text())["files"]
    assert file["evidence"][-1].startswith("A second network, bright.pth (SHA-256 ")
    assert f"Both together: {differs['together']}." in file["evidence"][-1]
    other = save_scores(
        tmp_path / "other.csv",
        scored(9, 0.0, 0)[0],
        described().at_threshold(0.5).model_copy(update={"frame": Calibration(temperature=3.0)}),
    )
    for words, mistake in (
        ([*networks, "--checkpoint", both["mark.pth"]], "give one, or a second one"),
        ([*networks, "--scores", tables[0]], "give one table for each of two"),
        ([*networks, "--scores", tables[0], "--scores", other], "not of this checkpoint"),
        ([*networks, "--scores", tables[0], "--scores", both["bright.png"]], "no predictions.csv of the pipeline"),
    ):
        assert mistake in str(command("predict", both["dark.png"], *words))


def test_two_networks_of_one_name_are_told_apart(both: dict[str, Path]) -> None:
    mark, bright = (Detector(network, described(), name="best.pth") for network in (MarkMeansFake(), Bright(128.0)))
    opinion = SecondOpinion(bright, mark.name, "0" * 64, None)
    together = opinion.said(mark.predict(both["dark.png"]), bright.predict(both["dark.png"]))["together"]
    assert together.startswith("the networks disagree: the first says fake, the second says original")
