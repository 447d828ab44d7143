"""A study: every method gets the same steps and seeds, and the table says what the logits say."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from deepfake_detection.common.errors import UserError
from deepfake_detection.evaluation.corruptions import CORRUPTIONS
from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.params.load import Params
from experiments import run, students, table
from experiments.study import RESULTS, STUDIES, Study, method_of, read_study
from tests.pipeline.conftest import ROOT, Project
from tests.support.params import tree

PARAMS = Params.model_validate(tree())
SMALL: dict[str, Any] = {
    "arch": "efficientnet_lite0",
    "weights": "imagenet",
    "steps": 2,
    "seeds": [1, 2],
    "train": {"batch_size": 8, "lr": 0.001},
    "baseline": "recipe",
    "methods": {"recipe": {"augment": "recipe"}, "sturdy": {"augment": "sturdy"}},
    "held_out": ["webp", "h264"],
}
SIMSIAM = {"weights": "none", "unlabelled": "train", "epochs": 1, "batch_size": 2, "lr": 0.05}


@pytest.fixture
def project(tmp_path: Path, built: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a study reads of a project that was built."""
    for name in ("data", "params.yaml", "conf"):
        (tmp_path / name).symlink_to(built.path / name)
    (tmp_path / STUDIES).mkdir(parents=True)
    (tmp_path / STUDIES / "small.yaml").write_text(yaml.safe_dump(SMALL))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_study_trains_all_methods_and_compares_them(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["run", "small"])
    run.main()
    results = project / RESULTS / "small"
    tables = {name: pd.read_csv(results / f"{name}.csv") for name in ("val", "test", "evaluated", "corrupted")}
    for method in SMALL["methods"]:
        found = table.read_results(read_study("small"), "small", method)
        assert found
        assert found.test.shape == (2, len(tables["test"]))
        assert found.evaluated.shape == (2, len(tables["evaluated"]))
        assert found.corrupted.shape == (2, 40 * len(tables["corrupted"]))
        assert not np.array_equal(found.test[0], found.test[1]), "the seeds differ"
    kept = (results / "sturdy" / "2.npz").stat()
    (results / "sturdy" / "1.npz").unlink()
    monkeypatch.setattr("sys.argv", ["table", "small"])
    table.main()
    assert "no result for every seed yet: sturdy\n" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["run", "small"])
    run.main()  # the one that is left
    assert (results / "sturdy" / "1.npz").exists()
    assert (results / "sturdy" / "2.npz").stat().st_mtime_ns == kept.st_mtime_ns
    monkeypatch.setattr("sys.argv", ["table", "small"])
    capsys.readouterr()
    table.main()
    printed = capsys.readouterr().out
    assert "unseen, mean: less recipe" in printed
    written = json.loads((results / "table.json").read_text())
    assert len(written["seeds"]["sturdy"]["seen"]) == 2
    assert set(written["differences"]["seen"]) == {"sturdy"}


