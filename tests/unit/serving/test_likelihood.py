"""What a score is worth as evidence is said with its bound, in the same words everywhere."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image

from deepfake_detection.inference.tested import Condition
from deepfake_detection.network.sidecar import Calibration, Sidecar
from deepfake_detection.serving import view
from deepfake_detection.serving.detector import Detector
from deepfake_detection.serving.likelihood import (
    LikelihoodRatio,
    likelihood_ratio,
    prior_words,
    propositions,
    ratio_sentences,
    short_words,
)
from deepfake_detection.serving.results import VideoPrediction
from deepfake_detection.serving.validation import (
    NOT_VALIDATED,
    alarms_of,
    condition_rows,
    jpeg_quality,
    with_alarms_in_use,
)
from deepfake_detection.serving.web import api
from tests.support.checkpoints import network_with_statistics, save_checkpoint, sidecar
from tests.support.commands import command
from tests.support.pages import page_of
from tests.support.tested import save_tested
from tests.unit.serving.test_people import MarkMeansFake

EVIDENCE = {
    "lower": -1.2,
    "upper": 1.5,
    "spread": [0.0, 0.0, 0.04],
    "originals": 9,
    "fakes": 9,
    "cllr": 0.62,
    "cllr_min": 0.5,
}
LN10 = float(np.log(10))


def calibration(**changes: Any) -> Calibration:
    return Calibration.model_validate({"evidence": EVIDENCE | changes})


def described(**changes: Any) -> Sidecar:
    """The sidecar of MarkMeansFake, calibrated with this evidence."""
    reading = {"thresholds": {"youden": 0.5}, "evidence": EVIDENCE | changes}
    return sidecar(input_size=[64, 64], frame=reading, video=reading, score={"reading": reading})


@pytest.mark.parametrize(
    ("log10", "looks", "expected"), [(1.0, 1, 1.0), (3.0, 1, 1.5), (1.4, 10, 0.4), (0.5, 10, 0.0), (-1.0, 10, -1.0)]
)
def test_several_faces_bring_a_ratio_nearer_to_one_and_never_past_it(log10: float, looks: int, expected: float) -> None:
    found = likelihood_ratio(log10 * LN10, calibration(), 0.5, looks)
    assert found is not None
    assert found.log10_lr == pytest.approx(expected)
    assert found.low <= found.log10_lr <= found.high
    assert found.bounded == (log10 > 1.5)


def test_a_ratio_is_said_with_both_propositions_its_interval_and_its_bound() -> None:
    known = calibration()
    assert known.evidence
    categories = sidecar().categories
    inside, beyond, even = (likelihood_ratio(each * LN10, known, 0.5) for each in (1.0, -4.0, 0.0))
    assert inside and beyond and even  # noqa: PT018
    assert short_words(inside) == "about 10 times more likely if manipulated (6.8 to 15): moderate support"
    assert short_words(even).startswith("about as likely either way (1.5 times for unaltered to 1.5 times for man")
    says, interval, cost = ratio_sentences(inside, known.evidence, categories)
    assert says == (
        "This score is about 10 times more likely if the file was made by a manipulation of the kinds Deepfakes than "
        "if it is an unaltered recording of the kinds Original: moderate support."
    )
    assert "6.8 to 15" in interval
    assert "0.62" in cost
    said = ratio_sentences(beyond, known.evidence, categories)
    assert "16 times more likely if it is an unaltered recording of the kinds Original than if" in said[0]
    assert said[1].endswith("no more can be said from 18 groups, 9 of originals and 9 of fakes.")
    assert [name in each for name, each in zip(("Deepfakes", "Original"), propositions(sidecar()), strict=True)]


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    """A picture that MarkMeansFake calls fake."""
    pixels = np.full((80, 80, 3), 90, np.uint8)
    pixels[10:30, 10:30] = (0, 255, 0)
    Image.fromarray(pixels).save(tmp_path / "marked.png")
    return tmp_path / "marked.png"


@pytest.mark.parametrize("cllr", [0.62, 1.08])
def test_every_way_out_says_the_ratio_or_that_it_is_worth_nothing(
    cllr: float, marked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    detector = Detector(MarkMeansFake(), described(cllr=cllr), name="b0.pth")
    monkeypatch.setattr("deepfake_detection.serving.options.load_detector", lambda *_, **__: detector)
    monkeypatch.setattr("deepfake_detection.serving.view.detector_of", lambda *_: detector)
    monkeypatch.setattr(view, "_look", lambda *_: {})
    for name in ("b0.pth", "b0.json"):
        (tmp_path / name).write_text(detector.sidecar.model_dump_json())

    def printed(*words: str) -> str:
        assert command("predict", marked, "--checkpoint", tmp_path / "b0.pth", *words) == 0
        return capsys.readouterr().out

    assert command("report", marked, "--checkpoint", tmp_path / "b0.pth", "--out", tmp_path / "case.html") == 0
    capsys.readouterr()
    page = page_of(view.values_of(tmp_path / "b0.pth", marked), detector.sidecar)
    (examined,) = json.loads((tmp_path / "case.json").read_text())["files"]
    found = json.loads(printed("--json"))
    assert (
        found["evidence"]
        == examined["prediction"]["evidence"]
        == api.predict(tmp_path / "b0.pth", marked, None, None)["evidence"]
    )
    assert found["evidence"] == found["faces"][0]["evidence"]
    assert next(csv.DictReader(io.StringIO(printed("--csv"))))["log10_lr"] == "1.50"
    case, verbose = (tmp_path / "case.html").read_text(), printed("-v")
    short = "bout 32 times more likely if manipulated (no more can be shown): moderate support"
    assert "times more likely" not in printed()
    if cllr < 1:
        assert found["evidence"]["bounded"]
        assert found["evidence"]["support"] == "moderate support"
        assert all(short in text for text in (page, case, verbose))
        shown = "if half of such files were fakes; the files that it was calibrated on can show 97% at most"
        assert all(shown in text for text in (page, case))
        assert examined["evidence"][-1].endswith("none of them flips the verdict.")
    else:
        assert found["evidence"]["support"] == "worth nothing"
        assert "Cllr 1.08" in found["reason"]
        assert all("but worth nothing as evidence" in text for text in (page, case))
        assert not any(short in text for text in (page, case, verbose))


def test_of_two_files_an_unfamiliar_one_has_no_ratio(
    marked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def darkness(frames: torch.Tensor) -> torch.Tensor:
        return (frames.float().mean((1, 2, 3)) < 50) * 2.0

    detector = Detector(MarkMeansFake(), described(), name="b0.pth", familiarity=cast(Any, darkness))
    monkeypatch.setattr("deepfake_detection.serving.options.load_detector", lambda *_, **__: detector)
    monkeypatch.setattr(view, "_look", lambda *_: {})
    for name in ("b0.pth", "b0.json"):
        (tmp_path / name).write_text(detector.sidecar.model_dump_json())
    dark, out = tmp_path / "dark.png", tmp_path / "case.html"
    Image.new("RGB", (80, 80), (9, 9, 9)).save(dark)
    assert command("report", marked, dark, "--checkpoint", tmp_path / "b0.pth", "--out", out) == 0
    ratios = re.findall(r"no score</td><td>([^<]+)</td>|</td><td>(about 32 times [^<]+)</td>", out.read_text())
    assert [any(pair) and "".join(pair)[:14] for pair in ratios] == ["about 32 times", "none"]


def test_false_alarms_are_those_of_the_threshold_in_use_and_a_band_holds_its_lower_edge(tmp_path: Path) -> None:
    checkpoint = tmp_path / "b0.pth"
    save_checkpoint(checkpoint, network_with_statistics(dropout=0.2), sidecar())
    alarms = {"rate": 0.083, "upper": 0.31, "count": 90, "groups": 9}
    worth: dict[str, Any] = dict.fromkeys(("cllr_seen", "cllr_min_seen", "cllr_unseen", "cllr_min_unseen"))
    band: dict[str, Any] = {
        "name": "face_size",
        "frames": 50,
        "groups": 9,
        "auroc": 0.9,
        "cllr": None,
        "false_alarms": 0.1,
        "upper": 0.3,
    }
    saved = save_tested(checkpoint).model_dump()
    tested = type(save_tested(checkpoint)).model_validate(
        saved
        | {"frame": worth | {"false_alarms": alarms, "tippett": []}, "video": None}
        | {"conditions": [Condition(**band, low=60, high=100)]}
    )
    fake, video = MarkMeansFake(), VideoPrediction("a.mp4", "partly fake")
    found = Detector(fake, sidecar(input_size=[64, 64])).predict(np.full((64, 64, 3), (0, 255, 0), np.uint8))
    own, other = (with_alarms_in_use(tested, checkpoint, each) for each in (sidecar(), sidecar().at_threshold(0.9)))
    assert "8% of original frames fake too" in alarms_of(found, own)
    assert "at most 31%: 90 frames of 9 groups" in alarms_of(found, own)
    assert all("is not known" in each for each in (alarms_of(found, other), alarms_of(video, own)))
    rows = [condition_rows({"face_size": size}, tested)[0] for size in (59, 60, 99, 100)]
    assert [row.band for row in rows] == [NOT_VALIDATED, "60 to 100", "60 to 100", NOT_VALIDATED]
    assert (rows[1].auroc, rows[1].cllr, rows[1].alarms, rows[1].groups) == ("0.90", "", "10%, at most 30%", "9")
    assert condition_rows({"face_size": None}, tested) == []
    for quality in (30, 75, 90):
        Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", quality=quality)
        assert jpeg_quality(tmp_path / "a.jpg") == pytest.approx(quality, abs=1)
    assert jpeg_quality(checkpoint) is None


@pytest.mark.parametrize(
    ("prior", "log10", "bounded", "words"),
    [
        (0.5, 0.68, True, "if half of such files were fakes; the files that it was calibrated on can show 83% at most"),
        (
            0.5,
            -0.68,
            True,
            "if half of such files were fakes; the files that it was calibrated on can show 17% at least",
        ),
        (0.1, 0.68, True, "if 10% of such files were fakes; the files that it was calibrated on can show 35% at most"),
        (0.1, 0.68, False, "if 10% of such files were fakes"),
    ],
)
def test_a_probability_beside_a_bounded_ratio_says_how_far_it_can_be_shown(
    prior: float, log10: float, bounded: bool, words: str
) -> None:
    assert prior_words(prior, LikelihoodRatio(log10, log10, log10, bounded, "weak support")) == words
    assert prior_words(prior, None) == words.partition(";")[0]
