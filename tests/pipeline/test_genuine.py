"""The study of genuine videos, on drawn ones in the official layout."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.sources.drawn.drawing import generate
from experiments import genuine
from experiments.study import RESULTS
from tests.pipeline.conftest import ROOT


def official(folder: Path, identities: int) -> None:
    """Drawn frames as the authors' script would lay them out."""
    generate(folder.with_name("drawn"), ["Original", "Deepfakes", "FaceSwap"], identities, 2, 128, 0, 1)
    tops = {"Original": "original_sequences/youtube"}
    for path in folder.with_name("drawn").rglob("*.jpg"):
        video, frame = path.stem.rsplit("_f", 1)
        top = tops.get(path.parent.name, f"manipulated_sequences/{path.parent.name}")
        to = folder / top / "c23" / "frames" / video / f"{int(frame):04d}.jpg"
        to.parent.mkdir(parents=True, exist_ok=True)
        path.rename(to)


@pytest.mark.slow
def test_rows_are_trained_on_deepfakes_and_tested_on_other_people_and_all_manipulations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = tmp_path / "videos"
    official(videos, 14)
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        genuine, "ROWS", {"mild": genuine.row("mild", 32, 1), "nested": genuine.row("sturdy", 48, 1, "nested")}
    )
    monkeypatch.setattr("sys.argv", ["genuine", str(videos), "--splits", "1", "--rows", "mild"])
    genuine.main()
    (to,) = (tmp_path / RESULTS / "genuine").iterdir()
    kept = (to / "mild" / "0.csv").stat().st_mtime_ns
    monkeypatch.setattr("sys.argv", ["genuine", str(videos), "--splits", "1"])
    genuine.main()
    assert (to / "mild" / "0.csv").stat().st_mtime_ns == kept, "a row that is there is not trained again"
    tests = {path: pd.read_csv(path) for path in sorted(to.glob("*/0.csv"))}
    assert len(tests) == 2
    for test in tests.values():
        assert set(test.loc[test["seen"], "category"]) == {"Deepfakes"}
        assert {"Original", "FaceSwap"} == set(test.loc[~test["seen"], "category"])
    assert len(pd.read_csv(to / "mild" / "0.curves.csv")) == 1
    frames, films = capsys.readouterr().out.split("AUROC of frames\n")[-1].split("AUROC of videos\n")
    assert all(name in part for part in (frames, films) for name in ("Deepfakes (seen)", "FaceSwap", "mild", "nested"))


def test_people_stand_on_one_side_whatever_is_shown_of_them() -> None:
    pairs = [(f"{2 * pair:03d}", f"{2 * pair + 1:03d}") for pair in range(20)]
    rows = pd.DataFrame(
        [(category, a, "" if category == "Original" else b) for pair in pairs for a, b in (pair, pair[::-1])
         for category in ("Original", "Deepfakes", "FaceSwap")],
        columns=["category", "video_id", "source_id"],
    ).assign(group="")  # fmt: skip
    found = genuine.divided(rows, 0, {})
    assert found.groupby("group")["split"].nunique().eq(1).all()
    assert found.drop_duplicates("group")["split"].value_counts().to_dict() == {"train": 12, "val": 3, "test": 5}
    assert not found["split"].equals(genuine.divided(rows, 1, {})["split"])


def test_the_table_scores_each_manipulation_against_all_originals() -> None:
    rows = [
        (category, f"{group}", category == "Deepfakes", logit + 0.1 * frame)
        for group in range(6)
        for category, logit in (("Original", 0.0), ("Deepfakes", 5.0), ("FaceSwap", -5.0), ("Face2Face", 5.0))
        for frame in range(2)
    ]
    test = pd.DataFrame(rows, columns=["category", "group", "seen", "logit"])
    test = test.assign(label=(test["category"] != "Original").astype(int), dataset="genuine", video_id=test["group"])
    test = test.assign(source_id="", epoch=3, seconds=7)

    def row(*tests: pd.DataFrame, unit: str = "frames") -> dict[str, str]:
        return dict(genuine.cells([genuine.network_aurocs(each, unit) for each in tests], list(tests)))

    found = row(test, test)
    assert found == {
        "Deepfakes (seen)": "1.000 [1.000, 1.000]",
        "Face2Face": "1.000 [1.000, 1.000]",
        "FaceSwap": "0.000 [0.000, 0.000]",
        "unseen, mean": "0.500 [0.500, 0.500]",
        "epoch": "3, 3",
        "seconds": "7, 7",
    }
    # one frame that is wrong turns no video
    test.loc[0, "logit"] = 6.0
    assert row(test)["Deepfakes (seen)"] != "1.000 [1.000, 1.000]"
    videos = genuine.videos_of(test)
    assert len(videos) == 24
    assert np.isclose(videos.loc[(videos["category"] == "Original") & (videos["group"] == "0"), "logit"], 3.05).all()
    assert row(test, unit="videos")["Deepfakes (seen)"] == "1.000 [1.000, 1.000]"


def test_differences_are_taken_split_by_split() -> None:
    rng = np.random.default_rng(0)
    rows = [(category, str(group)) for group in range(40) for category in ("Original", "Deepfakes")]
    test = pd.DataFrame(rows, columns=["category", "group"])
    test = test.assign(label=(test["category"] == "Deepfakes").astype(int), seen=test["category"] == "Deepfakes")
    noise = [rng.normal(size=len(test)) for _ in range(4)]
    weak, good = (
        [genuine.network_aurocs(test.assign(logit=test["label"] * apart + each), "frames") for each in noise]
        for apart in (0.3, 2.0)
    )
    found = genuine.differences({"weak": weak, "good": good, "weak again": weak})
    assert list(found.index) == ["good", "weak again"]
    mean, low, high = map(float, re.findall(r"[+-][0-9.]+", str(found.loc["good", "Deepfakes (seen)"])))
    assert 0.1 < low < mean < high < 0.6
    assert found.loc["weak again", "Deepfakes (seen)"] == "+0.000"


@pytest.mark.slow
def test_too_few_people_or_no_split_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["genuine", str(tmp_path), "--splits", "0"])
    with pytest.raises(UserError, match="--splits: at least 1"):
        genuine.main()
    official(tmp_path / "videos", 4)
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["genuine", str(tmp_path / "videos"), "--rows", "mild"])
    with pytest.raises(UserError, match="too few people: no original or no fake of seed=0 in test"):
        genuine.main()
