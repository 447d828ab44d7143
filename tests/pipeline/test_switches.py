"""A method that is switched on makes no stage run again that does not use it, and switched off leaves all as it was."""

import json

import pytest

from tests.pipeline.conftest import Project


def changed(project: Project) -> set[str]:
    """The stages that `dvc status` lists, because something of their own has changed."""
    found = json.loads(project.run("dvc", "status", "--json").stdout)
    return {stage.rpartition(":")[2] for stage in found}


SHIFTED = {"name": "shifted", "dir": "", "layout": "embedded_shifted", "use": "adapt"}


@pytest.mark.parametrize(
    ("changes", "users"),
    [
        ({"train__teacher": "/nowhere.pth"}, {"inputs", "train"}),
        ({"train__unlabelled": "adapt", "train__adapt": "coral"}, {"train"}),
        ({"train__adapt_weight": 3.0}, {"train"}),
        ({"pretrain__method": "byol"}, {"pretrain", "train"}),
        ({"pretrain__unlabelled": "adapt"}, {"pretrain"}),
        ({"adapt__method": "adabn"}, {"adapt"}),
    ],
)
def test_switching_a_method_on_and_off_again(built: Project, changes: dict[str, object], users: set[str]) -> None:
    before = (built.path / "params.yaml").read_text()
    assert changed(built) == set()
    built.set_params(**changes)
    assert changed(built) == users
    (built.path / "params.yaml").write_text(before)
    assert changed(built) == set()


@pytest.mark.slow
def test_frames_to_adapt_to_never_train_again_without_a_method_that_uses_them(built: Project) -> None:
    built.set_params(data__extra=[SHIFTED])
    ran = built.stages_run("dvc", "repro", "train")
    assert "prepare" in ran
    assert not {"pretrain", "train"} & set(ran)
    built.set_params(train__unlabelled="adapt", train__adapt="dann")
    assert built.stages_run("dvc", "repro", "train") == ["train"]
