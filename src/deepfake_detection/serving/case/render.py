"""Makes the HTML of a case file: self-contained, without scripts, for a screen of any width and for paper."""

import io
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from deepfake_detection.common.text import clock
from deepfake_detection.inference.tested import Result, Tested
from deepfake_detection.network.sidecar import Calibration, Sidecar
from deepfake_detection.reporting.html import template_environment
from deepfake_detection.serving.case.facts import Facts
from deepfake_detection.serving.case.record import Case, Examined, trust
from deepfake_detection.serving.results import Moment, VideoPrediction, decisive_stretch
from deepfake_detection.serving.words import is_calibrated, not_meant, rounded_percent, unseen_words

PACKAGE = "deepfake_detection.serving"
PEOPLE = 5  # whose curves are drawn
MARKERS = "osD^v"
COLOURS = ("#b3261e", "#2f5f98", "#4d7a2a", "#8a5a00", "#6a4c93")
SIZE = 4.0  # inches wide, so that its text can be read on a phone
# the text stays text, and two runs give the same bytes
SVG: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "case", "font.size": 8}


def render_case(case: Case, values: list[dict[str, Any]], charts: list[str], alone: bool = False) -> str:
    """The HTML file, with every value escaped.

    ``values`` are what view.shown gave for each file, ``{}`` if it was unreadable. ``charts`` are data: URIs or empty.
    ``alone`` is true if no JSON file lies beside it.
    """
    template = template_environment(PACKAGE, autoescape=True).get_template("case.html.jinja")
    files = [
        {
            "record": record,
            "trust": trust(shown["said"], case.tested) if shown else [],
            "facts": fact_rows(record.facts),
            "result": shown,
            "portraits": portraits(shown) if shown else [],
            "chart": chart,
            "percent": _percent(record, shown),
        }
        for record, shown, chart in zip(case.files, values, charts, strict=True)
    ]
    return template.render(
        case=case,
        alone=alone,
        files=files,
        network=network_rows(case),
        guessing=case.tested.test.guessing() if case.tested else "",
        unseen=unseen_words(case.tested),
        results=result_parts(case.tested),
        drop=str(case.tested.corruption_drop) if case.tested else "",
        not_meant=not_meant(case.sidecar, case.tested),
        calibrated=is_calibrated(case.sidecar),
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
            person = shown["people"][number - 1]
            line = f"person {number}: {person['said']}; the frame at {view['time']}"
            found[number] = look | {"line": line}
    return list(found.values())


def network_rows(case: Case) -> list[tuple[str, str]]:
    """What the network is and how it decides."""
    sidecar, files = case.sidecar, case.network
    height, width = sidecar.input_size
    crop = "crops of the face" if sidecar.crop == "face" else "whole pictures"
    rows = [
        ("checkpoint", files.checkpoint),
        ("its SHA-256", files.checkpoint_sha256),
        ("SHA-256 of its JSON file", files.sidecar_sha256),
        ("SHA-256 of its familiarity", files.familiarity_sha256),
        ("network", f"{sidecar.arch}, {sidecar.parameters:,} parameters, on {crop} of {width} x {height} pixels"),
        ("trained to tell", f"{', '.join(sidecar.categories.real)} from {', '.join(sidecar.categories.fake)}"),
        (
            "trained on",
            f"{case.tested.trained_frames:,} frames{' of drawn faces' if case.tested.drawn else ''}"
            if case.tested
            else None,
        ),
        ("a frame is fake", _decision("logit", sidecar.frame)),
        (
            "a video is fake",
            f"from a probability of {sidecar.score.reading.threshold:.4g} on, by the score of the video",
        ),
        ("probabilities hold", f"where {rounded_percent(sidecar.prior)} of all pictures are deepfakes"),
        (
            "unfamiliar",
            f"what is less like the training frames than {sidecar.familiarity:.0%} of the validation frames"
            if sidecar.familiarity
            else "not measured: every picture gets a verdict",
        ),
    ]
    return [(name, text) for name, text in rows if text]


def _decision(logit: str, calibration: Calibration) -> str:
    formula = f"sigmoid({logit} / {calibration.temperature:.4g} + {calibration.bias:.4g})"
    return f"from a probability of {calibration.threshold:.4g} on, which is {formula}"


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
    text: str = shown["said"].percent if shown else ""
    return text + ", not to be relied on" * bool(text and record.prediction["verdict"] == "uncertain")


def score_chart(found: VideoPrediction, sidecar: Sidecar) -> bytes:
    """An SVG: each person's probability of a fake by the frame, with the threshold, and how unfamiliar the frames are.

    The most suspicious stretch is shaded if it decides. There is no lower part if the checkpoint has no familiarity.
    """
    moments = sorted(found.moments, key=lambda moment: moment.seconds)
    familiar = any(moment.face.unfamiliarity is not None for moment in moments)
    with matplotlib.rc_context(SVG):
        figure = Figure(figsize=(SIZE, 3.9 if familiar else 2.7), layout="constrained")
        axes: list[Axes] = list(
            figure.subplots(1 + familiar, 1, sharex=True, squeeze=False, height_ratios=[2, 1][: 1 + familiar])[:, 0]
        )
        _draw_scores(axes[0], moments, found, sidecar.frame.threshold)
        if familiar:
            _draw_familiarity(axes[1], moments)
        axes[-1].set_xlim(0, max(found.seconds, 0.1))
        axes[-1].set_xlabel("minutes and seconds from the start")
        axes[-1].xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: clock(seconds)))
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def _draw_scores(axes: Axes, moments: list[Moment], found: VideoPrediction, threshold: float) -> None:
    for person in found.people[:PEOPLE]:
        own = [moment for moment in moments if moment.person == person.number]
        axes.plot(
            [moment.seconds for moment in own],
            [moment.face.probability for moment in own],
            color=COLOURS[person.number - 1],
            marker=MARKERS[person.number - 1],
            markersize=3,
            linewidth=1,
            label=f"person {person.number}" if len(found.people) > 1 else "each frame",
        )
    axes.axhline(threshold, color="black", linestyle="--", linewidth=1, label=f"threshold of a frame, {threshold:.0%}")
    if stretch := decisive_stretch(found):
        axes.axvspan(stretch.start, stretch.end, color="#b3261e", alpha=0.12, linewidth=0, label="most suspicious")
    axes.set_ylim(-0.04, 1.04)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_ylabel("probability of a deepfake")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False, columnspacing=1)


def _draw_familiarity(axes: Axes, moments: list[Moment]) -> None:
    known = [moment for moment in moments if moment.face.unfamiliarity is not None and moment.person <= PEOPLE]
    highest = max((moment.face.unfamiliarity or 0.0 for moment in known), default=0.0)
    axes.axhspan(0, 1, color="#4d7a2a", alpha=0.15, linewidth=0)
    axes.axhline(1, color="black", linestyle="--", linewidth=1)
    for person in sorted({moment.person for moment in known}):
        own = [moment for moment in known if moment.person == person]
        axes.plot(
            [moment.seconds for moment in own],
            [moment.face.unfamiliarity or 0.0 for moment in own],
            color=COLOURS[person - 1],
            marker=MARKERS[person - 1],
            markersize=2,
            linewidth=0.8,
        )
    axes.set_ylim(0, max(1.5, 1.1 * highest))
    axes.set_ylabel("unfamiliarity")
    axes.text(0.01, 0.06, "band: like the training frames", transform=axes.transAxes, fontsize=7)
