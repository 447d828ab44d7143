"""`deepfake-detect report`: a case file says what was examined, with what, how, and what came out."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema_rs
import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from deepfake_detection.common.files import sha256_of
from deepfake_detection.common.text import figure
from deepfake_detection.inference.familiarity import (
    SIDE,
    Familiarity,
    familiarity_file,
    frame_statistics,
    save_familiarity,
)
from deepfake_detection.serving import view
from deepfake_detection.serving.case.record import case_schema
from deepfake_detection.serving.case.write import MOST_FILES
from deepfake_detection.serving.detector import Detector
from deepfake_detection.serving.words import UNFAMILIAR_HEADLINE, rounded_percent
from experiments.people.films import Part, draw, write_film
from tests.support.browser import CHROMIUM, browsing
from tests.support.checkpoints import network_with_statistics, save_checkpoint, sidecar
from tests.support.commands import command
from tests.support.tested import save_tested
from tests.unit.serving.test_cli import Run
from tests.unit.serving.test_cli import run as run

TIME = r"\d{4}-\d{2}-\d{2}.\d{2}:\d{2}:\d{2}(\+00:00| UTC)"
HOSTILE = "<script>alert(1)</script>"
Case = tuple[dict[str, Any], str]
NAMES = ("three.jpg", "two.mp4", "damaged.jpg")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of faces with test results, a picture of three people, a film of two, and a damaged file."""
    root = tmp_path_factory.mktemp("case")
    network = network_with_statistics(dropout=0.2)
    calibrated = {"thresholds": {"youden": 0.5}, "familiarity": 0.99}
    save_checkpoint(root / "b0.pth", network, sidecar(crop="face", margin=0.3, parameters=4_008_829, **calibrated))
    save_tested(root / "b0.pth")
    board = np.full((200, 600, 3), 70, np.uint8)
    for number in range(3):
        board[:, 200 * number : 200 * number + 200] = draw(Part(4 + 2 * number, 0, 0, 200), 0)
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = HOSTILE
    Image.fromarray(board).save(root / "three.jpg", quality=95, exif=exif)
    write_film(root / "two.mp4", [Part(14, 10, 10, 200), Part(20, 260, 10, 200)], 6, 480, 270)
    (root / "damaged.jpg").write_bytes((root / "three.jpg").read_bytes()[:3000])
    know(root / "b0.pth", 1e-3)
    return root


def know(checkpoint: Path, unlike: float) -> None:
    """Writes a familiarity for which all frames are about ``unlike`` times the limit from the training frames."""
    mean = frame_statistics(torch.zeros(1, 4, 4, 3, dtype=torch.uint8))[0] * 0
    whitening, layout = torch.eye(len(mean)) * unlike / 25, torch.zeros(SIDE**2)
    save_familiarity(familiarity_file(checkpoint), Familiarity(mean, whitening, layout, torch.tensor([-9.0])))


def copied(place: Path, to: Path) -> None:
    """The checkpoint, the files beside it and a picture, to be changed."""
    for path in (*place.glob("b0.*"), place / "three.jpg"):
        (to / path.name).write_bytes(path.read_bytes())


def report(run: Run, place: Path, tmp_path: Path, *names: str, **also: object) -> tuple[Any, dict[str, Any], str]:
    """What the command said, the JSON file, and the HTML file."""
    words = [word for name, value in also.items() for word in (f"--{name}", value)]
    files = [place / name for name in names]
    done = run("report", *files, "--checkpoint", place / "b0.pth", "--out", tmp_path / "case.html", "--force", *words)
    return done, json.loads((tmp_path / "case.json").read_text()), (tmp_path / "case.html").read_text()


