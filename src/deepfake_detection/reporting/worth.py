"""The tables of a report on what likelihood ratios are worth and on the conditions of the test."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepfake_detection.network.sidecar import Sidecar

LEVELS = {"frame": "Frames", "video": "Videos"}
SETS = {"seen": "manipulations trained on", "unseen": "other manipulations"}
CONDITIONS = {
    "face_size": "longer side of the face, pixels of the file",
    "resolution": "shorter side of the frame, pixels of the file",
    "jpeg_quality": "JPEG quality of what the network sees",
    "brightness": "mean brightness of what the network sees, of 255",
}


def worth_tables(evidence: dict[str, Any]) -> list[dict[str, Any]]:
    """A table for frames and one for videos: of sets of manipulations, each manipulation and each data set."""
    tables = []
    for level, title in LEVELS.items():
        found = evidence[level]
        blocks = {words: found[name] for name, words in SETS.items()}
        blocks |= found["manipulations"] | {f"data set {name}": each for name, each in found["datasets"].items()}
        once = {repr(block): name for name, block in reversed(blocks.items())}  # a set may be of one manipulation
        rows = [_row(name, block) for name, block in blocks.items() if once[repr(block)] == name]
        tables.append({"title": title, "rows": rows})
    return tables


def _row(name: str, block: dict[str, Any]) -> dict[str, str]:
    costs = {key: _number(block[key]) for key in ("cllr", "cllr_min")}
    rates = {key: _rate(block[key]) for key in ("false_alarms", "misleading_originals", "misleading_fakes")}
    originals, fakes = block["originals"], block["fakes"]
    counts = f"{originals['count']} ({originals['groups']}), {fakes['count']} ({fakes['groups']})"
    return {"name": name, **costs, **rates, "counts": counts}


def stated_bounds(sidecar: "Sidecar") -> list[str]:
    """In words, between which ratios one is stated, of frames and of videos, and on how many groups that rests."""
    levels = {"frames": sidecar.frame.evidence, "videos": sidecar.score.reading.evidence}
    return [
        f"For {level} ratios are stated from 1/{10**-found.lower:.2g} to {10**found.upper:.2g} and no further, because "
        f"they rest on {found.originals} independent groups of originals and {found.fakes} of deepfakes."
        for level, found in levels.items()
        if found
    ]


def condition_rows(conditions: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The results by condition, a row for each band."""
    return [
        {
            "name": CONDITIONS[each["name"]],
            "band": f"{each['low']:g} and more" if each["high"] is None else f"{each['low']:g} to {each['high']:g}",
            "auroc": _number(each["auroc"]),
            "cllr": _number(each["cllr"]),
            "false_alarms": _rate({"rate": each["false_alarms"], "upper": each["upper"]}),
            "counts": f"{each['frames']} ({each['groups']})",
        }
        for each in conditions
    ]


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"


def _rate(found: dict[str, float | None]) -> str:
    """A share with the upper end of its interval, such as "0.0% [up to 28.3%]"."""
    rate, upper = found["rate"], found["upper"]
    return "none" if rate is None or upper is None else f"{rate:.1%} [up to {upper:.1%}]"
