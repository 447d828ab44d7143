"""What a reader must know before any number, in sentences, the most serious first.

``warnings_of_run`` is for the report on a run, ``warnings_of_network`` for who has only the test results beside a
checkpoint. Each returns one list, which stands above the numbers. A further warning is one more sentence in it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from deepfake_detection.common.text import FEW_GROUPS, group_count, guessing
from deepfake_detection.inference.tested import Tested

FEW_ORIGINALS = 100  # test frames, below which one alarm more or less moves the rate of false alarms by 1% and more
OF_FACEFORENSICS = ("kaggle", "faceforensics")  # the layouts whose recordings only the authors' list tells


def warnings_of_run(
    split: dict[str, Any], test: dict[str, Any], origins: Mapping[str, dict[str, Any]], drawn: bool, adopted: bool
) -> list[str]:
    """The warnings about a run.

    ``split`` is metrics/split.json, ``test`` metrics/details.json. ``origins`` has the parsed ``source.json`` of each
    data set that was trained on. ``drawn`` says that all of them are drawn faces, ``adopted`` that the network was
    trained elsewhere.
    """
    # slow to import, and who serves a network has no need
    from deepfake_detection.evaluation.metrics import guesses
    from deepfake_detection.evaluation.selective import misleading_verdicts

    frames, videos = test["confusion_matrix"], test["video"]["confusion_matrix"]
    found = (
        _shared(split["shared"])
        + (["The network was trained elsewhere: whether it knows people of this test is not known."] if adopted else [])
        + guesses(test)
        + _worthless({level: test["evidence"][level]["unseen"]["cllr"] for level in ("frame", "video")})
        + _few_originals(frames["tn"] + frames["fp"], videos["tn"] + videos["fp"], test["groups"])
    )
    found += _missed(
        name
        for name, each in test["categories"].items()
        if not each["seen"] and guessing(each["frame"]["auroc"], each["intervals"]["auroc"])
    )
    found += misleading_verdicts(test) + _leaks(split)
    unknown = [name for name, origin in origins.items() if origin["layout"] in OF_FACEFORENSICS]
    if unknown and not drawn and not split["recordings_known"]:
        found.append(
            f"It is not known which videos of the data set {', '.join(unknown)} come from one recording, so a "
            "recording may stand on two sides unseen. If they are those of FaceForensics++, put conversion_dict.json "
            "of its authors into the folder of the data set or split.official_dir."
        )
    if pairs := split["leak_audit"]["near_duplicates"]:
        found.append(f"{pairs} pairs of near-duplicate frames stand in two splits; the report shows them under Split.")
    if drawn:
        found.append(
            "The frames are drawn by code: the numbers show that the pipeline works, and say nothing of film of real "
            "people."
        )
    found += _few_groups(test["groups"])
    raw, scaled = test["raw"]["ece"], test["ece"]
    if raw is not None and scaled is not None and scaled > raw:
        found.append("The calibration, fitted on validation, did not lower the calibration error on the test frames.")
    return found


def warnings_of_network(tested: Tested | None) -> list[str]:
    """The warnings about a network, by the test results beside its checkpoint; None if there are none."""
    if tested is None:
        return ["How often this network is wrong is not known: no test results lie beside the checkpoint."]
    fakes = [each for each in tested.manipulations if each.trained_on]  # all of the test set that is no original
    frames = tested.test.frames - sum(each.frames for each in fakes)
    videos = tested.test.videos - sum(each.videos for each in fakes)
    results = (tested.test, *(each for each in tested.datasets if not each.trained_on))
    found = [words for result in results if (words := result.guessing())]
    levels = {"frame": tested.frame, "video": tested.video}
    found += _worthless({level: worth.cllr_unseen for level, worth in levels.items() if worth})
    found += _few_originals(frames, videos, tested.test.groups)
    found += _missed(each.name for each in tested.unseen() if each.guessing())
    if tested.drawn:
        found.append("The network was trained on drawn faces. It says nothing about photographs and films of people.")
    if tested.leaked_groups:
        found.append(
            f"The test results are too good: {tested.leaked_groups} groups of people were in the training frames and "
            "in the test frames."
        )
    return found + _few_groups(tested.test.groups)


def _worthless(unseen: Mapping[str, float | None]) -> list[str]:
    costs = [f"{cllr:.2f} by {level}" for level, cllr in unseen.items() if cllr is not None and cllr >= 1]
    if not costs:
        return []
    return [
        "On manipulations that it was not trained on its likelihood ratios are worth nothing: their Cllr is "
        f"{' and '.join(costs)}, and 1 is that of saying nothing."
    ]


def _few_originals(frames: int, videos: int, groups: int) -> list[str]:
    if not 0 < frames < FEW_ORIGINALS:
        return []
    return [
        f"The tests rest on {frames} original frames, of {videos} videos in {groups} groups of people. Fewer than "
        f"{FEW_ORIGINALS} originals are too few to say how often an original is called a deepfake: a single one moves "
        f"that share by {100 / frames:.1f} percentage points."
    ]


def _missed(manipulations: Iterable[str]) -> list[str]:
    names = ", ".join(manipulations)
    return [f"May be no better than guessing on manipulations that it was not trained on: {names}."] if names else []


def _few_groups(groups: int) -> list[str]:
    if groups >= FEW_GROUPS:
        return []
    return [f"The intervals come from {group_count(groups)}. Another test split may give quite other numbers."]


def _shared(shared: dict[str, Any]) -> list[str]:
    """What data sets, and what the network was trained from, have in common with the test."""
    names = {"weights": "The weights that training started from were", "teacher": "The teacher was"}
    found = [
        f"{names[name]} trained on people of at least {groups} group{'s' * (groups > 1)} of this test. The "
        "numbers below are too good; test on other people."
        for name, groups in shared["known"].items()
        if groups
    ]
    if shared["leaked_groups"]:
        found.append(
            f"{shared['leaked_groups']} groups of people are in several data sets, on two sides of the split. The "
            "numbers below are too good; use split.strategy=group."
        )
    return found + [
        f"{frames} frames of the data set {name} were not tested on: the network was trained on their people, in "
        "another data set."
        for name, frames in shared["left_out"].items()
    ]


def _leaks(split: dict[str, Any]) -> list[str]:
    if split["leaked_recordings"] and split["strategy"] == "official":
        return [
            f"The official lists put {split['leaked_recordings']} of {split['recordings']} recordings on two sides: "
            "other sequences of these recordings are in another split. The numbers below may be too good; "
            "split.strategy=group keeps recordings whole."
        ]
    if split["leaked_groups"] and split["strategy"] == "own":
        return [
            f"The division that the data set comes with puts {split['leaked_groups']} of {split['groups']} groups and "
            f"{split['leaked_videos']} videos on two sides. The numbers below may be too good; compare them only with "
            "others on this division."
        ]
    if split["leaked_groups"] or split["leaked_videos"]:
        return [
            f"The split leaks: {split['leaked_groups']} of {split['groups']} groups, {split['leaked_recordings']} of "
            f"{split['recordings']} recordings and {split['leaked_videos']} videos stand on two sides. The numbers "
            "below are too good; use split.strategy=group."
        ]
    return []
