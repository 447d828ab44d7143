"""Says how a network did in its tests on files like the one at hand: false alarms, and the conditions that it is in."""

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.inference.tested import Condition, Tested, Worth, read_tested
from deepfake_detection.network.sidecar import Sidecar, read_sidecar
from deepfake_detection.serving.results import Prediction, VideoPrediction, looks_fake

CONDITIONS = {
    "face_size": ("size of the face", "{:.0f} pixels"),
    "resolution": ("shorter side of the picture", "{:.0f} pixels"),
    "jpeg_quality": ("JPEG quality of the file; tests: of what the network sees", "{:.0f}"),
    "brightness": ("brightness of what the network saw", "{:.0f} of 255"),
}
STANDARD_TABLE = 3688  # the sum of the luminance table in annex K of ITU-T T.81, which is that of quality 50
NOT_VALIDATED = "not validated in this condition"


class ConditionRow(NamedTuple):
    """A condition that a file is in, and how the network did in it: empty, or why that is not known."""

    name: str
    value: str
    band: str
    auroc: str = ""
    cllr: str = ""
    alarms: str = ""
    groups: str = ""


def results_in_use(checkpoint: Path, sidecar: Sidecar) -> Tested | None:
    """The test results beside a checkpoint as for ``with_alarms_in_use``; None if there are none for these files."""
    with suppress(UserError):
        tested = read_tested(checkpoint)
        return tested and with_alarms_in_use(tested, checkpoint, sidecar)
    return None


def with_alarms_in_use(tested: Tested, checkpoint: Path, sidecar: Sidecar) -> Tested:
    """The same without false alarms, if ``sidecar`` decides at another threshold than the checkpoint's own."""
    own = read_sidecar(checkpoint.with_suffix(".json"))
    if (own.frame.threshold, own.score.reading.threshold) == (sidecar.frame.threshold, sidecar.score.reading.threshold):
        return tested
    silent = {
        name: worth.model_copy(update={"false_alarms": None})
        for name, worth in (("frame", tested.frame), ("video", tested.video))
        if worth
    }
    return tested.model_copy(update=silent)


def alarm_words(worth: Worth | None, units: str) -> str:
    """How often an original was called fake in the tests, at the threshold in use. ``units`` are frames or videos."""
    if worth is None or worth.false_alarms is None:
        return f"How often it calls original {units} fake at this threshold is not known."
    alarms = worth.false_alarms
    return (
        f"In its tests it called {alarms.rate:.0%} of original {units} fake too at this threshold, and with 95% "
        f"confidence it is at most {alarms.upper:.0%}: {alarms.count} {units} of {alarms.groups} groups of people."
    )


def alarms_of(found: Prediction, tested: Tested | None) -> str:
    """``alarm_words`` for a file whose verdict is fake or partly fake, and nothing for another."""
    if not looks_fake(found.verdict):
        return ""
    return alarms_by_kind(tested)["video" if isinstance(found, VideoPrediction) else "picture"]


def alarms_by_kind(tested: Tested | None) -> dict[str, str]:
    """``alarm_words`` for pictures and for videos."""
    frame, video = (tested.frame, tested.video) if tested else (None, None)
    return {"picture": alarm_words(frame, "frames"), "video": alarm_words(video, "videos")}


def condition_rows(values: dict[str, float | None], tested: Tested | None) -> list[ConditionRow]:
    """For each of CONDITIONS of which the value is known, the band of the tests that it is in."""
    rows = []
    for name, (words, form) in CONDITIONS.items():
        value, bands = values.get(name), [each for each in tested.conditions if each.name == name] if tested else []
        if value is not None:
            band = next(
                (each for each in bands if each.low <= value and (each.high is None or value < each.high)), None
            )
            known = _known(band) if band else (NOT_VALIDATED,)
            rows.append(ConditionRow(words, form.format(value), *known))
    return rows


def conditions_of(
    found: Prediction, path: Path, sides: list[int | None], brightness: float | None
) -> dict[str, float | None]:
    """The values of CONDITIONS for a file: of the face that decides, and ``sides`` of the picture in pixels."""
    faces = (
        [moment.face for moment in found.moments if moment.person == 1]
        if isinstance(found, VideoPrediction)
        else found.faces
    )
    face = max(faces, key=lambda each: each.logit, default=None)
    box = face.box if face else None
    return {
        "face_size": max(box.right - box.left, box.bottom - box.top) if box else None,
        "resolution": min(side for side in sides if side) if any(sides) else None,
        "jpeg_quality": None if isinstance(found, VideoPrediction) else jpeg_quality(path),
        "brightness": brightness,
    }


def jpeg_quality(path: Path) -> float | None:
    """The quality of a JPEG by the scale of the Independent JPEG Group, from its first table; None of another file."""
    with suppress(Exception), Image.open(path, formats=["JPEG"]) as image:  # libraries raise almost anything
        scale = 100 * sum(image.quantization[0]) / STANDARD_TABLE  # type: ignore[attr-defined]
        return 100 - scale / 2 if scale <= 100 else 5000 / scale
    return None


def _known(band: Condition) -> tuple[str, ...]:
    reach = f"{band.low:g} to {band.high:g}" if band.high is not None else f"{band.low:g} or more"
    numbers = ["" if each is None else f"{each:.2f}" for each in (band.auroc, band.cllr)]
    alarms = "" if band.false_alarms is None else f"{band.false_alarms:.0%}"
    upper = "" if band.upper is None else f", at most {band.upper:.0%}"
    return reach, *numbers, alarms + upper, str(band.groups)
