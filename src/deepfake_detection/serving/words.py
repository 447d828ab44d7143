"""Puts verdicts and checkpoints into words: a headline, how far to trust it, what it does not say."""

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import sha256_of
from deepfake_detection.common.rules import Rule
from deepfake_detection.common.text import clock, printable
from deepfake_detection.inference.tested import Tested, read_tested
from deepfake_detection.network.sidecar import FAMILIARITY, Calibration, Sidecar, read_sidecar
from deepfake_detection.serving.results import Prediction, VideoPrediction

Side = Literal["fake", "original", "unfamiliar", "none"]
Level = Literal["clear", "leaning", "uncertain", "none"]

# Distances in log-odds, from the threshold and from even odds. 1 means odds of 2.7 to 1, and 3 means 20 to 1.
UNCERTAIN, CLEAR = 1.0, 3.0
# If at least this share of a video's frames is at or above the threshold, its mean alone does not decide the headline.
MIXED = 0.1
HEADLINES: dict[tuple[str, str], str] = {
    ("fake", "clear"): "Looks like a deepfake",
    ("fake", "leaning"): "More like a deepfake than an original",
    ("original", "leaning"): "More like an original than a deepfake",
    ("original", "clear"): "No sign of the deepfakes it knows",
}
NO_VERDICT_HEADLINE = "Not judged"
MIXED_HEADLINE = "Mixed: some frames look like a deepfake"
UNFAMILIAR_HEADLINE = "Unfamiliar: not like what this network was trained on"
UNDECIDED_HEADLINE = "Undecided: too little of it could be seen"


class Said(NamedTuple):
    """A sentence or two. ``first`` is what to stress, and may be empty."""

    first: str
    rest: str


@dataclass(frozen=True)
class Wording:
    """A verdict in words. ``trust`` says how far to trust it, and is empty if there is no score."""

    headline: str
    side: Side
    level: Level
    percent: str
    threshold: str
    trust: tuple[Said, ...]


def wording(found: Prediction, sidecar: Sidecar) -> Wording:
    """The words for a prediction of a detector with this sidecar."""
    calibration = sidecar.video if isinstance(found, VideoPrediction) else sidecar.frame
    threshold = rounded_percent(calibration.threshold)
    if found.probability is None:
        return Wording(NO_VERDICT_HEADLINE, "none", "none", "", threshold, ())
    headline, level = certainty(found.probability, calibration.threshold)
    side: Side = "fake" if found.probability >= calibration.threshold else "original"
    if found.verdict == "unfamiliar":
        headline, side, level = UNFAMILIAR_HEADLINE, "unfamiliar", "uncertain"
    elif found.verdict == "undecided":
        headline, side, level = UNDECIDED_HEADLINE, "none", "uncertain"
    elif is_mixed(found):
        headline, level = MIXED_HEADLINE, "uncertain"
    percent = rounded_percent(found.probability, calibration.threshold)
    return Wording(headline, side, level, percent, threshold, tuple(_trust(found, sidecar, side, level, threshold)))


def certainty(probability: float, threshold: float) -> tuple[str, Level]:
    """The headline for a calibrated probability, and its level: "clear", "leaning" or "uncertain".

    Certainty is the smaller of two distances in log-odds: from the threshold, and from even odds. Below a
    strict threshold, a score can count as original although it is more probably fake than not. Such a score
    is called uncertain.
    """
    away = [_log_odds(probability) - _log_odds(threshold), _log_odds(probability)]
    side, distance = ("fake", min(away)) if probability >= threshold else ("original", -max(away))
    if distance < UNCERTAIN:
        return "Uncertain: too close to call", "uncertain"
    level: Level = "clear" if distance >= CLEAR else "leaning"
    return HEADLINES[side, level], level


def is_mixed(found: Prediction) -> bool:
    """Whether a video counts as original, but many of its frames by themselves do not."""
    frames, above = frames_above(found)
    return found.verdict == "original" and frames > 0 and above >= MIXED * frames


