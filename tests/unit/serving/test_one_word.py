"""The verdict of a file is one word: in the table, JSON, CSV, the summary, the page, the case file and the API."""

import csv
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from deepfake_detection.serving import view
from deepfake_detection.serving.detector import Detector
from deepfake_detection.serving.results import Prediction, VideoPrediction
from deepfake_detection.serving.web import api
from experiments.people.films import Part
from tests.support.checkpoints import sidecar
from tests.support.commands import command
from tests.support.pages import page_of
from tests.unit.serving.test_people import MarkMeansFake, film, marked_swaps

__all__ = ["marked_swaps"]
FILMS = {
    "fake": [Part(22, 10, 10, 120, swapped=(0, 12))],
    "partly fake": [Part(22, 10, 10, 120, swapped=(8, 12))],
    "original": [Part(22, 10, 10, 120)],
}


@dataclass
class Said:
    """What each way to judge says of a file."""

    table: str
    json: str
    csv: str
    summary: str
    page: str
    case: str
    api: str


@pytest.mark.usefixtures("marked_swaps")
@pytest.mark.parametrize(
    "verdict", [pytest.param(each, marks=() if each == "partly fake" else pytest.mark.slow) for each in FILMS]
)
def test_a_film_gets_one_word(
    verdict: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    detector = Detector(MarkMeansFake(), sidecar(input_size=[64, 64], crop="face", margin=0.3), name="b0.pth")
    path = film(tmp_path / "a.mp4", FILMS[verdict], 12)
    monkeypatch.setattr("deepfake_detection.serving.options.load_detector", lambda *_, **__: detector)
    monkeypatch.setattr("deepfake_detection.serving.view.detector_of", lambda *_: detector)
    monkeypatch.setattr(view, "_look", lambda *_: {})
    for name in ("b0.pth", "b0.json"):
        (tmp_path / name).write_text(detector.sidecar.model_dump_json())

    def printed(*words: str) -> tuple[str, str]:
        assert command("predict", path, path, "--checkpoint", tmp_path / "b0.pth", *words) == 0
        done = capsys.readouterr()
        return done.out, done.err

    table, err = printed()
    assert command("report", path, "--checkpoint", tmp_path / "b0.pth", "--out", tmp_path / "case.html") == 0
    capsys.readouterr()
    page = page_of(view.values_of(tmp_path / "b0.pth", path), detector.sidecar)
    (examined,) = json.loads((tmp_path / "case.json").read_text())["files"]
    word = r"(fake|partly fake|original|uncertain|unfamiliar|none)\b"
    headline = re.search(rf'<h2 id="verdict"[^>]*>{word}', page, re.IGNORECASE)
    row = re.search(rf"^{word} +\S+  .*a\.mp4", table, re.MULTILINE)
    counted = re.search(rf"2 files: 2 {word}", err)
    of_case = re.match(word, examined["headline"], re.IGNORECASE)
    assert headline
    assert row
    assert counted
    assert of_case
    said = Said(
        table=row[1],
        json=json.loads(printed("--json")[0].splitlines()[0])["verdict"],
        csv=next(csv.DictReader(io.StringIO(printed("--csv")[0])))["verdict"],
        summary=counted[1],
        page=headline[1].lower(),
        case=of_case[1].lower(),
        api=api.predict(tmp_path / "b0.pth", path, None, None)["verdict"],
    )
    assert set(vars(said).values()) == {verdict}
    assert examined["prediction"]["verdict"] == verdict
    assert examined["prediction"]["people"][0]["verdict"] == verdict


def test_json_and_csv_say_which_network_and_threshold() -> None:
    detector = Detector(MarkMeansFake(), sidecar(frame={"threshold": 0.3}, video={"threshold": 0.4}), name="b0.pth")
    picture, video = (detector.about(kind("a", "none")) for kind in (Prediction, VideoPrediction))
    assert (picture["model"], picture["threshold"], video["threshold"]) == ("b0.pth", 0.3, 0.4)
    assert re.fullmatch(r"\d+\.\d+\.\d+", picture["version"])
