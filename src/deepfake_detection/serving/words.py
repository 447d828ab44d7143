"""Puts verdicts and checkpoints into words: a headline, how far to trust it, what it does not say."""

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import sha256_of
from deepfake_detection.common.rules import Rule
from deepfake_detection.common.text import percent, printable
from deepfake_detection.inference.tested import Tested, read_tested
from deepfake_detection.network.sidecar import FAMILIARITY, UNCALIBRATED, Calibration, Sidecar, Where, read_sidecar
from deepfake_detection.serving.likelihood import WORTHLESS, prior_words, short_words, worthless
from deepfake_detection.serving.results import Face, Prediction, VideoPrediction, damage_words, flips

Side = Literal["fake", "original", "unfamiliar", "none"]  # the colour; a film that is partly fake has that of a fake
Level = Literal["clear", "leaning", "uncertain", "none"]

# Distances in log-odds, from the threshold and from even odds. 1 means odds of 2.7 to 1, and 3 means 20 to 1.
UNCERTAIN, CLEAR = 1.0, 3.0
# Each begins with the verdict, the word that tables, JSON and CSV have for the file too.
HEADLINES: dict[tuple[str, str], str] = {
    ("fake", "clear"): "Fake: looks like a deepfake",
    ("fake", "leaning"): "Fake, with doubt: more like a deepfake than an original",
    ("fake", "uncertain"): "Fake by a narrow margin: too close to rely on",
    ("original", "uncertain"): "Original by a narrow margin: too close to rely on",
    ("original", "leaning"): "Original, with doubt: more like an original than a deepfake",
    ("original", "clear"): "Original: no sign of the deepfakes it knows",
}
NO_VERDICT_HEADLINE = "None: it was not judged"
UNFAMILIAR_HEADLINE = "Unfamiliar: not like what this network was trained on"
UNSTABLE_HEADLINE = "Uncertain: a change that nobody sees flips the verdict"
UNCERTAIN_HEADLINE = "Uncertain: too little of it could be seen"
UNCALIBRATED_HEADLINE = "Uncalibrated: the authors' score is {} out of 1"


class Said(NamedTuple):
    """A sentence or two. ``first`` is what to stress, and may be empty."""

    first: str
    rest: str


@dataclass(frozen=True)
class Wording:
    """A verdict in words. ``trust`` says how far to trust it, and is empty if there is no score.

    ``percent`` is empty if there is no score, or if it says nothing, because the file is unfamiliar. ``score`` is the
    authors' of an uncalibrated checkpoint, which has no ``percent``, and is empty for others. ``worth`` says what the
    score is worth as evidence. ``prior`` says for which share of fakes the probability holds, and how far it can be
    shown. Both may be empty.
    """

    headline: str
    side: Side
    level: Level
    percent: str
    threshold: str
    trust: tuple[Said, ...]
    score: str = ""
    worth: str = ""
    prior: str = ""


def wording(found: Prediction, sidecar: Sidecar) -> Wording:
    """The words for a prediction of a detector with this sidecar."""
    calibration = reading_of(found, sidecar)
    threshold = rounded_percent(calibration.threshold)
    if found.authors_score is not None:
        score = score_words(found.authors_score)
        trust = tuple(_trust_uncalibrated(found))
        return Wording(UNCALIBRATED_HEADLINE.format(score), "none", "none", "", "", trust, score)
    if found.probability is None:
        return Wording(NO_VERDICT_HEADLINE, "none", "none", "", threshold, ())
    headline, level = certainty(found.probability, calibration.threshold)
    side: Side = "fake" if found.probability >= calibration.threshold else "original"
    if found.verdict == "unfamiliar":
        headline, side, level = UNFAMILIAR_HEADLINE, "unfamiliar", "uncertain"
    elif found.verdict == "uncertain":
        headline, side, level = UNSTABLE_HEADLINE if flips(found) else UNCERTAIN_HEADLINE, "none", "uncertain"
    elif worthless(calibration):
        headline, level = f"{found.verdict.capitalize()}, but {WORTHLESS} as evidence", "uncertain"
    elif found.verdict == "partly fake":
        narrow = " by a narrow margin" * (level == "uncertain")
        headline = f"Partly fake{narrow}: {stretch_of(found)} looks like a deepfake"
    percent = "" if side == "unfamiliar" else rounded_percent(found.probability, calibration.threshold)
    trust = tuple(_trust(found, sidecar, side, level, threshold))
    worth = short_words(found.evidence).capitalize() if found.evidence else ""
    prior = prior_words(sidecar.prior, found.evidence) if percent and is_calibrated(sidecar) else ""
    return Wording(headline, side, level, percent, threshold, trust, worth=worth, prior=prior)