def frames_above(found: Prediction) -> tuple[int, int]:
    """Of the person who decides on a video: the number of frames, and of those that are fake by themselves."""
    own = [moment for moment in found.moments if moment.person == 1] if isinstance(found, VideoPrediction) else []
    return len(own), sum(moment.face.verdict == "fake" for moment in own)


def rounded_percent(probability: float, threshold: float | None = None) -> str:
    """In whole percent, but never 0% or 100%. It gets more digits if it would otherwise look equal to the threshold."""
    if probability < 0.005:
        return "under 1%"
    if probability >= 0.995:
        return "over 99%"
    for digits in (0, 1, 2):
        text = f"{probability:.{digits}%}"
        if threshold is None or text != f"{threshold:.{digits}%}" or probability == threshold:
            return text
    return f"just {'above' if threshold is not None and probability > threshold else 'below'} {threshold:.0%}"


def of_hundred(probability: float) -> str:
    """How many out of 100, in words: "about 87" for 0.873."""
    if probability < 0.01:
        return "fewer than 1"
    return "more than 99" if probability > 0.99 else f"about {100 * probability:.0f}"


def false_alarms(probability: float, calibration: Calibration) -> list[str]:
    """What a score says by the thresholds that keep a rate of false alarms, one item for each."""
    said = []
    for rule, threshold in sorted(calibration.thresholds.items(), key=lambda item: item[1]):
        if (limit := Rule.parse(rule).rate) is not None:
            where = "This score is in that range." if probability >= threshold else "This score is below that range."
            share = f"{100 * limit:g} in 100 originals" if limit >= 0.01 else f"{1000 * limit:g} in 1000 originals"
            said.append(
                f"At most {share} of the validation frames scored {rounded_percent(threshold)} or more. {where}"
            )
    return said


def is_calibrated(sidecar: Sidecar) -> bool:
    """Whether the calibrate stage has written a sidecar: it names each rule of a threshold in one of the two."""
    return bool(sidecar.frame.thresholds or sidecar.frame.unavailable)


def unseen_words(tested: Tested | None) -> str:
    """How it did in its tests, to stand beside a verdict: whether it guesses, and on what it was not trained on."""
    if tested is None:
        return (
            "How it does on manipulations that it was not trained on is not known here: no test results lie beside the "
            "checkpoint."
        )
    each = ", ".join(f"{result.name} {result.frame['auroc']}" for result in tested.unseen())
    said = (
        f"On manipulations that it was not trained on, its AUROC was: {each}. 0.5 is guessing, 1 is faultless."
        if each
        else "It was tested on no manipulation that it was not trained on. How it does on others is not known."
    )
    return f"{tested.test.guessing()} {said}".lstrip()


def not_meant(sidecar: Sidecar, tested: Tested | None) -> list[Said]:
    """What a score does not mean, of a network with this sidecar and these test results."""
    drawn = (
        "A checkpoint trained on drawn faces, as `make repro` makes it, says nothing about photographs."
        if tested is None
        else "This network was trained on drawn faces: it says nothing about photographs."
        if tested.drawn
        else ""
    )
    return [
        Said(
            "It is not proof",
            ", for or against. It accuses nobody and clears nobody; a person has to look, and at more than this.",
        ),
        Said(
            "A low score does not mean genuine.",
            f" The network was trained on {', '.join(sidecar.categories.fake)}. Manipulations that it was not trained "
            "on, wholly generated faces among them, are often missed.",
        ),
        Said(
            "It is not the chance that this file is forged.",
            " That depends on where it comes from: where deepfakes are rare, most alarms are false.",
        ),
        Said("Other cameras, filters, screenshots and compression", " change the score, in either direction."),
        Said(
            "It says nothing of who, how or why",
            ", and how it does on different groups of people was not evaluated.",
        ),
        *([Said("", drawn)] if drawn else []),
    ]