@pytest.mark.slow
def test_a_study_adapts_to_half_of_a_data_set_and_scores_the_other(
    project: Path, built: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    methods = {
        "none": {"augment": "recipe"},
        "CORAL": {"augment": "recipe", "unlabelled": "adapt", "adapt": "coral"},
        "SimSiam": {"augment": "recipe", "pretrain": {"simsiam": SIMSIAM}},
        "AdaBN": {"of": "none", "adabn": "all"},
        "one video": {"of": "none", "adabn": "one video"},
    }
    study = SMALL | {"seeds": [1], "baseline": "none", "target": "embedded_shifted", "methods": methods}
    (project / STUDIES / "adapt.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    monkeypatch.setattr("sys.argv", ["run", "adapt"])
    with pytest.raises(UserError, match="embedded_shifted has one identity group"):
        run.main()
    (project / "data").unlink()
    shutil.copytree(built.path / "data", project / "data")
    splits = project / "data" / "splits.csv"
    rows = pd.read_csv(splits)
    shown = rows["dataset"] == "embedded_shifted"
    # the two people are swapped, so they are one group: here each original is one
    rows.loc[shown, "group"] = rows.loc[shown, "path"].str.extract(r"/(\d+)[^/]*$", expand=False)
    rows.to_csv(splits, index=False)
    run.main()
    results = project / RESULTS / "adapt"
    scored = pd.read_csv(results / "evaluated.csv", dtype=str)
    left = set(scored.loc[scored["dataset"] == "embedded_shifted", "group"])
    assert 0 < len(left) < rows.loc[shown, "group"].nunique()
    logits = {name: np.load(results / name / "1.npz")["evaluated"] for name in methods}
    assert all(len(values) == len(scored) for values in logits.values())
    assert len({values.tobytes() for values in logits.values()}) == len(methods), "each method gives other logits"
    monkeypatch.setattr("sys.argv", ["table", "adapt"])
    table.main()
    assert "data set: embedded_shifted: less none" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["students", "adapt", "AdaBN"])
    students.main()
    checkpoint = results / "AdaBN" / "student" / "efficientnet_lite0.pth"
    assert load_checkpoint(checkpoint).sidecar.size == 32


def test_whose_videos_were_trained_on_is_not_scored() -> None:
    """A degraded copy of the main data set has the same videos, so its test side is scored and the rest adapted to."""
    trained = pd.DataFrame({"video_id": ["0", "1", "2"], "split": ["train", "val", "test"]})
    evaluated = pd.DataFrame(
        {"video_id": ["0", "1", "2", "2"], "group": list("abcc"), "dataset": ["degraded"] * 3 + ["other"]}
    )
    scored, adapted = run.halves(evaluated, "degraded", trained)
    assert (scored.index.tolist(), adapted.index.tolist()) == ([2, 3], [0, 1])
    with pytest.raises(UserError, match="there is no data set absent"):
        run.halves(evaluated, "absent", trained)


def test_methods_differ_in_what_they_say_and_nothing_else() -> None:
    study = Study.model_validate(SMALL)
    recipe, sturdy = (method_of(study, name, PARAMS, 5).params.train for name in ("recipe", "sturdy"))
    assert (recipe.seed, recipe.batch_size, recipe.augment.jpeg.p, sturdy.augment.jpeg.p) == (5, 8, 0.0, 0.4)
    assert recipe.model_copy(update={"augment": sturdy.augment}) == sturdy


def test_what_is_wrong_with_a_study_is_one_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"^no study other: there are small$"):
        read_study("other")
    (project / STUDIES / "wrong.yaml").write_text(yaml.safe_dump(SMALL | {"steps": 0}))
    with pytest.raises(UserError, match=r"wrong\.yaml: steps: "):
        read_study("wrong")
    (project / STUDIES / "wrong.yaml").write_text(yaml.safe_dump(SMALL | {"baseline": "none"}))
    with pytest.raises(UserError, match=r"wrong\.yaml: baseline: none is not one of its methods"):
        read_study("wrong")
    monkeypatch.setattr("sys.argv", ["run", "small", "--methods", "best"])
    with pytest.raises(UserError, match="no method best in the study small"):
        run.main()
    monkeypatch.setattr("sys.argv", ["table", "small"])
    (project / RESULTS / "small").mkdir(parents=True)
    for name in ("val", "test", "evaluated", "corrupted"):
        (project / RESULTS / "small" / f"{name}.csv").write_bytes(
            (project / "data" / "prepared" / "train" / "embedded.csv").read_bytes()
        )
    with pytest.raises(UserError, match=r"^recipe: no result for every seed yet; run python -m experiments\.run small"):
        table.main()


def test_the_committed_studies_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for path in STUDIES.glob("*.yaml"):
        study = read_study(path.stem)
        for method in study.methods:
            method_of(study, method, PARAMS, study.seeds[0])


