"""The test results beside a checkpoint."""

from pathlib import Path

import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import sha256_of, write_json
from deepfake_detection.inference.tested import Measured, read_tested, results_file
from tests.support.tested import committed, save_tested


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Two files that need not be a network for this."""
    (tmp_path / "a.pth").write_bytes(b"weights")
    (tmp_path / "a.json").write_text("{}")
    return tmp_path / "a.pth"


def test_the_figures_are_those_of_the_metrics_files(checkpoint: Path) -> None:
    save_tested(checkpoint)
    found = read_tested(checkpoint)
    assert found is not None
    test = committed("details.json")
    assert found.checkpoint_sha256 == sha256_of(checkpoint)
    assert found.test.frame["auroc"].value == test["auroc"]
    assert [found.test.video["auroc"].low, found.test.video["auroc"].high] == test["video"]["intervals"]["auroc"]
    assert {each.name: each.frame["auroc"].value for each in found.manipulations} == {
        name: block["frame"]["auroc"] for name, block in test["categories"].items()
    }
    assert [each.name for each in found.unseen()] == [
        name for name, block in test["categories"].items() if not block["seen"]
    ]
    assert {each.name: each.trained_on for each in found.datasets} == {"embedded": True, "embedded_shifted": False}
    assert found.corruption_drop.value == committed("robustness.json")["mean_auroc_drop"]
    assert found.leaked_groups == 0
    assert found.frame is not None
    assert found.video is not None
    evidence = test["evidence"]["video"]
    assert (found.video.cllr_seen, found.video.cllr_unseen) == (evidence["seen"]["cllr"], evidence["unseen"]["cllr"])
    assert found.video.false_alarms is not None
    assert found.video.false_alarms.model_dump() == evidence["seen"]["false_alarms"] | evidence["seen"]["originals"]
    assert found.frame.tippett[0][1:] == (1, 1, 1)
    assert {each.name for each in found.conditions} == {"resolution", "jpeg_quality", "brightness"}


def test_a_file_of_an_earlier_version_has_no_evidence(checkpoint: Path) -> None:
    earlier = save_tested(checkpoint).model_dump(exclude={"frame", "video", "conditions"})
    write_json(results_file(checkpoint), earlier)
    found = read_tested(checkpoint)
    assert found is not None
    assert (found.frame, found.video, found.conditions) == (None, None, [])


def test_an_auroc_that_may_be_0_5_is_said_to_be_no_better_than_guessing(checkpoint: Path) -> None:
    found = save_tested(checkpoint).test
    assert found.guessing() == ""
    above, at, below = (
        Measured(value=0.6, low=0.49, high=0.7),
        Measured(value=0.5),
        Measured(value=0.3, low=0.1, high=0.4),
    )
    for auroc, said in ((above, "May be no better"), (at, "No better"), (below, "No better")):
        weak = found.model_copy(update={"frame": found.frame | {"auroc": auroc}})
        assert weak.guessing().startswith(f"{said} than guessing on the test set: the AUROC is {auroc}")
    undefined = found.model_copy(update={"frame": found.frame | {"auroc": Measured(value=None)}})
    assert undefined.guessing() == ""


@pytest.mark.parametrize("changed", ["a.pth", "a.json"])
def test_figures_of_other_files_are_refused(checkpoint: Path, changed: str) -> None:
    assert read_tested(checkpoint) is None
    save_tested(checkpoint)
    checkpoint.with_name(changed).write_bytes(b"others")
    with pytest.raises(UserError, match=rf"a\.tested\.json: the test results of another {changed}, by its SHA-256"):
        read_tested(checkpoint)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"checkpoint_sha256": "\x1b[31m"}'])
def test_what_is_no_test_results_is_one_line(checkpoint: Path, content: bytes) -> None:
    results_file(checkpoint).write_bytes(content)
    with pytest.raises(UserError, match="not the test results of a checkpoint") as caught:
        read_tested(checkpoint)
    assert str(caught.value).isprintable()
