"""What is said above the numbers, by the test results beside a checkpoint."""

import json
from pathlib import Path

from deepfake_detection.inference.tested import Measured
from deepfake_detection.reporting.caveats import warnings_of_network, warnings_of_run
from tests.support.tested import committed, save_tested

ROOT = Path(__file__).parents[3]


def test_the_originals_are_those_of_the_tests(tmp_path: Path) -> None:
    for name in ("b7.pth", "b7.json"):
        (tmp_path / name).write_text("{}")
    tested, test = save_tested(tmp_path / "b7.pth"), committed("details.json")
    frames, videos = (block["confusion_matrix"] for block in (test, test["video"]))
    frames, videos = (matrix["tn"] + matrix["fp"] for matrix in (frames, videos))
    worthless, few, missed, drawn, *_ = warnings_of_network(tested)
    assert tested.frame is not None
    assert worthless.startswith("On manipulations that it was not trained on its likelihood ratios are worth nothing")
    assert f"their Cllr is {tested.frame.cllr_unseen:.2f} by frame and" in worthless
    assert few.startswith(f"The tests rest on {frames} original frames, of {videos} videos in {test['groups']} groups")
    assert missed.endswith("manipulations that it was not trained on: FaceSwap, NeuralTextures.")
    assert "drawn faces" in drawn
    guess = tested.test.frame | {"auroc": Measured(value=0.6, low=0.4, high=0.8)}
    guessing = tested.model_copy(update={"test": tested.test.model_copy(update={"frame": guess}), "leaked_groups": 3})
    first, second, third, *others = warnings_of_network(guessing)
    assert first.startswith("May be no better than guessing on the test set: the AUROC is 0.60 [0.40, 0.80]")
    assert (second, third) == (worthless, few)
    assert any("3 groups of people were in the training frames" in words for words in others)
    many = tested.test.model_copy(update={"frames": tested.test.frames + 100 - frames, "groups": 20})
    assert warnings_of_network(tested.model_copy(update={"test": many})) == [worthless, missed, drawn]
    worth = tested.frame.model_copy(update={"cllr_unseen": 0.99})
    some = tested.model_copy(update={"test": many, "frame": worth, "video": None})
    assert warnings_of_network(some) == [missed, drawn]


def test_without_test_results_that_is_the_warning() -> None:
    (said,) = warnings_of_network(None)
    assert said.startswith("How often this network is wrong is not known")


def test_people_that_data_sets_share_come_first() -> None:
    split = json.loads((ROOT / "metrics" / "split.json").read_text())
    nothing = {"groups": 0, "leaked_groups": 0, "left_out": {}, "known": {"weights": 0, "teacher": 0}}
    before = warnings_of_run(split | {"shared": nothing}, committed("details.json"), {}, drawn=False, adopted=False)
    shared = {"groups": 9, "leaked_groups": 2, "left_out": {"copy": 680}, "known": {"weights": 0, "teacher": 1}}
    found = warnings_of_run(split | {"shared": shared}, committed("details.json"), {}, drawn=False, adopted=True)
    teacher, leaked, left_out, elsewhere, *others = found
    assert teacher.startswith("The teacher was trained on people of at least 1 group of this test.")
    assert leaked.startswith("2 groups of people are in several data sets, on two sides")
    assert left_out.startswith("680 frames of the data set copy were not tested on")
    assert elsewhere == "The network was trained elsewhere: whether it knows people of this test is not known."
    assert others == before
