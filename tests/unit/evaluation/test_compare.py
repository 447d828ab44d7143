"""Comparing runs: by hand, on runs that are equal, better and noisy, from files and from revisions."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from dvc.repo import Repo
from scipy.special import expit
from scipy.stats import ttest_1samp
from sklearn.metrics import roc_auc_score

from benchmarks.compare_null import called
from deepfake_detection.common.errors import UserError
from deepfake_detection.evaluation.bootstrap import METRICS, frame_metrics
from deepfake_detection.evaluation.compare import PREDICTIONS, compare, groups_of, holm, main, read_predictions, report
from tests.support.params import tree


def predictions(strength: float, seed: int = 0, pairs: int = 12) -> pd.DataFrame:
    """24 people in pairs: originals, Deepfakes and FaceSwap, of five frames each. All but one pair are test."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(2 * pairs):
        own, other = f"{person:03}", f"{person ^ 1:03}"
        for category, stem in (("Original", own), ("Deepfakes", f"{own}_{other}"), ("FaceSwap", f"{own}_{other}")):
            label = int(category != "Original")
            for frame, logit in enumerate(rng.normal(strength * (label - 0.5), 1, 5)):
                path = f"FF++C32-Frames/{category}/{stem}_f{frame}.jpg"
                rows.append((path, category, own, label, "val" if person < 2 else "test", logit, float(expit(logit))))
    return pd.DataFrame(
        rows, columns=["path", "category", "video_id", "label", "split", "logit", "probability"]
    ).sample(frac=1, random_state=seed)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Predictions of a weak and of a strong network, on the same frames in another order."""
    names = str(tmp_path / "weak.csv"), str(tmp_path / "strong.csv")
    for seed, (name, strength) in enumerate(zip(names, (0.5, 3.0), strict=True)):
        predictions(strength, seed).to_csv(name, index=False)
    return names


def test_data_sets_that_are_only_evaluated_are_compared_by_name_alone(tmp_path: Path) -> None:
    names = []
    for seed, name in enumerate(("first.csv", "second.csv")):
        trained = predictions(1.0, seed).assign(dataset="embedded")
        other = predictions(2.0, seed + 2).query("split == 'test'").assign(dataset="shifted")
        other["path"] = "shifted/" + other["path"]
        pd.concat([trained, other]).to_csv(tmp_path / name, index=False)
        trained.to_csv(tmp_path / f"only {name}", index=False)
        names.append(str(tmp_path / name))
    alone = report([str(tmp_path / "only first.csv"), str(tmp_path / "only second.csv")], draws=100)
    default = report(names, draws=100)
    assert default["pairs"][0]["metrics"] == alone["pairs"][0]["metrics"]
    shifted = report(names, datasets=["shifted"], draws=100)
    table = pd.read_csv(names[0]).query("dataset == 'shifted'")
    assert shifted["frames"] == len(table)
    assert shifted["pairs"][0]["metrics"]["auroc"]["first"] == roc_auc_score(table["label"], table["probability"])
    with pytest.raises(UserError, match=r"first\.csv has no frames of Celeb-DF, only of embedded, shifted$"):
        report(names, datasets=["Celeb-DF"])
    trained.drop(columns="dataset").to_csv(names[1], index=False)
    with pytest.raises(UserError, match=r"second\.csv has no column dataset: leave out --datasets$"):
        report(names, datasets=["shifted"])


def test_equal_files_do_not_differ(files: tuple[str, str], tmp_path: Path) -> None:
    copy = shutil.copy(files[0], tmp_path / "copy.csv")
    found = report([files[0], str(copy)], draws=200)["pairs"][0]["metrics"]
    assert set(found) == set(METRICS)
    for row in found.values():
        assert (row["difference"], row["p"], row["p_holm"], row["interval"]) == (0, 1, 1, None)
        assert row["first"] == row["second"]


def test_a_better_network_is_found(files: tuple[str, str]) -> None:
    found = report(files, draws=500)
    assert (found["frames"], found["groups"], found["frames_left_out"]) == (11 * 30, 11, 0)
    test = [table[table["split"] == "test"] for table in map(read_predictions, files)]
    rows = found["pairs"][0]["metrics"]
    for name in ("auroc", "accuracy", "balanced_accuracy", "average_precision"):
        assert rows[name]["interval"][0] > 0
        assert rows[name]["p"] < 0.001
    for name in ("log_loss", "brier", "eer"):
        assert rows[name]["interval"][1] < 0
    for side, table in zip(("first", "second"), test, strict=True):
        alone = frame_metrics(table["label"].to_numpy(), table["probability"].to_numpy(), 0.5)
        assert {name: rows[name][side] for name in METRICS} == pytest.approx({name: alone[name] for name in METRICS})
    back = report(files[::-1], draws=500)["pairs"][0]["metrics"]["auroc"]
    assert back["difference"] == -rows["auroc"]["difference"]
    assert back["p"] == pytest.approx(rows["auroc"]["p"])


def test_the_difference_of_a_mean_has_the_interval_and_p_of_a_paired_t_test() -> None:
    """Accuracy in groups of one size is a mean over groups, and its difference a mean of differences."""
    rng = np.random.default_rng(3)
    labels, groups = np.tile([0, 1], 150), pd.Series(np.repeat(np.arange(15), 20))
    tables = {
        name: pd.DataFrame({"label": labels, "probability": expit(rng.normal(strength * (labels - 0.5)))})
        for name, strength in (("first", 1.5), ("second", 2.0))
    }
    right = [((table["probability"] >= 0.5) == (table["label"] == 1)).astype(float) for table in tables.values()]
    expected = ttest_1samp((right[1] - right[0]).groupby(groups).mean(), 0)
    ends = expected.confidence_interval()
    found = compare(tables, groups, draws=20_000)[0]["metrics"]["accuracy"]
    assert found["p"] == pytest.approx(expected.pvalue, abs=0.01)
    assert found["interval"] == pytest.approx([ends.low, ends.high], abs=0.001)


def test_noise_alone_is_rarely_a_difference() -> None:
    counts = called(9, 0.95, pairs=100, draws=200)
    for name in ("auroc", "accuracy", "log_loss", "balanced_accuracy", "average_precision"):
        assert counts[name] <= 10, name


def test_holm_by_hand() -> None:
    # 0.01 x 4, 0.02 x 3, 0.03 x 2, and 0.04 x 1 raised to the one before
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, None, 0.9]) == [1.0, None, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_several_pairs_are_corrected_for_each_metric(files: tuple[str, str], tmp_path: Path) -> None:
    third = str(tmp_path / "third.csv")
    predictions(0.8, 5).to_csv(third, index=False)
    found = report([*files, third], draws=200)
    assert [(pair["first"], pair["second"]) for pair in found["pairs"]] == [files, (files[0], third)]
    for name in METRICS:
        rows = [pair["metrics"][name] for pair in found["pairs"]]
        assert [row["p_holm"] for row in rows] == holm([row["p"] for row in rows])
    alone = report([files[0], third], draws=200)["pairs"][0]["metrics"]["auroc"]
    assert alone["p"] == found["pairs"][1]["metrics"]["auroc"]["p"]


def test_different_frames_are_refused_or_left_out(files: tuple[str, str], tmp_path: Path) -> None:
    table = read_predictions(files[1])
    test = table[table["split"] == "test"]
    less = str(tmp_path / "less.csv")
    pd.concat([test.iloc[7:], test.iloc[:3].assign(path=lambda rows: "new/" + rows["path"])]).to_csv(less, index=False)
    with pytest.raises(UserError, match=r"7 only in the first, 3 only in the second, 323 in both; --common"):
        report([files[0], less])
    found = report([files[0], less], common=True, draws=100)
    assert (found["frames"], found["frames_left_out"]) == (323, 10)
    table.assign(label=1 - table["label"]).to_csv(less, index=False)
    with pytest.raises(UserError, match="label 330 frames differently"):
        report([files[0], less])


def test_categories_and_splits(files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert report(files, split="val", draws=100)["frames"] == 30
    chosen = report(files, categories=["FaceSwap"], draws=100)
    assert chosen["categories"] == ["FaceSwap", "Original"]
    assert chosen["categories_left_out"] == ["Deepfakes"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tree()))  # holds out FaceSwap
    assert report(files, unseen=True, draws=100) == chosen
    table = read_predictions(files[1])
    table[table["category"] != "FaceSwap"].to_csv("seen.csv", index=False)
    found = report([files[0], "seen.csv"], draws=100)
    assert (found["categories"], found["categories_left_out"]) == (["Deepfakes", "Original"], ["FaceSwap"])
    with pytest.raises(UserError, match=r"seen\.csv has no test frames of FaceSwap, only of Deepfakes"):
        report([files[0], "seen.csv"], categories=["FaceSwap"])
    with pytest.raises(UserError, match=r"^Deepfakes: datasets\.<name>\.unseen"):
        report([files[0], "seen.csv"], unseen=True)
    with pytest.raises(UserError, match="has no train frames, only test, val"):
        report(files, split="train")


def test_groups_come_from_the_best_source() -> None:
    table = predictions(1.0)
    pair = table["video_id"].astype(int) // 2
    own = table.assign(group="g" + pair.astype(str))
    sources = table["video_id"].astype(int).map(lambda person: f"{person ^ 1:03}").where(table["label"] == 1, "")
    for tables, words in (
        ({"a": table, "b": own}, "the column group of b"),
        ({"a": table, "b": table.assign(source_id=sources)}, "video_id and source_id of b"),
        ({"a": table, "b": table}, "the source in the file names"),
    ):
        found, origin = groups_of(tables, table["path"])
        assert words in origin
        assert pd.crosstab(found.to_numpy(), pair.to_numpy()).astype(bool).sum().tolist() == [1] * 12
        assert found.nunique() == 12


def test_one_group_has_no_interval_and_one_class_no_auroc() -> None:
    table = pd.DataFrame({"label": [0, 0, 0, 0], "probability": [0.1, 0.2, 0.6, 0.7]})
    other = table.assign(probability=[0.1, 0.6, 0.6, 0.2])
    rows = compare({"a": table, "b": other}, pd.Series([1, 1, 1, 1]), draws=100)[0]["metrics"]
    assert (rows["brier"]["interval"], rows["brier"]["p"], rows["brier"]["p_holm"]) == (None, None, None)
    assert rows["brier"]["difference"] == pytest.approx((0.36 - 0.04 + 0.04 - 0.49) / 4)
    rows = compare({"a": table, "b": other}, pd.Series([1, 1, 2, 2]), draws=100)[0]["metrics"]
    assert set(rows["auroc"].values()) == {None}
    assert rows["log_loss"]["p"] is not None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.drop(columns="probability"), "no column probability"),
        (lambda table: table.assign(probability=1.5), "not a number from 0 to 1"),
        (lambda table: table.assign(probability=""), "not a table of predictions"),
        (lambda table: pd.concat([table, table.iloc[:1]]), "twice"),
    ],
)
def test_a_wrong_file_is_one_line(files: tuple[str, str], change: Any, words: str) -> None:
    change(predictions(1.0)).to_csv(files[1], index=False)
    with pytest.raises(SystemExit, match=words) as caught:
        main(files)
    assert str(caught.value).startswith("error: ")
    assert "\n" not in str(caught.value)
    assert files[1] in str(caught.value)


def test_what_the_command_prints(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    main([*files, "--draws", "200"])
    printed = capsys.readouterr().out
    assert printed.startswith("330 test frames, 11 groups: too few groups\ncategories: Deepfakes, FaceSwap, Original\n")
    found = report(files, draws=200)
    row = found["pairs"][0]["metrics"]["auroc"]
    low, high = row["interval"]
    line = next(line for line in printed.splitlines() if line.startswith("auroc"))
    assert line.split(maxsplit=4)[1:4] == [f"{row['first']:.4f}", f"{row['second']:.4f}", f"{row['difference']:+.4f}"]
    assert f"[{low:+.4f}, {high:+.4f}]" in line
    main([*files, "--draws", "200", "--json"])
    assert json.loads(capsys.readouterr().out) == found


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with DVC, the predictions of the tags weak and strong, and the experiment best-one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "true")

    def git(*words: str) -> None:
        subprocess.run(["git", *words], check=True)

    git("init", "-q")
    git("config", "user.name", "test")
    git("config", "user.email", "test@localhost")
    repo = Repo.init()
    Path("data").mkdir()
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"evaluate": {"cmd": "true", "outs": [PREDICTIONS]}}}))
    for strength, tag in ((0.5, "weak"), (3.0, "strong")):
        Path(PREDICTIONS).unlink(missing_ok=True)
        predictions(strength).to_csv(PREDICTIONS, index=False)
        repo.commit(force=True)
        git("add", "-A")
        git("commit", "-qm", tag)
        git("tag", tag)
    Path("note").write_text("an experiment needs a change")
    git("add", "note")
    repo.experiments.save(name="best-one", force=True)
    repo.close()
    return tmp_path


def test_revisions_and_experiments_are_opened(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    main(["weak", "strong", "best-one", "--draws", "100", "--json"])
    found = json.loads(capsys.readouterr().out)
    better, same = (pair["metrics"]["auroc"]["difference"] for pair in found["pairs"])
    assert better == same > 0.2
    with pytest.raises(SystemExit, match=r"^error: nothing: neither a file nor a revision.*unknown.*nothing"):
        main(["weak", "nothing"])
    shutil.rmtree(project / ".dvc" / "cache")
    (project / PREDICTIONS).unlink()
    with pytest.raises(SystemExit, match=r"^error: weak: neither a file nor a revision") as caught:
        main(["weak", "strong"])
    assert "\n" not in str(caught.value)