def _trust(found: Prediction, sidecar: Sidecar, side: Side, level: Level, threshold: str) -> list[Said]:
    kind = "video" if isinstance(found, VideoPrediction) else "picture"
    frames, above = frames_above(found)
    stretch = _deciding_stretch(found)
    said = [_reading(found, kind, side, level, threshold)]
    if not is_mixed(found) and not stretch and side != "unfamiliar":
        said += _calibrated(found.probability or 0.0, kind, sidecar)
    if kind == "video":
        if found.reason and side not in ("none", "unfamiliar"):
            said.append(Said("Not all of it was seen", f": {found.reason}. The score says nothing of that part."))
        said.append(_over_time(frames, above, stretch, mixed=is_mixed(found)))
    said += _several(found)
    return said


def _reading(found: Prediction, kind: str, side: Side, level: Level, threshold: str) -> Said:
    """What the score by itself says."""
    frames, above = frames_above(found)
    if is_mixed(found):
        return Said(
            "Look at the frames.",
            f" The video's own score is below the threshold ({threshold}), but {above} of {frames} frames reach it, as "
            "where a part of a video is manipulated.",
        )
    if side == "unfamiliar":
        return Said(
            "No verdict.",
            f" The {kind} is {found.reason}: another camera, another codec, or another kind of picture. The network "
            "was never tested on such material, so the score says nothing.",
        )
    if side == "none":
        return Said(
            "No verdict.",
            f" {found.reason}. The score is of the pictures that can be shown, and damage may change it in either "
            "direction.",
        )
    if level == "clear":
        missing = (
            f" It says that the traces are missing which the network knows, not that the {kind} is genuine."
            if side == "original"
            else ""
        )
        return Said(
            "Clear, for this network.",
            f" The score is far from the threshold ({threshold}) and from an even chance.{missing}",
        )
    if level == "leaning":
        return Said(
            "Leaning, no more.",
            f" The score is some way from the threshold ({threshold}); scores like it are wrong now and then even on "
            "frames like those of the training.",
        )
    return Said(
        "Uncertain.",
        f" The score is near the threshold ({threshold}) or near an even chance, or between the two: take it for no "
        "answer.",
    )


def _calibrated(probability: float, kind: str, sidecar: Sidecar) -> list[Said]:
    calibration = sidecar.video if kind == "video" else sidecar.frame
    unit, categories = "videos" if kind == "video" else "frames", sidecar.categories
    share = (
        f"Calibrated on validation {unit} of {', '.join(categories.real)} and {', '.join(categories.fake)}: of 100 "
        f"such {unit} with this score {of_hundred(probability)} would be fakes. Other material may differ widely."
        if is_calibrated(sidecar)
        else "The checkpoint holds no calibration: take the number for a score, not for a share of anything."
    )
    return [Said("", sentence) for sentence in (share, *false_alarms(probability, calibration))]


def _over_time(frames: int, above: int, stretch: str, mixed: bool) -> Said:
    if stretch:
        return Said(
            "One stretch decides",
            f": {stretch}. Its score counts, at odds that are divided by the number of such stretches in the video. "
            f"The mean over all {frames} frames is below the threshold.",
        )
    alone = "" if mixed else f" {above} of them reach the threshold by themselves."
    return Said(
        "",
        f"The score is the mean over {frames} frames (of their logits).{alone} A stretch of less than three frames can "
        "be lost in it.",
    )


def _several(found: Prediction) -> list[Said]:
    many, count = ("people", len(found.people)) if isinstance(found, VideoPrediction) else ("faces", len(found.faces))
    if count < 2:
        return []
    chance = f"The more {many}, the likelier a high score by chance: the odds are divided by their number."
    return [Said("", f"The most suspicious of {count} {many} counts. {chance}")]


def _deciding_stretch(found: Prediction) -> str:
    stretch = found.people[0].stretch if isinstance(found, VideoPrediction) and found.people else None
    return f"{clock(stretch.start)} to {clock(stretch.end)}" if stretch and stretch.decides else ""


