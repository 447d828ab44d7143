"""Makes the HTML of a case file: self-contained, without scripts, for a screen of any width and for paper."""

from typing import Any

from deepfake_detection.common.text import clock
from deepfake_detection.inference.tested import Result, Tested
from deepfake_detection.network.sidecar import UNCALIBRATED, Sidecar
from deepfake_detection.reporting.html import template_environment
from deepfake_detection.serving.case.facts import Facts
from deepfake_detection.serving.case.record import Case, Examined, trust
from deepfake_detection.serving.credentials import Credentials, Ingredient
from deepfake_detection.serving.likelihood import propositions
from deepfake_detection.serving.words import Wording, is_calibrated, not_meant, rounded_percent, unseen_words

PACKAGE = "deepfake_detection.serving"
SOLVE_IT = {  # the techniques of the knowledge base SOLVE-IT (solveit-df.org), by what is judged
    "picture": "DFT-1176, classify if an image is potentially synthetically generated",
    "video": "DFT-1106, classify if a video is potentially synthetically generated",
}


def render_case(case: Case, values: list[dict[str, Any]], alone: bool = False) -> str:
    """The HTML file, with every value escaped.

    ``values`` are what view.shown gave for each file, ``{}`` if it was unreadable. ``alone`` is true if no JSON file
    lies beside it.
    """
    template = template_environment(PACKAGE, autoescape=True).get_template("case.html.jinja")
    files = [
        {
            "record": record,
            "trust": trust(shown["said"], case.tested) if shown else [],
            "facts": fact_rows(record.facts),
            "credentials": credential_rows(record.facts.credentials) if record.facts.credentials else [],
            "result": shown,
            "portraits": portraits(shown) if shown else [],
            "percent": _percent(record, shown),
        }
        for record, shown in zip(case.files, values, strict=True)
    ]
    return template.render(
        case=case,
        alone=alone,
        files=files,
        propositions=propositions(case.sidecar) if is_calibrated(case.sidecar) else (),
        method=method_rows(case),
        network=network_rows(case),
        guessing=case.tested.test.guessing() if case.tested else "",
        unseen=unseen_words(case.tested),
        results=result_parts(case.tested),
        drop=str(case.tested.corruption_drop) if case.tested else "",
        not_meant=not_meant(case.sidecar, case.tested),
        calibrated=is_calibrated(case.sidecar),
        ratios=any(record.prediction.get("evidence") for record in case.files),
        prior=rounded_percent(case.sidecar.prior),
    )


def fact_rows(facts: Facts) -> list[tuple[str, str]]:
    """What a file is, a row for each fact that is known."""
    size = f"{facts.width} x {facts.height} pixels, as stored" if facts.width and facts.height else None
    rows = [
        ("SHA-256", facts.sha256),
        ("size", f"{facts.bytes:,} bytes"),
        ("container", facts.container),
        ("codec", facts.codec),
        ("resolution", size),
        ("frame rate", f"{facts.frame_rate:g} frames a second" if facts.frame_rate else None),
        ("duration", f"{clock(facts.seconds)} (minutes and seconds), by its header" if facts.seconds else None),
        ("frames", f"{facts.frames:,}, by its header" if facts.frames else None),
        ("sound", facts.sound),
    ]
    return [(name, text) for name, text in rows if text]


def credential_rows(found: Credentials) -> list[tuple[str, str]]:
    """What Content Credentials claim, a row for each claim that is there."""
    rows = [
        ("signer", f"{found.signer}: {found.status}"),
        ("what failed", ", ".join(found.failures)),
        ("signed at", found.time or "not known: there is no time stamp of a trusted authority"),
        ("written by", found.generator),
        ("source", ", ".join(found.source_types)),
        ("what was done", "; ".join(found.actions)),
        *(("made from", _ingredient(each)) for each in found.ingredients),
        ("trust anchors, SHA-256", found.anchors_sha256 or "none were named"),
    ]
    return [(name, text) for name, text in rows if text]


def _ingredient(each: Ingredient) -> str:
    source = f"; source: {', '.join(each.source_types)}" if each.source_types else ""
    status = "no credentials" if each.status == "none" else each.status
    return f"{each.title or 'what has no name'} ({each.relationship}): {status}{source}"


def portraits(shown: dict[str, Any]) -> list[dict[str, str]]:
    """Each face of a picture, or each person of a video: the crop, the heat map, and a line."""
    if shown["kind"] == "picture":
        whole = shown["whole"]
        lines = [f"{'the picture' if whole else f'face {at}'}: {said}" for at, said in enumerate(shown["faces"], 1)]
        return [look | {"line": line} for look, line in zip(shown["looks"], lines, strict=False) if look]
    found: dict[int, dict[str, str]] = {}
    for view, look in zip(shown["shown"], shown["looks"], strict=True):
        number = view["person"]
        if look and number not in found:  # of each person the most suspicious frame comes first
            # in an uncalibrated video nobody is followed
            said = f"person {number}: {shown['people'][number - 1]['said']}" if shown["people"] else view["percent"]
            found[number] = look | {"line": f"{said}; the frame at {view['time']}"}
    return list(found.values())