def reading_of(found: Prediction, sidecar: Sidecar) -> Calibration:
    """The calibration that gave the probability of a prediction, with the threshold of its verdict."""
    return sidecar.score.reading if isinstance(found, VideoPrediction) else sidecar.frame


def certainty(probability: float, threshold: float) -> tuple[str, Level]:
    """The headline for a calibrated probability, and its level: "clear", "leaning" or "uncertain".

    Certainty is the smaller of two distances in log-odds: from the threshold, and from even odds. Below a
    strict threshold, a score can count as original although it is more probably fake than not. The margin of such a
    score is called narrow.
    """
    away = [_log_odds(probability) - _log_odds(threshold), _log_odds(probability)]
    side, distance = ("fake", min(away)) if probability >= threshold else ("original", -max(away))
    level: Level = "uncertain" if distance < UNCERTAIN else "clear" if distance >= CLEAR else "leaning"
    return HEADLINES[side, level], level


def stretch_of(found: Prediction) -> str:
    """The most suspicious stretch of the person who decides on a video, "0:36 to 0:40", or nothing."""
    stretch = found.people[0].stretch if isinstance(found, VideoPrediction) and found.people else None
    return stretch.times() if stretch else ""


def frames_above(found: Prediction) -> tuple[int, int]:
    """Of the person who decides on a video: the number of frames, and of those that are fake by themselves.

    Of an uncalibrated video these are all frames in which a face counted, and none is called fake.
    """
    own = [moment for moment in found.moments if moment.person == 1] if isinstance(found, VideoPrediction) else []
    return len({moment.seconds for moment in own}), sum(moment.face.verdict == "fake" for moment in own)


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


def score_words(score: float) -> str:
    """The authors' score of an uncalibrated checkpoint."""
    return f"{score:.3f}"


def face_words(face: Face, threshold: float | None = None) -> str:
    """What stands at a face: its probability, or the authors' score; of an unfamiliar one the word."""
    if face.probability is None:
        return f"score {score_words((1 + math.tanh(face.logit / 2)) / 2)}"
    return "unfamiliar" if face.verdict == "unfamiliar" else rounded_percent(face.probability, threshold)


def where_words(where: Where) -> str:
    """How often the map of where a frame looks changed is right, as far as that was measured."""
    known = "fakes" if where.of == "fakes" else "blends of originals with themselves"
    return (
        f"In {where.frames} validation {known}, what is marked and what had been changed overlap by "
        f"{percent(where.iou)}, and the brightest place had been changed in {percent(where.hits)}. The best map that "
        f"is the same for every picture has {percent(where.blind_iou)} and {percent(where.blind_hits)}. Other "
        "manipulations were not measured."
    )


def shortened(name: str) -> str:
    """A file's name, at most one line long, without characters that change the text direction or break the line."""
    plain = printable(name)
    return plain if len(plain) <= 80 else f"{plain[:50]} ... {plain[-20:]}"


def of_hundred(probability: float) -> str:
    """How many out of 100, in words: "about 87" for 0.873."""
    if probability < 0.01:
        return "fewer than 1"
    return "more than 99" if probability > 0.99 else f"about {100 * probability:.0f}"


def false_alarms(found: Prediction, calibration: Calibration) -> list[str]:
    """What a score says by the thresholds that keep a rate of false alarms, one item for each."""
    said, probability = [], found.probability or 0.0
    video, shown_by = isinstance(found, VideoPrediction), originals_words(calibration.groups)
    for rule, threshold in sorted(calibration.thresholds.items(), key=lambda item: item[1]):
        if (limit := Rule.parse(rule).rate) is not None:
            where = "This score is in that range." if probability >= threshold else "This score is below that range."
            share = f"{100 * limit:g} in 100" if limit >= 0.01 else f"{1000 * limit:g} in 1000"
            units = "validation films of originals" if video else "original validation frames"
            scored = f"scored {rounded_percent(threshold)} or more"
            if calibration.groups:
                units = "films of originals" if video else "original frames"
                scored = f"like those of validation score {rounded_percent(threshold)} or more ({shown_by})"
            said.append(f"At most {share} {units} {scored}. {where}")
    if not said and calibration.groups:
        said.append("How rarely an original scores so high is not known: validation has too few originals.")
    return said


def originals_words(groups: int) -> str:
    """How many independent originals a rate rests on."""
    return f"{groups} independent original{'s' * (groups != 1)}" if groups else "it is not known by how many originals"


