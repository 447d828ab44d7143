"""The report on made-up results: what is on the page, that it needs nothing else, and how it lies on a phone."""

import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepfake_detection.network.sidecar import Calibration, Categories, Evidence, Imported
from deepfake_detection.reporting.report import (
    PLOTS,
    build_context,
    markdown_text,
    number,
    render_card,
    render_html,
)
from deepfake_detection.sources.layouts.detect import LAYOUTS
from tests.support.browser import CHROMIUM, browsing
from tests.support.checkpoints import sidecar

HOSTILE = "<script>alert(1)</script>"
SECTIONS = [
    *["summary", "tests", "limits", "model", "data", "split", "metrics", "evidence", "coverage", "robustness"],
    *["errors", "others"],
]
VOID = {"meta", "img", "br"}


def flat(auroc: float | None) -> dict[str, Any]:
    """One block of flat keys."""
    names = ["accuracy", "precision", "recall", "f1", "log_loss", "average_precision", "eer"]
    names += ["tpr_at_fpr_1pct", "tpr_at_fpr_0_1pct", "balanced_accuracy", "mcc", "brier", "ece"]
    block: dict[str, Any] = {name: round(0.9 - 0.05 * place, 4) for place, name in enumerate(names)}
    intervals = {name: [block[name] - 0.021, block[name] + 0.013] for name in names}
    if auroc is not None:
        intervals["auroc"] = [auroc - 0.011, auroc + 0.006]
    block |= {"auroc": auroc, "confusion_matrix": {"tn": 118, "fp": 2, "fn": 4, "tp": 86}}
    undefined = {} if auroc is not None else {"auroc": "only one class"}
    block |= {"coverage": 0.875, "answered": {"accuracy": 0.912, "auroc": auroc}}
    return block | {"intervals": intervals, "groups": 15, "undefined": undefined}