def _log_odds(probability: float) -> float:
    inside = min(max(probability, 1e-9), 1 - 1e-9)
    return math.log(inside / (1 - inside))


def checkpoint_facts(checkpoint: Path) -> dict[str, Any]:
    """``path``, ``bytes`` and ``sha256`` of the checkpoint's file, every key of its sidecar, and ``tested``.

    That is what ``usable_results`` gives. Raises UserError if the checkpoint or its sidecar is missing, or if the
    sidecar is invalid.
    """
    sidecar = read_sidecar(checkpoint.with_suffix(".json"))
    try:
        digest = sha256_of(checkpoint)
    except FileNotFoundError:
        raise UserError(f"{checkpoint}: no such checkpoint, only its JSON file is there") from None
    size = checkpoint.stat().st_size
    tested = usable_results(checkpoint)
    about = {"path": str(checkpoint), "bytes": size, "sha256": digest, **sidecar.model_dump()}
    return about | {"tested": tested.model_dump() if tested else None}


def usable_results(checkpoint: Path) -> Tested | None:
    """The test results beside a checkpoint, or None if there are none, or with a warning if they are of other files.

    So a checkpoint with a new threshold can be used before it is tested again.
    """
    try:
        return read_tested(checkpoint)
    except UserError as error:
        print(f"warning: {printable(str(error))}", file=sys.stderr)
        return None


def checkpoint_table(found: dict[str, Any]) -> str:
    """What ``checkpoint_facts`` found, for people: one line for each fact."""
    (height, width), frame, video = (found[key] for key in ("input_size", "frame", "video"))
    rows = [
        ("checkpoint", found["path"]),
        ("file", f"{found['bytes'] / 1e6:.1f} MB, SHA-256 {found['sha256']}"),
        ("network", f"{found['arch']}, {found['parameters']:,} parameters"),
        ("input", f"{width} x {height} pixels, {found['channels']}"),
        ("", found["resize"]),
        *([("", f"margin on each side: {found['margin']:g} of the face")] if found["crop"] == "face" else []),
        ("trained on", f"originals: {', '.join(found['categories']['real'])}"),
        ("", f"deepfakes: {', '.join(found['categories']['fake'])}"),
        (
            "decides",
            f"fake if the probability, sigmoid(logit / {frame['temperature']:.4g} + {frame['bias']:.4g}), "
            f"is {frame['threshold']:.4g} or more (rule: {found['threshold_rule']})",
        ),
        ("", f"probabilities hold for a share of {found['prior']:.0%} deepfakes"),
        (
            "videos",
            f"fake if sigmoid(mean logit / {video['temperature']:.4g} + {video['bias']:.4g}) "
            f"is {video['threshold']:.4g} or more",
        ),
    ]
    if (share := found["familiarity"]) is not None:
        known = f"unlike {share:.0%} of the validation frames: {Path(found['path']).with_suffix(FAMILIARITY).name}"
        rows.append(("unfamiliar", known))
    for rule, threshold in frame["thresholds"].items():
        rows.append(("" if rows[-1][0] in ("", "thresholds") else "thresholds", f"{rule:10} {threshold:.4g}"))
    rows += _test_rows(found["tested"])
    return "\n".join(f"{name:12}{printable(text)}" for name, text in rows)


def _test_rows(found: dict[str, Any] | None) -> list[tuple[str, str]]:
    """How it did in its tests, first on what it was trained on."""
    if found is None:
        return [("tested", "not known: no file with its test results lies beside the checkpoint")]
    tested = Tested.model_validate(found)
    results = [("frames", tested.test.frame), ("videos", tested.test.video)]
    unseen = [*tested.unseen(), *(each for each in tested.datasets if not each.trained_on)]
    results += [(f"{each.name}, not trained on", each.frame) for each in unseen]
    said = [f"AUROC {metrics['auroc']}: {name}" for name, metrics in results]
    return [("" if number else "tested", words) for number, words in enumerate(said)]
