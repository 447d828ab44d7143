"""The report on a trained model: one self-contained HTML page, and a Markdown model card with the same facts.

The card follows Mitchell et al. 2019, Model Cards for Model Reporting (arXiv:1810.03993). Neither file
contains a time, a host name or an absolute path, so the same inputs give the same bytes.
"""

import html
import math
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from deepfake_detection.common.rules import Rule
from deepfake_detection.common.tables import SPLITS, UNUSED
from deepfake_detection.common.text import group_count
from deepfake_detection.network.sidecar import Imported, Sidecar
from deepfake_detection.pictures.images import UnreadableImageError
from deepfake_detection.reporting.caveats import warnings_of_run
from deepfake_detection.reporting.html import data_uri, template_environment
from deepfake_detection.reporting.literature import REPORTED
from deepfake_detection.reporting.measured import headline_of, trained_and_other
from deepfake_detection.reporting.worth import condition_rows, stated_bounds, worth_tables
from deepfake_detection.videos.footage import Folders, read_pixels

PACKAGE = "deepfake_detection.reporting"

ERRORS_SHOWN = 12
PAIRS_SHOWN = 10
THUMBNAIL = 320  # pixels, the longer side

# group -> metric -> (name, explanation)
METRIC_GROUPS = {
    "Ranking, whatever the threshold": {
        "auroc": ("AUROC", "chance that a deepfake scores above an original; 0.5 is guessing"),
        "average_precision": ("Average precision", "area under the precision-recall curve"),
        "eer": ("EER", "error rate where both kinds of error are equal; lower is better"),
        "tpr_at_fpr_1pct": ("TPR at FPR 1%", "deepfakes found while 1% of originals are accused"),
        "tpr_at_fpr_0_1pct": ("TPR at FPR 0.1%", "deepfakes found while 0.1% of originals are accused"),
    },
    "Decisions at the threshold": {
        "accuracy": ("Accuracy", "share of right calls"),
        "balanced_accuracy": ("Balanced accuracy", "mean of both classes' share of right calls"),
        "precision": ("Precision", "share of true deepfakes among those called so; depends on their share in the test"),
        "recall": ("Recall", "share of deepfakes found"),
        "f1": ("F1", "harmonic mean of precision and recall"),
        "mcc": ("MCC", "correlation of calls and truth; 0 is guessing"),
    },
    "Probabilities": {
        "log_loss": ("Log loss", "lower is better; 0.693 is a coin"),
        "brier": ("Brier score", "mean squared error of the probability; lower is better"),
        "ece": ("ECE", "how far stated probabilities are from observed shares; lower is better"),
    },
}

PLOTS = {
    "learning_curves": ("Learning curves", "Loss, accuracy and AUROC by epoch, training and validation"),
    "confusion_matrix": ("Confusion matrix", "Confusion matrix of the test frames; the counts are in the table beside"),
    "roc": ("ROC", "Receiver operating characteristic of the test frames; its area is in the table of metrics"),
    "precision_recall": ("Precision and recall", "Precision-recall curve of the test frames"),
    "reliability": ("Reliability", "Stated probability against observed share of deepfakes, before and after scaling"),
    "tippett": (
        "Tippett plot",
        "Share of originals and of deepfakes whose likelihood ratio is at least the value below",
    ),
    "cross_entropy": (
        "Empirical cross-entropy",
        "What decisions by the likelihood ratios cost, in bits, by prior odds, beside those without them",
    ),
    "coverage": ("Coverage", "Accuracy of the most familiar frames against their share, by kind of frames"),
    "leak_distances": ("Distances", "Frames of each split by the distance to the nearest frame of another split"),
    "leak_audit": ("Closest pairs", "Contact sheet of the closest pairs of frames that stand in two splits"),
    "robustness_verdicts": (
        "Verdicts",
        "Share of corrupted frames that get a verdict, and how many of these are right",
    ),
    "robustness_curves": ("Curves", "AUROC against severity, a line a corruption; the numbers are in the table below"),
}
FLAGGED = {
    "other_people": "as they are",
    "jpeg_50": "JPEG, quality 50",
    "half_size": "half the size and back",
    "grey": "without colour",
    "upside_down": "upside down",
    "shuffled_tiles": "4 x 4 tiles shuffled",
}
NOTHING = {"frames": 0, "videos": 0}
_NAMES = {"jpeg": "JPEG", "webp": "WebP", "h264": "H.264", "jpeg_quality": "JPEG quality"}


