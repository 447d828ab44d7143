"""The documents give the figures of the committed run."""

import json
import re
from functools import reduce
from typing import Any

import pytest

from deepfake_detection.reporting.measured import read_robustness
from tests.support.modules import ROOT

TEST: dict[str, Any] = json.loads((ROOT / "metrics" / "details.json").read_text())
ROBUSTNESS, CORRUPTED = read_robustness(ROOT / "metrics")
ALL_FOUR = ("tn", "fp", "fn", "tp")
LOSSY = ("scaling", "gaussian_blur", "gaussian_noise")
ROW = re.compile(r"^(\w+) +([\d.]+) +\[([\d.]+), ([\d.]+)\]$", re.MULTILINE)


def interval(block: dict[str, Any], name: str, digits: int = 3) -> str:
    low, high = block["intervals"][name]
    return f"{block[name]:.{digits}f} [{low:.3f}, {high:.3f}]"


@pytest.mark.parametrize("page", ["README.md", "docs/concepts/intervals.md"])
def test_what_the_evaluate_stage_prints(page: str) -> None:
    rows = ROW.findall((ROOT / page).read_text())
    assert len(rows) >= 6
    for name, *numbers in rows:
        assert [float(number) for number in numbers] == [
            round(value, 6) for value in (TEST[name], *TEST["intervals"][name])
        ], name


def test_table_of_results() -> None:
    page = (ROOT / "README.md").read_text()
    for name, title in (("accuracy", "accuracy"), ("precision", "precision"), ("recall", "recall"), ("f1", "F1")):
        assert f"| test {title}, frames | {interval(TEST, name)} |" in page
    assert f"| test AUROC, frames | {interval(TEST, 'auroc', 4)} |" in page
    assert f"| test log loss, frames | {interval(TEST, 'log_loss')} |" in page
    assert f"| test AUROC, videos | {interval(TEST['video'], 'auroc')} |" in page
    for name, found in TEST["categories"].items():
        assert found["seen"] or f"{name} {found['frame']['auroc']:.3f}" in page
    assert f"| {TEST['raw']['ece']:.3f}, {TEST['ece']:.3f} |" in page
    assert f"| mean AUROC drop under corruptions | {interval(ROBUSTNESS, 'mean_auroc_drop')} |" in page
    shifted = TEST["datasets"]["embedded_shifted"]
    deepfakes = f"its Deepfakes alone {shifted['categories']['Deepfakes']['frame']['auroc']:.3f}"
    assert f"of a drawn data set not trained on | {interval(shifted['frame'], 'auroc')}; {deepfakes} |" in page


def test_what_another_data_set_costs() -> None:
    page = " ".join((ROOT / "docs" / "concepts" / "what-a-score-does-not-mean.md").read_text().split())
    shifted = TEST["datasets"]["embedded_shifted"]
    there, here = (found["categories"]["Deepfakes"]["frame"]["auroc"] for found in (shifted, TEST))
    assert f"an AUROC of {there:.3f} instead of {here:.3f}" in page
    frame = shifted["frame"]
    below, all_of_them = (sum(frame["confusion_matrix"][key] for key in keys) for keys in (("tn", "fn"), ALL_FOUR))
    assert f"the ECE is {frame['ece']:.2f}, because {below / all_of_them:.0%} of the frames have a score below" in page
    assert f"{1 - frame['coverage']:.0%} of them are unfamiliar" in page
    known = [f"{found['frame']['auroc']:.{4 if found['seen'] else 3}f}" for found in TEST["categories"].values()]
    assert f"| AUROC, frames | {' | '.join(known)} |" in page


def test_what_calibration_and_corruption_do() -> None:
    pages = {
        name: (ROOT / "docs/concepts" / name).read_text() for name in ("calibration-and-thresholds.md", "robustness.md")
    }
    eces = f"the ECE is {TEST['raw']['ece']:.3f} before and {TEST['ece']:.3f} after calibration"
    assert eces in pages["calibration-and-thresholds.md"]
    assert f"the drop is {interval(ROBUSTNESS, 'mean_auroc_drop')}," in pages["robustness.md"]
    worst = CORRUPTED[(CORRUPTED["severity"] == 5) & CORRUPTED["corruption"].isin(LOSSY)]["auroc"]
    assert f"bring the AUROC to {worst.min():.2f} to {worst.max():.2f}." in " ".join(pages["robustness.md"].split())


def test_how_many_corrupted_frames_get_a_verdict() -> None:
    page = " ".join((ROOT / "docs" / "concepts" / "unfamiliar-frames.md").read_text().split())
    coverage, accuracy = CORRUPTED["coverage"], CORRUPTED["accuracy"].mean()
    right = (coverage * CORRUPTED["answered_accuracy"].fillna(0)).sum() / coverage.sum()
    assert f"In the committed run {coverage.mean():.0%} of the corrupted frames get one" in page
    assert f"and {right:.0%} of these verdicts are right. If every frame got one, {accuracy:.0%} would be" in page


def test_what_ratios_cost_and_between_which_they_are_stated() -> None:
    page = (ROOT / "docs/concepts/evidence.md").read_text()
    frame, video = (TEST["evidence"][level] for level in ("frame", "video"))
    for words, *keys in (
        ("other manipulations", "unseen"),
        ("data set embedded_shifted", "datasets", "embedded_shifted"),
    ):
        blocks = (reduce(dict.__getitem__, keys, level) for level in (frame, video))
        costs = [f"{block[name]:.2f}" for block in blocks for name in ("cllr", "cllr_min")]
        assert f"| {' | '.join([words, *costs])} |" in page
    low, high = ([10 ** each["tippett"][end]["log10"] for each in (frame, video)] for end in (0, -1))
    ends = [f"1/{1 / least:.1f} to {most:.1f}" for least, most in zip(low, high, strict=True)]
    assert f"ratios of frames are stated from {ends[0]}, and those of videos from {ends[1]}:" in page