def is_calibrated(sidecar: Sidecar) -> bool:
    """Whether the calibrate stage has written a sidecar: it names each rule of a threshold in one of the two."""
    return sidecar.calibrated and bool(sidecar.frame.thresholds or sidecar.frame.unavailable)


def unseen_words(tested: Tested | None) -> str:
    """How it did in its tests on what it was not trained on, to stand beside a verdict."""
    if tested is None:
        return (
            "How it does on manipulations that it was not trained on is not known here: no test results lie beside the "
            "checkpoint."
        )
    each = ", ".join(f"{result.name} {result.frame['auroc']}" for result in tested.unseen())
    return (
        f"On manipulations that it was not trained on, its AUROC was: {each}. 0.5 is guessing, 1 is faultless."
        if each
        else "It was tested on no manipulation that it was not trained on. How it does on others is not known."
    )


def not_meant(sidecar: Sidecar, tested: Tested | None) -> list[Said]:
    """What a score does not mean, of a network with this sidecar and these test results."""
    drawn = (
        ""
        if sidecar.imported is not None
        else "A checkpoint trained on drawn faces, as `make repro` makes it, says nothing about photographs."
        if tested is None
        else "This network was trained on drawn faces: it says nothing about photographs."
        if tested.drawn
        else ""
    )
    learnt = "calibrated" if sidecar.imported and sidecar.calibrated else "trained"
    return [
        Said(
            "It is not proof",
            ", for or against. It accuses nobody and clears nobody; a person has to look, and at more than this.",
        ),
        Said(
            "A low score does not mean genuine.",
            f" The network was {learnt} on {', '.join(sidecar.categories.fake)}. Manipulations that it was not trained "
            "on, wholly generated faces among them, are often missed.",
        ),
        Said(
            "It is not the chance that this file is forged.",
            " That depends on where it comes from: where deepfakes are rare, most alarms are false.",
        ),
        Said("Other material, filters, screenshots and compression", " change the score, in either direction."),
        Said(
            "It says nothing of who, how or why",
            ", and how it does on different groups of people was not evaluated.",
        ),
        *([Said("", drawn)] if drawn else []),
    ]


def _trust(found: Prediction, sidecar: Sidecar, side: Side, level: Level, threshold: str) -> list[Said]:
    kind = "video" if isinstance(found, VideoPrediction) else "picture"
    said = [_reading(found, sidecar, kind, side, level, threshold)]
    if side == "unfamiliar":
        return said
    if side != "none":
        said += _calibrated(found, sidecar)
    if isinstance(found, VideoPrediction):
        if (part := damage_words(found.seconds, found.unseen_seconds)) and side != "none":
            said.append(Said("Not all of it was seen", f": {part}. The score says nothing of that part."))
        said += _over_time(found)
    return said + _several(found)


def _reading(found: Prediction, sidecar: Sidecar, kind: str, side: Side, level: Level, threshold: str) -> Said:
    """What the score by itself says."""
    if side == "unfamiliar":
        return Said(
            "No verdict.",
            f" The {kind} is {found.reason}. The network was never tested on such material, so its score says nothing.",
        )
    if flips(found):
        return Said("No verdict.", f" The {kind} is {found.reason}. A verdict worth having does not depend on that.")
    if side == "none":
        return Said(
            "No verdict.",
            f" {found.reason}. The score is of the pictures that can be shown, and damage may change it in either "
            "direction.",
        )
    if nothing := worthless(reading_of(found, sidecar)):
        return Said("Take it for no answer.", f" It is {nothing}.")
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
        "Take it for no answer.",
        f" The score is near the threshold ({threshold}) or near an even chance, or between the two.",
    )


def _calibrated(found: Prediction, sidecar: Sidecar) -> list[Said]:
    """How often such a score is right, where that was measured."""
    probability, categories = found.probability or 0.0, sidecar.categories
    known = f"{', '.join(categories.real)} and {', '.join(categories.fake)}"
    if not is_calibrated(sidecar):
        return [
            Said("", "The checkpoint holds no calibration: take the number for a score, not for a share of anything.")
        ]
    said = []
    if isinstance(found, VideoPrediction):
        score = sidecar.score
        if score.originals:
            how = "learnt" if score.weights is not None else "that of single moments, with too few videos to learn one"
            said.append(
                f"The score of a video is {how}: from films put together of {score.originals} original and "
                f"{score.fakes} swapped validation videos of {known}. Other material may differ widely."
            )
    elif len(found.faces) < 2:  # the odds of one among several faces are no share of anything
        said.append(
            f"Calibrated on validation frames of {known}: of 100 such frames with this score "
            f"{of_hundred(probability)} would be fakes. Other material may differ widely."
        )
    return [Said("", sentence) for sentence in (*said, *false_alarms(found, reading_of(found, sidecar)))]