def number(value: float | None, interval: list[float] | None = None, reason: str | None = None) -> str:
    """Returns "0.992 [0.981, 0.998]", or "0.992" without an interval, or "not defined: reason" without a value."""
    if value is None:
        return f"not defined: {reason}" if reason else "not defined"
    # Adding 0.0 turns -0.0 into 0.0.
    text, *ends = (f"{round(x, 3) + 0.0:.3f}" for x in (value, *(interval or ())))
    return f"{text} [{', '.join(ends)}]" if ends else text


def metric(block: dict[str, Any], name: str) -> str:
    """One metric from a block with flat keys, with its interval if the block has intervals."""
    return number(block[name], block.get("intervals", {}).get(name), block["undefined"].get(name))


def build_context(
    *,
    index: dict[str, Any],
    split: dict[str, Any],
    train: dict[str, Any],
    test: dict[str, Any],
    sidecar: Sidecar,
    predictions: pd.DataFrame,
    raw: Path,
    folders: Folders,
    pictures: dict[str, Path],
    robustness: dict[str, Any],
    corrupted: pd.DataFrame,
    origins: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """Everything that the templates show, formatted.

    ``index``, ``split`` and ``train`` are the parsed metrics files, and ``test`` is details.json. ``origins`` has the
    parsed ``source.json`` of each data set that was trained or tested on. ``sidecar`` is that of the checkpoint.
    ``predictions`` has one row per frame: path, category, label, split, logit, raw_probability and probability.
    ``raw`` and ``folders`` say where the frames are, as for ``read_pixels``. ``pictures`` maps each name in PLOTS to a
    PNG. ``robustness`` and ``corrupted`` are as ``read_robustness`` gives them.
    """
    blocks = _blocks(test)
    categories = _categories(test)
    unseen = [row["name"] for row in categories if not row["seen"]]
    threshold = test["threshold"]
    elsewhere = trained_and_other(test)[1]
    wrong = _wrong_decisions(headline_of(predictions, test), threshold)
    trained = {name: origin for name, origin in origins.items() if name not in elsewhere}
    drawn = all(origin["source"] == "embedded" for origin in trained.values())
    matrix = test["confusion_matrix"]
    datasets = _datasets(test)
    return {
        "model": _model(sidecar, train),
        "source": "; ".join(f"{name} ({_source_text(origin)})" for name, origin in trained.items()),
        "drawn": drawn,
        "trained_on": sidecar.categories,
        "unseen": unseen,
        "files": [
            index["datasets"][name]
            | {
                "name": name,
                "source": _source_text(origin),
                "use": "only tested on" if name in elsewhere else "trained on",
            }
            for name, origin in origins.items()
        ],
        "frames_trained": _frames_trained(split),
        "frames_tested": _frames_tested(split, test),
        "split": split,
        "audit": split["leak_audit"],
        "pairs": split["leak_audit"]["pairs"][:PAIRS_SHOWN],
        "headline": {
            "frame": metric(test, "auroc"),
            "video": metric(test["video"], "auroc"),
            "tpr": metric(test, "tpr_at_fpr_1pct"),
            "ece": metric(test, "ece"),
            "ece_raw": number(test["raw"]["ece"]),
            "unseen": number(test["macro_auroc_unseen"]),
            "worst": number(test["worst_category_auroc"]),
            "elsewhere": number(test["macro_auroc_datasets"]),
        },
        "thresholds": {
            "frame": f"{threshold:.3f}",
            "video": f"{test['video']['threshold']:.3f}",
            "rule": _rule_words(test["threshold_rule"], sidecar.frame.groups),
            "temperature": number(test["temperature"]),
            "bias": f"{'minus' if test['bias'] < 0 else 'plus'} {number(abs(test['bias']))}",
            "prior": f"{test['prior']:.0%}",
        },
        "familiarity": _familiarity(sidecar, test, robustness["flagged"]),
        "groups": group_count(test["groups"]),
        "worth": worth_tables(test["evidence"]),
        "bounds": stated_bounds(sidecar),
        "conditions": condition_rows(test["evidence"]["conditions"] + robustness["conditions"]),
        "metrics": _metric_tables(blocks),
        "matrices": {name: blocks[name]["confusion_matrix"] for name in ("Frames", "Videos")},
        "matrix": matrix,
        "categories": categories,
        "datasets": datasets,
        "tests": _tests(categories, datasets),
        "elsewhere": elsewhere,
        "reported": REPORTED,
        "pictures": {name: _picture(name, path) for name, path in pictures.items()},
        "robustness": _robustness(robustness, corrupted),
        "errors": [_error_entry(row, raw, folders, threshold) for row in wrong.head(ERRORS_SHOWN).to_dict("records")],
        "wrong": len(wrong),
        "error_threshold": f"{threshold:.3f}",
        "warnings": warnings_of_run(split, test, trained, drawn, adopted=not train["epochs_run"]),
    }


def render_html(context: dict[str, Any]) -> str:
    """The HTML page. It has no scripts and refers to nothing outside itself. Every value is escaped."""
    return template_environment(PACKAGE, autoescape=True).get_template("report.html.jinja").render(context)


def render_card(context: dict[str, Any]) -> str:
    """The model card in GitHub's Markdown. Every value is escaped for Markdown."""
    return template_environment(PACKAGE, finalize=markdown_text).get_template("model_card.md.jinja").render(context)


def markdown_text(value: object) -> str:
    """A value as plain text for Markdown, also in a table cell. It cannot become HTML, a link, code or emphasis."""
    text = " ".join(html.escape(str(value), quote=False).split())
    return re.sub(r"[\\`*|~]|(?<!\w)_|_(?!\w)|\](?=[(\[:])|^[#+-](?=\s)", r"\\\g<0>", text)


def _model(sidecar: Sidecar, train: dict[str, Any]) -> dict[str, Any]:
    architecture = "ONNX" if sidecar.arch == "onnx" else f"EfficientNet-{sidecar.arch[13:].capitalize()}"
    return {
        "name": sidecar.imported.recipe if sidecar.imported else architecture,
        "learnt": "calibrated" if sidecar.imported else "trained",
        "architecture": architecture,
        "parameters": f"{sidecar.parameters:,}",
        "input": " x ".join(map(str, sidecar.input_size)),
        "channels": sidecar.channels,
        "resize": sidecar.resize,
        "output": sidecar.output,
        "training": _training(train, sidecar.imported),
    }


def _training(train: dict[str, Any], imported: Imported | None) -> str:
    if not train["epochs_run"]:
        by = f", by the recipe {imported.recipe}; licence of its weights: {imported.licence}" if imported else ""
        return f"none: the network is as it came{by}"
    stopped = ", stopped early" if train["early_stopped"] else ""
    return f"{train['epochs_run']} epochs{stopped}; epoch {train['best_epoch']} was best on validation and is kept"


def _familiarity(sidecar: Sidecar, test: dict[str, Any], flagged: dict[str, float]) -> dict[str, Any] | None:
    """Which frames get a verdict, the test frames, changed or not, and each data set; None if all do."""
    if sidecar.familiarity is None:
        return None
    blocks = {"test frames": test} | {name: found["frame"] for name, found in test["datasets"].items()}
    rows = []
    for name, block in blocks.items():
        answered = block["answered"]
        rows.append(
            {
                "name": name,
                "coverage": number(block["coverage"]),
                "accuracy": number(block["accuracy"]),
                "answered_accuracy": number(answered["accuracy"]),
                "auroc": number(block["auroc"]),
                "answered_auroc": number(answered["auroc"]),
            }
        )
    changed = {FLAGGED[name]: f"{share:.1%}" for name, share in flagged.items()}
    return {"share": f"{sidecar.familiarity:.0%}", "rows": rows, "flagged": changed}


def _source_text(origin: dict[str, Any]) -> str:
    """Where a data set comes from. It has the user's name, whatever its layout: own frames may have that of others."""
    if origin["source"] == "kaggle":
        return f"the Kaggle data set {origin['handle']}, version {origin['version']}"
    if origin["source"] == "embedded":
        return "faces drawn by this project's own code; no real person is in them"
    return f"files from a local folder, in the layout {origin['layout']}"


def _frames_trained(split: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each category that was trained on, of each data set: its frames and videos in each split."""
    return [
        {"dataset": name, "category": category}
        | {part: _counts(found, part).get(category, NOTHING) for part in (*SPLITS, UNUSED)}
        for name, found in split["datasets"].items()
        for category in found["train"]["categories"]
    ]


def _frames_tested(split: dict[str, Any], test: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each category that was only tested on: those held out, and those of data sets for the test alone."""
    rows = []
    for name, found in split["datasets"].items():
        parts = {part: _counts(found, part) for part in ("test", UNUSED)}
        for category in dict.fromkeys(category for counts in parts.values() for category in counts):
            if name in test["datasets"] and category not in found["train"]["categories"]:
                fake = category in test["datasets"][name]["categories"]
                row = {"dataset": name, "category": category, "kind": "deepfake" if fake else "original"}
                rows.append(row | {part: counts.get(category, NOTHING) for part, counts in parts.items()})
    return rows


def _counts(found: dict[str, Any], part: str) -> dict[str, dict[str, int]]:
    """The frames and videos of a data set in one part of its split, by category."""
    counts: dict[str, dict[str, int]] = found.get(part, {"categories": {}})["categories"]
    return counts


def _blocks(test: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The blocks with flat keys in the test metrics, by their titles in the report."""
    raw = {"Frames, raw": test["raw"] | {"undefined": {}}}
    return {"Frames": test, **raw, "Videos": test["video"]}


def _metric_tables(blocks: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    tables = []
    for group, names in METRIC_GROUPS.items():
        # raw probabilities have the same order as calibrated ones, and no decisions are made on them
        shown = {name: block for name, block in blocks.items() if all(key in block for key in names)}
        columns = [f"{name}, {block['groups']} groups" if "groups" in block else name for name, block in shown.items()]
        rows = [
            {"name": name, "hint": hint, "cells": [metric(block, key) for block in shown.values()]}
            for key, (name, hint) in names.items()
        ]
        tables.append({"title": group, "columns": columns, "rows": rows})
    return tables


def _categories(test: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for name, found in test["categories"].items():
        frame = found["frame"] | {"intervals": found["intervals"]}
        row = {key: found[key] for key in ("seen", "frames", "videos", "groups")} | {"name": name}
        row["frame"] = {key: metric(frame, key) for key in ("auroc", "eer", "tpr_at_fpr_1pct", "recall")}
        row["video"] = {"auroc": metric(found["video"], "auroc")}
        rows.append(row | {"notes": []})
    return sorted(rows, key=lambda row: not row["seen"])


def _datasets(test: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each data set, those trained on first."""
    rows = []
    for name, found in test["datasets"].items():
        aurocs = {category: each["frame"]["auroc"] for category, each in found["categories"].items()}
        known = {category: auroc for category, auroc in aurocs.items() if auroc is not None}
        worst = min(known, key=known.__getitem__, default=None)
        row = {key: found[key] for key in ("frames", "videos", "missing_videos")}
        row |= {"name": name, "seen": found["use"] == "train", "groups": found["frame"]["groups"]}
        row["frame"] = {key: metric(found["frame"], key) for key in ("auroc", "tpr_at_fpr_1pct", "recall")}
        row["video"] = {"auroc": metric(found["video"], "auroc")}
        row["worst"] = f"{number(known[worst])} ({worst})" if worst else "not defined"
        missing = found["missing_videos"]
        row["notes"] = [f"{missing} video{'s' * (missing > 1)} missing"] if missing else []
        if not row["seen"]:  # of those trained on, each manipulation has a row of its own
            row["notes"].append(f"lowest: {row['worst']}")
        rows.append(row)
    return sorted(rows, key=lambda row: not row["seen"])


def _tests(categories: list[dict[str, Any]], datasets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the table of test results, under a heading each for what was trained on and what was not."""
    return [
        {"title": f"{what} {'not ' * (not seen)}trained on", "seen": seen, "rows": rows}
        for what, all_rows in (("Manipulations", categories), ("Data sets", datasets))
        for seen in (True, False)
        if (rows := [row for row in all_rows if row["seen"] is seen])
    ]


def _robustness(found: dict[str, Any], corrupted: pd.DataFrame) -> dict[str, Any]:
    clean, rows = found["clean_auroc"], []
    for name, steps in corrupted.groupby("corruption", sort=False):
        cells = []
        for auroc, setting in steps[["auroc", "setting"]].to_numpy().tolist():
            cell = {"auroc": number(None if math.isnan(auroc) else auroc), "setting": f"{setting:g}", "shade": ""}
            if clean is not None:
                cell["shade"] = f"drop{sum(clean - auroc > limit for limit in (0.01, 0.03, 0.1, 0.2))}"
            cells.append(cell)
        rows.append({"name": _display_name(str(name)), "unit": steps["unit"].iloc[0], "cells": cells})
    lowest = corrupted.dropna(subset="auroc").sort_values("auroc", kind="stable").head(1).to_dict("records")
    return {
        "clean": number(clean, found["intervals"]["clean_auroc"]),
        "mean": number(found["mean_auroc"], found["intervals"]["mean_auroc"]),
        "drop": number(found["mean_auroc_drop"], found["intervals"]["mean_auroc_drop"]),
        "groups": group_count(found["groups"]),
        "severities": corrupted["severity"].unique().tolist(),
        "rows": rows,
        "lowest": [
            {"auroc": number(step["auroc"]), "name": _display_name(step["corruption"]), "severity": step["severity"]}
            for step in lowest
        ],
    }


def _rule_words(name: float | str, groups: int) -> str:
    """How the threshold was found, and for a rate of false alarms by how many independent ``groups`` of originals."""
    rule = Rule.parse(name)
    return rule.words() + (f", by {groups} independent originals of validation" if rule.rate and groups else "")


def _wrong_decisions(predictions: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Wrong decisions on test frames, the most confident first."""
    rows = predictions[(predictions["probability"] >= threshold) != (predictions["label"] == 1)]
    # Sorted by logit, because the probabilities of very wrong frames all round to 0 or 1.
    margin = rows["logit"] * (1 - 2 * rows["label"])
    return rows.assign(margin=margin).sort_values(["margin", "path"], ascending=[False, True])


def _error_entry(row: dict[Hashable, Any], raw: Path, folders: Folders, threshold: float) -> dict[str, Any]:
    truth, called = ("original", "deepfake") if row["label"] == 0 else ("deepfake", "original")
    error = {"path": row["path"], "category": row["category"], "truth": truth, "called": called}
    error |= {"probability": number(row["probability"]), "raw": number(row["raw_probability"]), "uri": None}
    try:
        ((_, found),) = read_pixels(raw, folders, [row["path"]])
    except UnreadableImageError as reason:
        return error | {"reason": str(reason)}
    pixels = Image.fromarray(found)
    pixels.thumbnail((THUMBNAIL, THUMBNAIL))
    uri = data_uri(pixels, "JPEG", quality=88)
    return error | {"uri": uri, "width": pixels.width, "height": pixels.height}


def _picture(name: str, path: Path) -> dict[str, Any]:
    with Image.open(path, formats=["PNG"]) as image:
        width, height = image.size
    title, alt = PLOTS[name]
    return {"uri": data_uri(path.read_bytes(), "PNG"), "width": width, "height": height, "title": title, "alt": alt}


def _display_name(name: str) -> str:
    words = name.replace("_", " ")
    return _NAMES.get(name, words[:1].upper() + words[1:])