def test_figures_are_those_of_the_logits() -> None:
    """Ten groups with an original, a seen and an unseen fake each, and five groups of another data set."""
    rows = pd.DataFrame(
        [
            {"path": f"{category}{group}", "dataset": "own", "category": category, "group": str(group)}
            for category in ("Original", "Deepfakes", "FaceSwap")
            for group in range(10)
        ]
    )
    other = rows[rows["category"] != "FaceSwap"].head(15).assign(dataset="other", path=lambda t: "x" + t["path"])
    rows, other = (each.assign(label=(each["category"] != "Original").astype(int)) for each in (rows, other))
    test, unseen = (rows[(rows["category"] == "FaceSwap") == is_unseen] for is_unseen in (False, True))
    tables = {
        "val": test,
        "test": test.reset_index(drop=True),
        "evaluated": pd.concat([unseen, other], ignore_index=True),
        "corrupted": test.reset_index(drop=True),
    }
    right = np.where(test["label"] == 1, 2.0, -2.0)
    of_unseen = np.where(np.arange(10) < 7, 3.0, -3.0)  # three of ten are below every original
    of_other = np.where(other["label"] == 1, 1.0, -1.0)
    passes = np.tile(right, (40, 1))
    kinds = [name for name in CORRUPTIONS for _ in range(5)]
    passes[np.array(kinds) == "webp"] *= -1
    one = table.Results(
        val=np.tile(right, (2, 1)),
        test=np.tile(right, (2, 1)),
        evaluated=np.tile(np.concatenate([of_unseen, of_other]), (2, 1)),
        corrupted=np.tile(passes.ravel(), (2, 1)),
        seconds=np.array([1.0, 2.0]),
    )
    found = table.measure(Study.model_validate(SMALL), tables, one)
    values = {name: each[:, 0].tolist() for name, (_, each) in found.items()}
    assert values["seen"] == [1, 1]
    assert values["unseen, mean"] == values["unseen: FaceSwap"] == pytest.approx([0.7, 0.7])
    assert values["data set: other"] == [1, 1]
    assert values["drop, trained families"] == [0, 0]
    assert values["drop: webp"] == [1, 1]
    assert values["drop, held-out families"] == [0.5, 0.5]
    better = one._replace(evaluated=np.abs(one.evaluated))
    sturdy = table.measure(Study.model_validate(SMALL), tables, better)
    assert table.compare(Study.model_validate(SMALL), {"recipe": found, "sturdy": sturdy}).keys() == {
        "seen",
        "unseen, mean",
        "data set: other",
        "drop, trained families",
        "drop, held-out families",
    }


def test_p_values_are_corrected_for_all_differences_that_are_read() -> None:
    rng = np.random.default_rng(0)
    study = Study.model_validate(SMALL | {"methods": SMALL["methods"] | {"adapted": {"of": "recipe"}}})
    recipe = np.array([[0.7], [0.76], [0.84], [0.9]]) + rng.normal(0, 0.01, 101)
    values = {"recipe": recipe, "sturdy": recipe[::-1] + 0.05, "adapted": recipe + 0.05}
    values["adapted"][0, 0] += 0.01
    names = ("seen", "data set: other", "drop: webp")
    figures = {method: dict.fromkeys(names, (9, each)) for method, each in values.items()}
    found = table.compare(study, figures)
    assert {key: list(row) for key, row in found.items()} == {
        name: ["sturdy", "adapted"] for name in ("seen", "data set: other")
    }
    seen, other = (found[key] for key in ("seen", "data set: other"))
    # a network that is made of the baseline's with the same seed leaves no chance to the seeds
    assert seen["adapted"]["p"] < 0.001 < 0.1 < seen["sturdy"]["p"]
    assert seen["adapted"]["p_holm"] == pytest.approx(4 * seen["adapted"]["p"])
    assert other["sturdy"]["p_holm"] == min(1, 2 * other["sturdy"]["p"])