@pytest.fixture(scope="module")
def whole(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The JSON and the HTML file of all three files."""
    out = tmp_path_factory.mktemp("out") / "case.html"
    assert command("report", *[place / name for name in NAMES], "--checkpoint", place / "b0.pth", "--out", out) == 1
    return json.loads(out.with_suffix(".json").read_text()), out.read_text()


class Reader(HTMLParser):
    """What a page refers to, and its text. ``open`` are the elements that were not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.refers: list[str] = []
        self.words: list[str] = []
        self.scripts = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.refers += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_a_picture_a_video_and_a_damaged_file(place: Path, whole: Case) -> None:
    case, page = whole
    picture, video, damaged = case["files"]
    assert [each["facts"]["sha256"] for each in case["files"]] == [sha256_of(place / name) for name in NAMES]
    assert len(picture["prediction"]["faces"]) == 3
    assert len(video["prediction"]["people"]) == 2
    assert (damaged["prediction"]["failed"], damaged["prediction"]["reason"]) == (True, "truncated")
    text = Reader(page).text
    headings = ["Before relying on a score"]
    headings += ["Question and propositions What was asked?", "Results What came out?", "Method How was it examined?"]
    headings += ["Validation How often is the network wrong?", "Limits What does a score not mean?"]
    headings += ["Versions With what was it examined?", "How to repeat it Can I repeat it?"]
    headings += ["How far can I trust it?", "Is it the file that I have?", "Claims, not facts"]
    places = [text.rindex(words) for words in headings[:8]]  # in the order of ISO 21043-5
    assert places == sorted(places)
    assert places[-1] < text.index(headings[-1])
    assert case["warnings"][0] in text
    assert all(
        technique in text
        for technique in ("pictures A face finder", "DFT-1176", "videos One frame a second", "DFT-1106")
    )
    digests = (sha256_of(place / "b0.pth"), picture["facts"]["sha256"])
    for words in (*headings, *digests, "Not judged : truncated.", picture["headline"], "face 3: ", "person 2: "):
        assert words in text, words
    assert page.count('alt="Crop') == 3 + 2
    judged = len(video["prediction"]["moments"])
    strips = page.split('<table class="strip">')[1:]
    assert [each.split("</table>")[0].count("<circle ") for each in strips] == [1 + 8, 1 + 8]
    assert (page.count('class="lane"'), page.count("<circle ")) == (2, judged + 2 * 9)
    assert "When is it suspicious? Person 1: " in text
    assert page.count('alt="Heat map') - page.count('alt="Heat map of the frame') == 3 + 2


def test_the_verdict_is_that_of_predict(run: Run, place: Path, whole: Case) -> None:
    printed = run("predict", *[place / name for name in NAMES[:2]], "--checkpoint", place / "b0.pth", "--json").out
    for examined, line in zip(whole[0]["files"][:2], printed.splitlines(), strict=True):
        found, expected = examined["prediction"], json.loads(line)
        assert found["verdict"] == expected["verdict"]
        assert found["logit"] == pytest.approx(expected["logit"], abs=1e-4)
        assert [each["box"] for each in found["faces"]] == [each["box"] for each in expected["faces"]]


def test_the_network_and_its_test_results_are_named(run: Run, place: Path, tmp_path: Path) -> None:
    _, case, page = report(run, place, tmp_path, "three.jpg", threshold="0.3")
    assert case["network"]["checkpoint_sha256"] == sha256_of(place / "b0.pth")
    assert case["network"]["sidecar_sha256"] == sha256_of(place / "b0.json")
    assert case["sidecar"]["frame"]["threshold"] == 0.3
    assert {"python", "torch", "pillow", "deepfake-detection"} <= set(case["software"])
    assert case["command"].startswith(f"deepfake-detect report {place / 'three.jpg'} --checkpoint")
    assert case["command"].endswith("--threshold 0.3")
    text = Reader(page).text
    assert case["command"] in text
    for result in case["tested"]["manipulations"]:
        value, low, high = (result["frame"]["auroc"][name] for name in ("value", "low", "high"))
        times = text.count(figure(value, (low, high)))
        assert times >= 1 + (not result["trained_on"]), result["name"]  # in the table, and beside the verdict
    assert "Trained on drawn faces. This network says nothing about photographs" in text
    assert case["files"][0]["trust"][0].startswith("Trained on drawn faces.")


def test_without_test_results_it_says_so_and_those_of_other_weights_are_refused(
    run: Run, place: Path, tmp_path: Path
) -> None:
    copied(place, tmp_path)
    described = tmp_path / "b0.json"
    described.write_text(described.read_text() + "\n")
    words = ("report", place / "three.jpg", "--checkpoint", tmp_path / "b0.pth", "--out", tmp_path / "case.html")
    assert "the test results of another b0.json, by its SHA-256" in run(*words).err
    assert not (tmp_path / "case.html").exists()
    (tmp_path / "b0.tested.json").unlink()
    done, case, page = report(run, tmp_path, tmp_path, "three.jpg")
    assert (done.status, case["tested"]) == (0, None)
    text = Reader(page).text
    assert "no test results lie beside the checkpoint" in text
    assert "no file with test results lies beside the checkpoint" in text


def test_two_runs_differ_in_the_time_alone(run: Run, place: Path, tmp_path: Path) -> None:
    (_, one, first), (_, other, second) = (report(run, place, tmp_path, "three.jpg") for _ in range(2))
    assert one | {"time": ""} == other | {"time": ""}
    assert len(re.findall(TIME, first)) == 2  # for the eye and for programs, in one element
    assert re.sub(TIME, "", first) == re.sub(TIME, "", second)


def test_it_refers_to_nothing_outside_and_runs_nothing(whole: Case) -> None:
    case, page = whole
    found = Reader(page)
    assert all(reference.startswith(("#", "data:image/")) for reference in found.refers)
    assert not re.search(r"url\(|@import|https?://", page)
    assert found.scripts == 0
    assert {"source": "EXIF", "name": "Software", "value": HOSTILE} in case["files"][0]["facts"]["claims"]
    assert HOSTILE in found.text  # as text
    anchors = {reference[1:] for reference in found.refers if reference.startswith("#")}
    assert anchors <= set(re.findall(r'id="([^"]+)"', page))


def test_the_json_file_is_as_its_schema_says(whole: Case) -> None:
    case, schema = whole[0], jsonschema_rs.validator_for(case_schema())
    assert [error.message for error in schema.iter_errors(case)] == []
    for wrong in (
        case | {"time": 1},
        {name: value for name, value in case.items() if name != "command"},
        case | {"files": [case["files"][0] | {"prediction": {"verdict": "fake"}}]},
    ):
        assert not schema.is_valid(wrong)


def test_a_file_that_is_there_is_kept(run: Run, place: Path, tmp_path: Path) -> None:
    words = ("report", place / "three.jpg", "--checkpoint", place / "b0.pth", "--out", tmp_path / "case.html")
    for name in ("case.json", "case.sha256.sig"):
        (tmp_path / name).write_text("mine")
        assert f"{name} is there already" in run(*words).err
        assert [path.name for path in tmp_path.iterdir()] == [name]
        (tmp_path / name).unlink()
    for name in ("b0.html", "b0.tested.html"):  # their JSON files would be the checkpoint's
        done = run("report", place / "three.jpg", "--checkpoint", place / "b0.pth", "--out", place / name, "--force")
        assert "is one of the files that are read: name another file with --out" in done.err


def test_a_file_that_changes_meanwhile_is_no_evidence(
    run: Run, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "three.jpg"
    path.write_bytes((place / "three.jpg").read_bytes())

    def changing(detector: Detector, file: Path, frames: int | None = None, check: bool = False) -> Any:
        found = view.shown(detector, file, frames, check)
        path.write_bytes(path.read_bytes() + b"more")
        return found

    monkeypatch.setattr("deepfake_detection.serving.case.record.shown", changing)
    done = run("report", path, "--checkpoint", place / "b0.pth", "--out", tmp_path / "case.html")
    assert done.status == 1
    assert done.err.endswith(f"error: {path}: it changed while it was examined; examine a copy that nothing changes\n")
    assert not (tmp_path / "case.html").exists()


def test_an_unfamiliar_picture_gets_no_verdict(run: Run, place: Path, tmp_path: Path) -> None:
    copied(place, tmp_path)
    know(tmp_path / "b0.pth", 5)
    _, case, page = report(run, tmp_path, tmp_path, "three.jpg")
    (examined,), text = case["files"], Reader(page).text
    assert (examined["headline"], examined["level"]) == (UNFAMILIAR_HEADLINE, "uncertain")
    assert "No verdict. The picture is unlike the training frames" in text
    assert not re.search("Clear, for|Leaning|of 100 such|in that range", text)
    assert f"{examined['headline']} no score" in text
    percent = rounded_percent(examined["prediction"]["probability"], case["sidecar"]["frame"]["threshold"])
    assert percent not in text.partition("How far can I trust it?")[0]


def test_what_the_examiner_says_stands_at_the_top(run: Run, place: Path, tmp_path: Path) -> None:
    said = {"case": "2026-117 <b>", "exhibit": "K-3", "examiner": "Lab 3", "reviewer": "Lab 4", "note": "from a phone"}
    asked = "Is a face in this picture swapped?"
    _, case, page = report(run, place, tmp_path, "three.jpg", question=asked, **said)
    assert case["assignment"] == said | {"question": asked}
    top, _, rest = Reader(page).text.partition("Question and propositions What was asked?")
    assert all(f"{name} {text}" in top for name, text in said.items())
    assert rest.startswith(f" {asked} A score is weighed for two propositions.")
    assert all(
        f"{words} that the network was calibrated on: " in rest
        for words in ("a manipulation of the kinds", "an unaltered recording of the kinds")
    )
    _, _, page = report(run, place, tmp_path, "three.jpg")
    assert "As the examiner says" not in page


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder without programs."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("names", "words", "said"),
    [
        (["gone.jpg"], [], "gone.jpg: no such file or directory"),
        (["three.jpg"], ["--out", "case.pdf"], "--out case.pdf: it will be an HTML page"),
        (["three.jpg"], ["--threshold", "fpr@0.2"], "threshold fpr@0.2 is not there"),
        (["three.jpg"] * (MOST_FILES + 1), [], f"a case file holds at most {MOST_FILES}"),
        (["three.jpg"], ["--pdf"], "--pdf: neither Chromium nor WeasyPrint is there"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    run: Run, place: Path, tmp_path: Path, nowhere: None, names: list[str], words: list[str], said: str
) -> None:
    done = run("report", *[place / name for name in names], "--checkpoint", place / "b0.pth", *words)
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert said in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_printer_that_fails_is_one_line_and_the_page_is_kept(
    run: Run, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printer = tmp_path / "weasyprint"
    printer.write_text("#!/bin/sh\necho out of paper >&2; exit 3\n")
    printer.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("deepfake_detection.serving.case.write.BROWSERS", ())
    done = run("report", place / "three.jpg", "--checkpoint", place / "b0.pth", "--pdf")
    assert done.status == 1
    assert done.err.endswith(f"error: --pdf: {printer} wrote nothing: out of paper\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["case.html", "case.json", "case.sha256", "weasyprint"]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: install it to see a case file printed")
def test_a_browser_shows_it_at_any_width_and_prints_it(run: Run, place: Path, tmp_path: Path, whole: Case) -> None:
    page = tmp_path / "case.html"
    page.write_text(whole[1])
    with browsing(tmp_path) as browser:
        for width in (360, 1280):
            browser.width(width)
            browser.open(page.as_uri())
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
            assert all(browser.pictures())
        assert browser.scrolling() == []
        # the warnings, the propositions, what came out and how stand above; the test results are whole on the next
        assert browser.on_first_page("#method ~ table")
        assert not browser.on_first_page("#tests ~ .scroll")
        assert browser.complaints == []
        shown = {request.partition(",")[0].partition(";")[0] for request in browser.requests}
        assert shown <= {page.as_uri(), *(f"data:image/{kind}" for kind in ("jpeg", "png"))}
    words = ("--checkpoint", place / "b0.pth", "--out", page, "--pdf", "--force")
    assert run("report", place / "three.jpg", *words).status == 0
    assert page.with_suffix(".pdf").read_bytes().startswith(b"%PDF-")