def count(frames: int, categories: list[str]) -> dict[str, Any]:
    each = {"frames": frames, "videos": frames // 5, "groups": frames // 10}
    return {**each, "frames": frames * len(categories), "categories": dict.fromkeys(categories, each)}


def manipulation(seen: bool, frame: float, video: float | None) -> dict[str, Any]:
    """A category of the test metrics; only its frames have intervals."""
    blocks = {"frame": flat(frame), "video": flat(video)}
    intervals, _ = (block.pop("intervals") for block in blocks.values())
    return {"seen": seen, "frames": 180, "videos": 36, **blocks, "groups": 14, "intervals": intervals}


def worth(cllr: float | None) -> dict[str, Any]:
    costs = {"cllr": cllr, "cllr_min": cllr and 0.4, "calibration_loss": cllr and cllr - 0.4}
    rates = {name: {"rate": 0.021, "upper": 0.117} for name in ("false_alarms", "misleading_originals")}
    counts = {name: {"count": 120, "groups": 14} for name in ("originals", "fakes")}
    return {**costs, **rates, "misleading_fakes": {"rate": None, "upper": None}, **counts}


def evidence(unseen: float) -> dict[str, Any]:
    """The evidence of test metrics: ratios are worth something on what was trained on, and ``unseen`` elsewhere."""
    level = {"seen": worth(0.5), "unseen": worth(unseen), "manipulations": {HOSTILE: worth(None)}, "datasets": {}}
    band = {"name": "face_size", "low": 60, "high": 100, "frames": 80, "groups": 12, "auroc": 0.93, "cllr": 0.61}
    conditions = [band | {"false_alarms": 0.05, "upper": 0.2}]
    return {"frame": level, "video": level | {"unseen": worth(None)}, "conditions": conditions}


def data_set(use: str, auroc: float, categories: dict[str, float]) -> dict[str, Any]:
    return {
        "use": use,
        "frames": 320,
        "videos": 32,
        "missing_videos": 3,
        "coverage": 32 / 35,
        "frame": flat(auroc),
        "video": flat(auroc + 0.02),
        "categories": {name: manipulation(use == "train", value, None) for name, value in categories.items()},
    }


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Any]:
    """The arguments of build_context: 16 test frames called wrong, one of them not there, and 4 called right."""
    raw, rng = tmp_path / "raw", np.random.default_rng(7)
    names = ["Original", "Deepfakes", HOSTILE.replace("/", "|")]
    rows = []
    for place in range(20):
        category = names[place % 2] if place else names[2]
        label = int(category != "Original")
        logit = (8 - place / 3) * (1 - 2 * label) * (1 if place < 16 else -1)
        path = f"FF++C32-Frames/{category}/{place:03d}_f0.jpg"
        rows.append((path, category, f"{place:03d}", label, "test", logit, 1 / (1 + math.exp(-logit))))
        if place != 3:
            (raw / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)).save(raw / path)
    columns = ["path", "category", "video_id", "label", "split", "logit", "raw_probability"]
    predictions = pd.DataFrame(rows, columns=columns)
    predictions["dataset"] = "FaceForensics++"
    predictions["probability"] = 1 / (1 + np.exp(-predictions["logit"] / 2))
    pictures = {name: tmp_path / f"{name}.png" for name in PLOTS}
    for picture in pictures.values():
        Image.new("RGB", (600, 400), "white").save(picture)
    corrupted = pd.DataFrame({"corruption": "jpeg", "severity": range(1, 6), "unit": "quality"})
    corrupted = corrupted.assign(setting=100 - 17 * corrupted["severity"], auroc=0.99 - 0.07 * corrupted["severity"])
    pair = {"distance": 3, "paths": [f"FF++C32-Frames/Original/{HOSTILE}.jpg", rows[1][0]], "splits": ["train", "test"]}
    counts: dict[str, Any] = {"frames": 1200, "videos": 240, "rejected": 3, "rejected_share": 0.002494}
    counts |= {"categories": {name: {"frames": 600, "videos": 120} for name in names[:2]}, "reasons": {HOSTILE: 3}}
    return {
        "index": {"datasets": {"FaceForensics++": counts, "Celeb-DF": counts}},
        "split": {"strategy": "group", "groups": 60, "leaked_groups": 0, "leaked_videos": 0}
        | {"recordings_known": True, "recordings": 117, "leaked_recordings": 0}
        | {"train": count(420, names[:2]), "val": count(90, names[:2])}
        | {"test": count(90, names), "unused": count(0, [])}
        | {
            "datasets": {
                "FaceForensics++": {"use": "train", "train": count(420, names[:2]), "val": count(90, names[:2])}
                | {"test": count(90, [*names[:2], "FaceSwap"]), "unused": count(510, ["FaceSwap"])},
                "Celeb-DF": {"use": "test", "train": count(0, []), "test": count(80, ["Celeb-real", "SimSwap"])},
                "clips": {"use": "adapt", "train": count(0, []), "test": count(0, []), "adapt": count(40, [""])},
            }
        }
        | {"shared": {"groups": 0, "leaked_groups": 0, "left_out": {}, "known": {"weights": 0, "teacher": 0}}}
        | {"leak_audit": {"near_duplicates": 1, "hash": "phash 64 bit", "max_distance": 6, "pairs": [pair]}},
        "train": {"best_epoch": 2, "epochs_run": 4, "early_stopped": False},
        "test": flat(0.99234)
        | {"evidence": evidence(0.84)}
        | {"threshold": 0.42, "threshold_rule": "youden", "temperature": 1.37, "bias": -0.25, "prior": 0.5}
        | {
            "macro_auroc_datasets": 0.63,
            "datasets": {
                "Celeb-DF": data_set("test", 0.63, {"SimSwap": 0.58, "LIA": 0.66}),
                "FaceForensics++": data_set("train", 0.97, {"Deepfakes": 0.97, "FaceSwap": 0.71}),
            },
        }
        | {"macro_auroc_seen": 0.99, "macro_auroc_unseen": 0.71, "worst_category_auroc": 0.45}
        | {"raw": {"log_loss": 0.31, "brier": 0.11, "ece": 0.083}, "video": flat(None) | {"threshold": 0.44}}
        | {
            "categories": {
                "FaceSwap": manipulation(False, 0.71, 0.75),
                "Deepfakes": manipulation(True, 0.99, None),
                names[2]: manipulation(True, 0.99, None),
            }
        },
        "sidecar": sidecar(
            arch="efficientnet_b7",
            input_size=[96, 96],
            parameters=63789521,
            threshold=0.42,
            temperature=1.37,
            familiarity=0.99,
        ).model_copy(
            # a sidecar that is read from a file cannot hold such a name
            update={"categories": Categories.model_construct(real=["Original"], fake=[names[2]])}
        ),
        "predictions": predictions,
        "raw": raw,
        "folders": {},
        "pictures": pictures,
        "robustness": {"conditions": []}
        | {"flagged": {"other_people": 0.0115, "upside_down": 0.97}}
        | {"clean_auroc": 0.992, "mean_auroc": 0.78, "mean_auroc_drop": 0.212}
        | {
            "groups": 30,
            "intervals": {"clean_auroc": [0.97, 1.0], "mean_auroc": None, "mean_auroc_drop": [0.1, 0.324]},
        },
        "corrupted": corrupted,
        "origins": {
            "FaceForensics++": {"source": "embedded", "layout": "embedded"},
            "Celeb-DF": {"source": "local", "layout": "celebdf"},
        },
    }