def method_rows(case: Case) -> list[tuple[str, str]]:
    """What was done with pictures and with videos, as far as there are any, and how the network decides."""
    sidecar, kinds = case.sidecar, {record.facts.kind for record in case.files}
    height, width = sidecar.input_size
    seen = "whole pictures" if sidecar.crop == "none" else "crops of the face"
    most = case.frames or (None if sidecar.calibrated or not sidecar.imported else sidecar.imported.video_frames)
    taken = f"Up to {most} frames, evenly spaced," if most else "One frame a second, at least 32 and at most 128,"
    if sidecar.crop == "none":
        picture, video = "The network scores the whole picture.", "The network scores each whole."
    else:
        counts = (
            "The gravest verdict counts." if sidecar.calibrated else "The scores are put together as its authors do."
        )
        picture = f"A face finder (YuNet) finds the faces, and the network scores each. {counts}"
        together = " those of a person together" if sidecar.calibrated else " each"
        video = f"Faces are found in them, and the network scores{together}. {counts}"
    steps = {"picture": picture, "video": f"{taken} are taken. {video}"}
    return [
        *(
            (f"{kind}s", f"{steps[kind]} SOLVE-IT technique: {name}.")
            for kind, name in SOLVE_IT.items()
            if kind in kinds
        ),
        ("network", f"{sidecar.arch}, {sidecar.parameters:,} parameters, on {seen} of {width} x {height} pixels"),
        *_decision_rows(sidecar),
    ]


def network_rows(case: Case) -> list[tuple[str, str]]:
    """Which network it was, by its files and where it comes from, and which software ran it."""
    files, sidecar, authors = case.network, case.sidecar, case.sidecar.imported
    kinds = [", ".join(each) for each in (sidecar.categories.real, sidecar.categories.fake)]
    frames = f"{case.tested.trained_frames:,} frames{' of drawn faces' * case.tested.drawn}" if case.tested else None
    rows = [
        ("checkpoint", files.checkpoint),
        ("its SHA-256", files.checkpoint_sha256),
        ("SHA-256 of its JSON file", files.sidecar_sha256),
        ("SHA-256 of its familiarity", files.familiarity_sha256),
        ("SHA-256 of its test results", files.tested_sha256),
        (f"{'calibrated' if authors else 'trained'} to tell", " from ".join(kinds)),
        ("trained on", frames),
        ("imported", f"by the recipe {authors.recipe}; {authors.licence}" if authors else None),
        ("software", ", ".join(f"{name} {version}" for name, version in case.software.items())),
        ("computed on", case.device),
    ]
    return [(name, text) for name, text in rows if text]


def _decision_rows(sidecar: Sidecar) -> list[tuple[str, str]]:
    if not sidecar.calibrated:
        return [("decides", f"nothing, {UNCALIBRATED}"), ("unfamiliar", "not measured")]
    frame = sidecar.frame
    formula = f"sigmoid(logit / {frame.temperature:.4g} {'-' if frame.bias < 0 else '+'} {abs(frame.bias):.4g})"
    unlike = "what is less like the training frames than {:.0%} of the frames of new people"
    return [
        ("a frame is fake", f"from a probability of {frame.threshold:.4g} on, which is {formula}"),
        (
            "a video is fake",
            f"from a probability of {sidecar.score.reading.threshold:.4g} on, by the score of the video",
        ),
        ("probabilities hold", f"where {rounded_percent(sidecar.prior)} of all pictures are deepfakes"),
        (
            "unfamiliar",
            unlike.format(sidecar.familiarity) if sidecar.familiarity else "not measured: every picture gets a verdict",
        ),
    ]


def result_parts(tested: Tested | None) -> list[dict[str, Any]]:
    """The test results: a row for each manipulation and data set, what was trained on apart from what was not."""
    if tested is None:
        return []
    return [
        {"title": f"{what} {'not ' * (not seen)}trained on", "seen": seen, "rows": rows}
        for what, results in (("Manipulations", tested.manipulations), ("Data sets", tested.datasets))
        for seen in (True, False)
        if (rows := [result_row(each) for each in results if each.trained_on is seen])
    ]


def result_row(result: Result) -> dict[str, str]:
    return {
        "name": result.name,
        "auroc": str(result.frame["auroc"]),
        "video_auroc": str(result.video["auroc"]),
        "recall": str(result.frame["recall"]),
        "accuracy": str(result.frame["accuracy"]),
        "size": f"{result.frames:,} ({result.videos:,}), {result.groups}",
    }


def _percent(record: Examined, shown: dict[str, Any]) -> str:
    if not shown:
        return "no score"
    said: Wording = shown["said"]
    if said.score:
        return f"none; the authors' score is {said.score}"
    return said.percent + ", not to be relied on" * (record.prediction["verdict"] == "uncertain") or "no score"
