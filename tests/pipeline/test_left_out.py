"""The study over left-out manipulations: which frames it takes, and its table."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from deepfake_detection.common.errors import UserError
from experiments.left_out import network, table
from experiments.left_out.network import DEFAULT, frames_of_all_categories
from experiments.study import RESULTS
from tests.pipeline.conftest import Project


def test_every_category_stands_where_the_originals_of_its_group_stand(
    built: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(built.path)
    pixels, rows = frames_of_all_categories()
    assert set(rows["dataset"]) == {"embedded"}
    assert len(rows) == 8 * 2 * 3
    assert rows.groupby(["category", "split"]).size().groupby("split").nunique().eq(1).all()
    assert rows.groupby("group")["split"].nunique().eq(1).all()
    official = pd.read_csv("data/splits_trained.csv").set_index("path")["split"]
    trained = rows[rows["path"].isin(official.index)]
    assert trained["split"].tolist() == official.reindex(trained["path"]).tolist()
    assert rows.index.max() < len(pixels)


def test_the_table_has_the_mean_and_spread_of_each_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / RESULTS / "left_out" / DEFAULT
    monkeypatch.setattr(sys, "argv", ["table"])
    with pytest.raises(UserError, match=r"no results; run python -m experiments\.left_out\.network for each"):
        table.main()
    folder.mkdir(parents=True)
    for name, other in (("FaceSwap", "Deepfakes"), ("Deepfakes", "FaceSwap")):
        rows = [(name, seed, on, auroc) for seed in (1, 2) for on, auroc in ((name, 0.5 + 0.1 * seed), (other, 0.9))]
        frame = pd.DataFrame(rows, columns=["left_out", "seed", "tested_on", "auroc"])
        frame.to_csv(folder / f"{name}.csv", index=False)
    table.main()
    found = json.loads((folder / "matrix.json").read_text())
    assert found["seeds"] == [1, 2]
    assert found["left_out"]["mean"] == pytest.approx(0.65)
    assert found["left_out"]["spread"] == pytest.approx(0.1 / 2**0.5)
    assert found["trained_on"] == {"mean": pytest.approx(0.9), "spread": pytest.approx(0)}
    assert found["mean"]["FaceSwap"] == {"FaceSwap": pytest.approx(0.65), "Deepfakes": pytest.approx(0.9)}
    assert (folder / "heatmap.png").read_bytes().startswith(b"\x89PNG")


def test_each_network_trains_by_its_own_file(
    built: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("data", "params.yaml", "conf"):
        (tmp_path / name).symlink_to(built.path / name)
    folder = tmp_path / network.FOLDER
    folder.mkdir(parents=True)
    own = {"arch": "efficientnet_b0", "weights": "none", "epochs": 1, "batch_size": 8, "lr": 0.001, "seeds": [3]}
    own |= {"frames": 1, "schedule": "cosine", "augment": {"rotate_p": 0.0}}
    (folder / "small.yaml").write_text(yaml.safe_dump(own))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["network", "Deepfakes", "--network", "other"])
    with pytest.raises(UserError, match="--network other: not there; choose from small"):
        network.main()
    monkeypatch.setattr(sys, "argv", ["network", "FaceSwap", "--network", "small"])
    network.main()
    monkeypatch.setattr(sys, "argv", ["table", "--network", "small"])
    table.main()
    assert "FaceSwap" in capsys.readouterr().out
    found = json.loads((tmp_path / RESULTS / "left_out" / "small" / "matrix.json").read_text())
    assert found["seeds"] == [3]
    assert list(found["mean"]) == ["FaceSwap"]