class Page(HTMLParser):
    """Reads a page and fails on an element that is not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, *tags: str) -> list[dict[str, str]]:
        return [attrs for tag, attrs in self.elements if tag in tags]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_page_is_well_formed_the_same_each_time_and_needs_nothing_else(inputs: dict[str, Any]) -> None:
    text = render_html(build_context(**inputs))
    assert text == render_html(build_context(**inputs))
    assert str(inputs["raw"].parent) not in text + render_card(build_context(**inputs))
    page = Page(text)
    assert not page.all("script", "link", "iframe", "object", "base", "form")
    assert not re.search(r"url\(|@import|https?:|//\w", re.sub(r"data:image/\w+;base64,[\w+/=]+", "", text))
    ids = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
    addresses = [value for _, attrs in page.elements for name, value in attrs.items() if name in ("src", "href")]
    assert len(addresses) > 20
    for address in addresses:
        assert address.startswith("data:image/") or (address[0] == "#" and address[1:] in ids)
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)


def test_page_has_every_section_under_one_title(inputs: dict[str, Any]) -> None:
    page = Page(render_html(build_context(**inputs)))
    assert [attrs["id"] for attrs in page.all("section")] == SECTIONS
    labels = [attrs["aria-labelledby"] for attrs in page.all("section")]
    assert labels == [attrs["id"] for attrs in page.all("h2")]
    assert [len(page.all(tag)) for tag in ("h1", "header", "nav", "main", "footer")] == [1, 1, 1, 1, 1]
    assert all(len(attrs["alt"]) > 10 for attrs in page.all("img"))
    assert {attrs["href"][1:] for attrs in page.all("a")} == set(SECTIONS)
    assert len(page.all("img")) == len(PLOTS) + 11  # one of the 12 worst errors is not there


def test_unfamiliar_frames_have_a_table_or_a_sentence(inputs: dict[str, Any]) -> None:
    context = build_context(**inputs)
    text = Page(render_html(context)).text
    assert "The limit is to keep 99% of the frames of new people. A frame beyond it gets no verdict." in text
    assert "Celeb-DF 0.875 0.900 0.912 0.630 0.630" in text
    assert "| test frames | 0.875 | 0.900 | 0.912 | 0.992 | 0.992 |" in render_card(context)
    every = inputs["sidecar"].model_copy(update={"familiarity": None})
    text = Page(render_html(build_context(**inputs | {"sidecar": every}))).text
    assert "Every frame gets a verdict" in text
    assert "upside down" not in text
    assert "as they are upside down 1.1% 97.0%" in Page(render_html(build_context(**inputs))).text


def test_page_says_the_numbers(inputs: dict[str, Any]) -> None:
    text = Page(render_html(build_context(**inputs))).text
    assert "0.992 [0.981, 0.998]" in text
    assert "not defined: only one class" in text
    assert "0.420 for frames, 0.440 for videos (the largest TPR minus FPR on validation)" in text
    assert "It called 2 of 120 original frames a deepfake, and missed 4 of 90 deepfake frames" in text
    assert "the mean AUROC is 0.710 , and the lowest of all is 0.450." in text
    assert "12 most confident of 16 wrong calls" in text
    assert "Manipulations not trained on FaceSwap 0.710" in text
    assert "Picture not shown: no such file or directory" in text
    assert "severity 5: 0.640" in text
    assert "drawn by code" in text


def test_the_number_of_groups_stands_beside_the_intervals(inputs: dict[str, Any]) -> None:
    few = build_context(**inputs)
    for text in (Page(render_html(few)).text, render_card(few)):
        assert text.count("15 groups: too few groups") == 3  # the summary, a warning, the section on metrics
        assert "Videos, 15 groups" in text
    assert "| FaceSwap | no | 180 | 36 | 14 | 0." in render_card(few)
    for block in (inputs["test"], inputs["test"]["video"]):
        block["groups"] = 20
    enough = build_context(**inputs)
    assert len(enough["warnings"]) == len(few["warnings"]) - 1
    for text in (Page(render_html(enough)).text, render_card(enough)):
        assert "too few groups" not in text
        assert "95% intervals, from 20 groups." in text


def test_worst_errors_of_what_was_trained_on_come_first(inputs: dict[str, Any]) -> None:
    def listed() -> list[int]:
        return [int(error["path"][-10:-7]) for error in build_context(**inputs)["errors"]]

    assert listed() == list(range(12))
    frames = inputs["predictions"]
    for row, (column, value) in enumerate((("category", "FaceSwap"), ("split", "val"), ("dataset", "Celeb-DF"))):
        frames.loc[row, column] = value
        assert listed() == list(range(row + 1, row + 13))
    inputs["predictions"] = frames.iloc[16:]
    assert "No wrong call" in render_html(build_context(**inputs))


def test_each_data_set_has_a_row_and_the_literature_stands_apart(inputs: dict[str, Any]) -> None:
    context = build_context(**inputs)
    card, text = render_card(context), Page(render_html(context)).text
    row = "| Celeb-DF | no | 320 | 32 | 3 | 15 | 0.630 [0.619, 0.636] | 0.650 [0.639, 0.656] | 0.580 (SimSwap) |"
    assert row in card
    assert card.index("| FaceForensics++ | yes |") < card.index(row)
    assert "On other data sets (Celeb-DF) the mean is 0.630." in text
    assert "Data sets not trained on Celeb-DF 3 videos missing lowest: 0.580 (SimSwap) 0.630" in text
    assert "| Celeb-DF v2 | frames | EfficientNet-B4 | 0.749 |" in card
    assert "were not measured here" in text
    del inputs["test"]["datasets"]["Celeb-DF"]
    inputs["test"]["macro_auroc_datasets"] = None
    alone = Page(render_html(build_context(**inputs))).text
    assert "On other data sets" not in alone
    assert "No other data set was tested" in alone


def test_a_file_name_cannot_leave_its_attribute_or_table(inputs: dict[str, Any]) -> None:
    name = '005_f0" onerror="alert(1)" \'><script>alert(2)</script>|`[x](javascript:3).jpg'
    predictions = inputs["predictions"]
    path, category = f"FF++C32-Frames/Original/{name.replace('/', ':')}", f"{name}/Original"
    picture = inputs["raw"] / path
    (inputs["raw"] / predictions.loc[2, "path"]).rename(picture)
    predictions.loc[2, ["path", "category"]] = [path, category]
    inputs["split"]["leak_audit"]["pairs"][0]["paths"][1] = path
    inputs["split"]["datasets"]["FaceForensics++"]["train"]["categories"] = {category: {"frames": 1, "videos": 1}}
    context = build_context(**inputs)
    page, card = render_html(context), render_card(context)
    read = Page(page)
    assert any(path in attrs.get("alt", "") for attrs in read.all("img"))  # whole, as text
    assert not any(element == "script" for element, _ in read.elements)
    assert not any(attribute.startswith("on") for _, attrs in read.elements for attribute in attrs)
    assert "<script" not in card
    (row,) = [line for line in card.splitlines() if "onerror" in line]
    assert "](javascript" not in row.replace("\\]", "")
    assert len(re.findall(r"(?<!\\)\|", row)) == 7


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("[x](javascript:1)", r"[x\](javascript:1)"),
        ("005_010_f4.jpg", "005_010_f4.jpg"),
        ("_a_ *b* `c` |\n", r"\_a\_ \*b\* \`c\` \|"),
        ("0.992 [0.981, 0.998]", "0.992 [0.981, 0.998]"),
    ],
)
def test_markdown_text(text: str, escaped: str) -> None:
    assert markdown_text(text) == escaped


def said_first(inputs: dict[str, Any]) -> str:
    """The first warning, which stands on the page and in the card."""
    context = build_context(**inputs)
    warning: str = context["warnings"][0]
    assert warning in render_card(context)
    assert warning in render_html(context)
    return warning


FRAMES = {"leaked_groups": 12, "leaked_videos": 30, "leaked_recordings": 25, "strategy": "frame"}
LISTS = {"leaked_groups": 7, "leaked_recordings": 7, "recordings": 977, "strategy": "official"}
OWN = {"leaked_groups": 7, "groups": 470, "strategy": "own"}


@pytest.mark.parametrize(
    ("split", "words"),
    [
        (FRAMES, "The split leaks: 12 of 60 groups, 25 of 117 recordings and 30 videos"),
        (LISTS, "The official lists put 7 of 977 recordings on two sides"),
        (OWN, "The division that the data set comes with puts 7 of 470"),
    ],
)
def test_a_leak_is_said_first(inputs: dict[str, Any], split: dict[str, Any], words: str) -> None:
    inputs["split"] |= split
    assert said_first(inputs).startswith(words)


def test_a_network_that_guesses_is_said_before_all(inputs: dict[str, Any]) -> None:
    inputs["test"] |= {"auroc": 0.52, "intervals": inputs["test"]["intervals"] | {"auroc": [0.44, 0.6]}}
    inputs["test"]["categories"]["FaceSwap"]["intervals"]["auroc"] = [0.48, 0.8]
    assert "not trained on: FaceSwap." in build_context(**inputs)["warnings"][1]
    said = "May be no better than guessing on the test frames: the AUROC is 0.52 [0.44, 0.60]"
    assert said_first(inputs).startswith(said)


def test_ratios_that_are_worth_nothing_are_said_first_and_stand_in_tables_with_their_bounds(
    inputs: dict[str, Any],
) -> None:
    for text in (Page(render_html(build_context(**inputs))).text, render_card(build_context(**inputs))):
        assert "Validation has not enough groups to state" in text
    inputs["test"] |= {"evidence": evidence(1.31)}
    inputs["sidecar"] = inputs["sidecar"].model_copy(
        update={
            "frame": Calibration(
                evidence=Evidence(
                    lower=-1.0, upper=0.3, spread=[0, 0, 0], originals=17, fakes=12, cllr=0.5, cllr_min=0.4
                )
            )
        }
    )
    assert said_first(inputs) == (
        "On manipulations that it was not trained on its likelihood ratios are worth nothing: their Cllr is 1.31 by "
        "frame, and 1 is that of saying nothing."
    )
    card, page = render_card(build_context(**inputs)), Page(render_html(build_context(**inputs))).text
    assert "| other manipulations | 1.31 | 0.40 | 2.1% [up to 11.7%] | 2.1% [up to 11.7%] | none |" in card
    assert "| 60 to 100 | 0.93 | 0.61 | 5.0% [up to 20.0%] | 80 (12) |" in card
    for text in (card, page):
        assert "For frames ratios are stated from 1/10 to 2 and no further, because they rest on 17 independent" in text


def test_few_originals_are_said_first_with_their_videos_and_groups(inputs: dict[str, Any]) -> None:
    inputs["split"] |= FRAMES
    inputs["test"]["confusion_matrix"] = {"tn": 97, "fp": 2, "fn": 4, "tp": 86}
    inputs["test"]["video"]["confusion_matrix"] = {"tn": 19, "fp": 1, "fn": 1, "tp": 17}
    assert said_first(inputs).startswith("The tests rest on 99 original frames, of 20 videos in 15 groups of people.")
    text = Page(render_html(build_context(**inputs))).text
    assert text.index("The tests rest on 99") < text.index("0.992")


def test_unknown_recordings_are_said_unless_the_frames_are_drawn(inputs: dict[str, Any]) -> None:
    inputs["split"] |= {"recordings_known": False, "recordings": 120}
    page = render_html(build_context(**inputs))
    assert "It is not known which" not in page
    assert "no sequence and no recording is on two sides" in page
    inputs["origins"]["FaceForensics++"] |= {"source": "local", "layout": "faceforensics"}
    assert said_first(inputs).startswith(
        "It is not known which videos of the data set FaceForensics++ come from one recording"
    )
    assert "no sequence and no recording" not in render_html(build_context(**inputs))
    inputs["origins"]["FaceForensics++"]["layout"] = "folders"
    assert "It is not known which" not in render_html(build_context(**inputs))


@pytest.mark.parametrize("layout", [*LAYOUTS, "embedded", "embedded_shifted"])
def test_own_frames_have_the_name_that_the_user_gave_them(inputs: dict[str, Any], layout: str) -> None:
    for part in (inputs["index"], inputs["test"], inputs["split"]):
        part["datasets"]["own"] = part["datasets"].pop("FaceForensics++")
    inputs["predictions"]["dataset"] = "own"
    source = "embedded" if layout.startswith("embedded") else "local"
    inputs["origins"] = {"own": {"source": source, "layout": layout}, "Celeb-DF": inputs["origins"]["Celeb-DF"]}
    context = build_context(**inputs)
    assert context["source"].startswith("own (")
    for text in (Page(render_html(context)).text, render_card(context)):
        said = re.sub(r"(Detectors|detectors) trained on FaceForensics\+\+ \(c23\)", "", text)  # the literature's
        assert "FaceForensics" not in said
        assert context["source"] in said


def test_what_was_never_trained_on_stands_apart(inputs: dict[str, Any]) -> None:
    context = build_context(**inputs)
    card, text = render_card(context), Page(render_html(context)).text
    trained, tested = text.split("Only tested on, never trained on: frames (videos)")
    trained = trained.partition("Trained on: frames (videos) in each split")[2]
    assert "FaceForensics++ Original original 420 (84) 90 (18) 90 (18) 0 (0)" in trained
    assert "All 840 (168) 180 (36) 180 (36) 0 (0)" in trained
    assert "FaceSwap" not in trained
    assert "FaceForensics++ FaceSwap deepfake 90 (18) 510 (102)" in tested
    assert "Celeb-DF Celeb-real original 80 (16) 0 (0) Celeb-DF SimSwap deepfake 80 (16) 0 (0)" in tested
    assert "clips" not in text
    evaluation, training = card.partition("## Evaluation data")[2].split("## Training data")
    assert "| FaceForensics++ | FaceSwap | deepfake | 90 | 18 |" in evaluation
    assert "FaceSwap" not in training.partition("## Quantitative analyses")[0]


def test_card_has_the_nine_parts_of_the_paper_and_whole_tables(inputs: dict[str, Any]) -> None:
    card = render_card(build_context(**inputs))
    assert re.findall(r"^## (\w+)", card, re.MULTILINE) == [
        *("Model", "Intended", "Factors", "Metrics", "Evaluation", "Training", "Quantitative", "Ethical", "Caveats")
    ]
    tables = re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE)
    assert len(tables) == 15
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1
    assert "\n\n\n" not in card


def test_an_adopted_network_has_its_architecture_beside_its_recipe(inputs: dict[str, Any]) -> None:
    inputs["train"] |= {"epochs_run": 0}
    imported = Imported(recipe="sbi-b4-c23", licence="for research", files=[])
    for arch, name in (("efficientnet_b4", "EfficientNet-B4"), ("onnx", "ONNX")):
        described = inputs["sidecar"].model_copy(update={"arch": arch, "imported": imported})
        card = render_card(build_context(**inputs | {"sidecar": described}))
        assert f"- Architecture: {name}, 63,789,521 parameters" in card
        assert "# Model card: sbi-b4-c23 deepfake detector" in card
        assert "by the recipe sbi-b4-c23; licence of its weights: for research" in card


def test_numbers() -> None:
    assert number(0.99234, [0.9806, 0.9981]) == "0.992 [0.981, 0.998]"
    assert number(0.5) == "0.500"
    assert number(-0.0001) == "0.000"
    assert number(None, None, "only one class") == "not defined: only one class"
    assert number(None) == "not defined"


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: install it to see the page rendered")
def test_chromium_shows_every_picture_at_any_width_and_the_limits_on_the_first_page(
    inputs: dict[str, Any], tmp_path: Path
) -> None:
    page, sizes = tmp_path / "report.html", dict[int, int]()
    page.write_text(render_html(build_context(**inputs)), encoding="utf-8")
    with browsing(tmp_path) as browser:
        for width in (360, 1280):
            browser.width(width)
            browser.open(page.as_uri())
            assert browser.too_wide(".scroll *") == []
            assert browser.pictures() == [True] * len(Page(page.read_text(encoding="utf-8")).all("img"))
            root = "document.documentElement.scroll"
            assert browser.evaluate(f"{root}Width") <= width
            sizes[width] = browser.evaluate(f"{root}Height")
        assert browser.scrolling() == []
        assert browser.on_first_page("#limits")
        assert not browser.on_first_page("#robustness")
        browser.width(360)
        assert "Test results by manipulation and data set" in browser.scrolling()
    assert sizes[360] > sizes[1280]
