"""The train stage on two devices: two processes of the same command, outputs written once."""

import json

import pytest

from tests.pipeline.conftest import Project

pytestmark = pytest.mark.slow


def test_two_devices_train_and_write_once(built: Project) -> None:
    built.set_params(train__devices=2)
    output = built.run("dvc", "repro", "train").stdout
    assert output.count("training on 2 x cpu: 16 frames, 8 to validate, 4 a step") == 1
    assert output.count("peak memory: ") == 1
    assert output.count("val_auroc 0.") == 2  # one line an epoch
    assert json.loads((built.path / "metrics" / "train.json").read_text())["epochs_run"] == 2
    curves = (built.path / "metrics" / "train" / "curves.csv").read_text()
    assert [line.split(",")[0] for line in curves.splitlines()] == ["epoch", "0", "1"]
    assert "Data and pipelines are up to date" in built.run("dvc", "status", "train").stdout


def test_devices_that_do_not_divide_the_batch_are_one_line(built: Project) -> None:
    built.set_params(train__devices=3)
    line = built.stage_fails_with_one_line("train")
    assert line.startswith("error: train.batch_size: 4 frames cannot be shared by 3 devices")