def _over_time(found: VideoPrediction) -> list[Said]:
    frames, above = frames_above(found)
    stretch = found.people[0].stretch if found.people else None
    alone = f" {above} of {frames} frames reach the threshold of a frame by themselves."
    if stretch is None:
        return [Said("", f"The score is of {frames} frames.{alone}")]
    where = f" {stretch_of(found)}, {rounded_percent(stretch.probability)} by itself."
    rest = " The other frames by themselves would not be called fake." if found.verdict == "partly fake" else ""
    return [
        Said("The most suspicious stretch:", f"{where}{rest}"),
        Said("", f"A swap of less than three frames can be lost.{alone}"),
    ]


def _trust_uncalibrated(found: Prediction) -> list[Said]:
    said = [
        Said("No verdict.", f" The network is {found.reason}."),
        Said(
            "",
            "From which score on a file is more likely a fake, how often that is wrong, and whether the network knows "
            "such material at all, nothing here says. Labelled files like yours can.",
        ),
    ]
    if isinstance(found, VideoPrediction):
        frames, _ = frames_above(found)
        return [
            *said,
            Said("", f"The score is of {frames} frame{'s' * (frames != 1)}, put together as its authors do."),
        ]
    if len(found.faces) > 1:
        said.append(Said("", f"The highest of the scores of {len(found.faces)} faces counts, as its authors do it."))
    return said


def _several(found: Prediction) -> list[Said]:
    many, count = ("people", len(found.people)) if isinstance(found, VideoPrediction) else ("faces", len(found.faces))
    if count < 2:
        return []
    chance = f"The more {many}, the likelier a high score by chance, which the score takes into account."
    return [Said("", f"The most suspicious of {count} {many} counts. {chance}")]


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
    (height, width), frame, authors = (found[key] for key in ("input_size", "frame", "imported"))
    learnt = "calibrated" if authors and found["calibrated"] else "trained on"
    rows = [
        ("checkpoint", found["path"]),
        ("file", f"{found['bytes'] / 1e6:.1f} MB, SHA-256 {found['sha256']}"),
        ("network", f"{found['arch']}, {found['parameters']:,} parameters"),
        ("input", f"{width} x {height} pixels, {found['channels']}"),
        ("", found["resize"]),
        *([("", f"margin on each side: {found['margin']:g} of the face")] if found["crop"] != "none" else []),
        (learnt, f"originals: {', '.join(found['categories']['real'])}"),
        ("", f"deepfakes: {', '.join(found['categories']['fake'])}"),
        *([("imported", f"by the recipe {authors['recipe']}; {authors['licence']}")] if authors else []),
        *(_decision_rows(found) if found["calibrated"] else [("decides", f"nothing, {UNCALIBRATED}")]),
    ]
    if (share := found["familiarity"]) is not None:
        known = f"a limit for {share:.0%} of frames of new people: {Path(found['path']).with_suffix(FAMILIARITY).name}"
        rows.append(("unfamiliar", known))
    for rule, threshold in frame["thresholds"].items():
        by = f" ({originals_words(frame['groups'])})" if Rule.parse(rule).rate is not None else ""
        rows.append(("" if rows[-1][0] in ("", "thresholds") else "thresholds", f"{rule:10} {threshold:.4g}{by}"))
    rows += [("", f"{rule:10} not there: {why}") for rule, why in frame["unavailable"].items()]
    rows += _test_rows(found["tested"])
    return "\n".join(f"{name:12}{printable(text)}" for name, text in rows)


def _decision_rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """How it decides on frames and videos."""
    frame, video = found["frame"], found["video"]
    return [
        (
            "decides",
            f"fake if the probability, sigmoid(logit / {frame['temperature']:.4g} + {frame['bias']:.4g}), "
            f"is {frame['threshold']:.4g} or more (rule: {found['threshold_rule']})",
        ),
        ("", f"probabilities hold for a share of {found['prior']:.0%} deepfakes"),
        (
            "videos",
            f"fake if the probability by the video score is {found['score']['reading']['threshold']:.4g} or more, "
            f"which is {'learnt and ' if found['score']['weights'] else ''}read on validation films of "
            f"{found['score']['originals']} originals and {found['score']['fakes']} fakes",
        ),
        (
            "",
            f"the whole by itself is fake if sigmoid(mean logit / {video['temperature']:.4g} + {video['bias']:.4g}) "
            f"is {video['threshold']:.4g} or more",
        ),
    ]


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
