"""The command that makes a leaderboard: what it prints and writes, and its mistakes in one line."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepfake_detection.reporting.leaderboard import leaderboard_figure, main
from tests.support.checkpoints import sidecar
from tests.support.scores import write_index


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with data/index.csv and the scores of three detectors, of which one missed a video."""
    monkeypatch.chdir(tmp_path)
    index = write_index(Path("data"))
    index[["path", "logit"]].to_csv("ours.csv", index=False)
    noise = np.random.default_rng(1).normal(0, 2, len(index))
    index[["path"]].assign(real_score=-index["logit"] - noise).to_csv("noisy.csv", index=False)
    missed = index["path"].str.startswith("other/Original/000")
    index.loc[~missed, ["path"]].assign(score=100 * np.abs(index["logit"])).to_csv("size.csv", index=False)
    Path("ours.json").write_text(sidecar(video={"threshold": 0.3}).model_dump_json())


COMMAND = ["ours=ours.csv", "other=noisy.csv", "size.csv", "--draws", "100"]


def test_three_detectors_in_one_leaderboard(capsys: pytest.CaptureFixture[str]) -> None:
    main([*COMMAND, "--calibration", "ours=ours.json", "--to", "board"])
    printed = capsys.readouterr().out
    found = json.loads(Path("board/leaderboard.json").read_text())
    assert list(found["detectors"]) == ["ours", "other", "size"]
    other = found["datasets"]["other"]
    assert (
        f"\nother, test split, by video: 29 of 31 videos, 20 of them fakes, {other['groups']} groups: too few groups\n"
        in printed
    )
    rows = [line for line in printed.splitlines() if line.startswith("other  ")]
    pair = other["pairs"][0]["metrics"]["auroc"]
    low, high = other["detectors"]["other"]["intervals"]["auroc"]
    wanted = f"{other['detectors']['other']['auroc']:.4f} [{low:.3f}, {high:.3f}] {pair['difference']:+.4f}"
    assert " ".join(rows[2].split()[1:5]) == wanted
    assert rows[2].endswith("  30, 1, 0")
    assert "size has an AUROC of" in printed.splitlines()[-1]
    assert "difference: to ours; p (Holm): corrected for 4 differences" in printed

    table = pd.read_csv("board/leaderboard.csv", keep_default_na=False)
    assert len(table) == 2 * 3 * 3  # data sets, detectors, all and two manipulations
    row = table.query("dataset == 'other' and detector == 'other' and category == ''").iloc[0]
    assert float(row["difference"]) == pair["difference"]
    assert (row["videos_ok"], row["videos_missing"]) == ("30", "1")
    assert len(pd.read_csv("board/coverage.csv")) == 3 * (37 + 31)

    with Image.open("board/leaderboard.png") as image:
        assert image.width > image.height > 300
    figure = leaderboard_figure(found)
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["ours", "other", "size"]
    assert right.get_title() == "other\n29 videos, 5 groups: too few groups"
    dots = [
        np.asarray(line.get_xdata())[0]
        for line in right.lines
        if line.get_markersize() == 8 and line.get_marker() == "o"
    ]
    assert dots == [other["detectors"][name]["auroc"] for name in found["detectors"]]

    main([*COMMAND, "--calibration", "ours=ours.json", "--json"])
    assert json.loads(capsys.readouterr().out) == found


def test_one_detector_without_an_index(capsys: pytest.CaptureFixture[str]) -> None:
    Path("own.csv").write_text("path,label,score\na,0,0.1\nb,1,0.9\nc,0,0.2\nd,1,0.4\n")
    main(["own.csv", "--index", "none", "--draws", "100"])
    printed = capsys.readouterr().out
    assert "own, by video: 4 of 4 videos, 2 of them fakes, 4 groups: too few groups" in printed
    assert "difference" not in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ours=ours.csv", "ours=size.csv"], "ours=size.csv: write NAME=FILE, and each NAME once"),
        (["ours="], "ours=: write NAME=FILE"),
        (["ours=none.csv"], "none.csv: neither a file nor a revision"),
        (["ours.csv", "--index", "none"], "216 of 216 rows have no label"),
        (["ours.csv", "--index", "none.csv"], "none.csv not found"),
        (["ours.csv", "--real-is-high", "noisy"], "--real-is-high noisy: there are only ours"),
        (["ours.csv", "--kind", "ours=percent"], "--kind percent: write probability, logit, order"),
        (["ours.csv", "--calibration", "ours.json"], "--calibration ours.json: write NAME=VALUE, with a NAME of ours"),
        (["ours.csv", "--draws", "9"], "--draws must be 100 or more"),
        (["ours.csv", "--to", "ours.csv"], "ours.csv: File exists"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], words: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert str(caught.value).startswith("error: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
