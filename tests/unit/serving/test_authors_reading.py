"""A network of others sees and says what its authors let it, and nothing calls that a probability."""

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import av
import jsonschema_rs
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.special import expit

from deepfake_detection import Detector, UserError, VideoPrediction
from deepfake_detection.common.crop_rule import CropRule
from deepfake_detection.network.model import Network
from deepfake_detection.network.normalise import Normalise
from deepfake_detection.network.sidecar import UNCALIBRATED, Imported, Sidecar
from deepfake_detection.pictures.faces import DetectedFace, detect_faces
from deepfake_detection.serving import view
from deepfake_detection.serving.authors_reading import video_score
from deepfake_detection.serving.case.record import case_schema
from deepfake_detection.serving.explain import explain
from deepfake_detection.serving.export import export
from deepfake_detection.serving.results import Face
from deepfake_detection.serving.web import api
from deepfake_detection.serving.words import checkpoint_facts, checkpoint_table, face_words
from experiments.people.films import Part
from tests.support.checkpoints import network_with_statistics, save_checkpoint, sidecar
from tests.support.commands import command
from tests.support.pages import page_of
from tests.unit.pictures.test_crops import AUTHORS, Frame
from tests.unit.serving.test_people import film

IMAGENET = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
HALF = [0.5] * 3, [0.5] * 3
NONE = [0.0] * 3, [1.0] * 3


class Watched(Network):
    """Keeps what it is shown, normalised. The logit is the mean of it, so that it differs from face to face."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        torch.nn.Module.__init__(self)
        self.unused = torch.nn.Parameter(torch.zeros(1))
        self.normalise = Normalise(mean, std)
        self.seen: list[NDArray[np.float32]] = []

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        tensor: torch.Tensor = self.normalise(frames)
        self.seen += list(tensor.numpy())
        return tensor.mean((1, 2, 3))


def imported(crop: CropRule, margin: float, size: int, **reading: Any) -> Sidecar:
    values = {"recipe": "test", "licence": "CC BY-NC 4.0", "files": ["0" * 64]} | reading
    return sidecar(crop=crop, margin=margin, input_size=[size, size], calibrated=False, imported=values)


def areas(faces: list[DetectedFace]) -> list[int]:
    return [(box.right - box.left) * (box.bottom - box.top) for box, _ in faces]


def mean_of_highest(frames: list[NDArray[np.float64]]) -> float:
    return float(np.mean([expit(logits).max() for logits in frames]))


def confident(frames: list[NDArray[np.float64]]) -> float:
    scores = expit(np.concatenate(frames))
    fakes = scores[scores > 0.8]
    if len(fakes) > len(scores) // 2.5 and len(fakes) > 11:
        return float(fakes.mean())
    originals = scores[scores < 0.2]
    return float((originals if len(originals) > 0.9 * len(scores) else scores).mean())


# the crop, mean and std, which faces of a frame count, what the authors do with them, and what becomes of the logits
RECIPES: dict[str, tuple[CropRule, Any, str, Callable[[list[DetectedFace]], list[DetectedFace]], str, Any]] = {
    "selimsef-b7": ("letterbox", IMAGENET, "each", lambda faces: faces, "confident", confident),
    "sbi-b4": (
        "box",
        NONE,
        "large",
        lambda faces: [face for face, area in zip(faces, areas(faces), strict=True) if area >= max(areas(faces)) / 2],
        "mean",
        mean_of_highest,
    ),
    "polimi-b4": (
        "square",
        IMAGENET,
        "first",
        lambda faces: faces[:1],
        "mean_logit",
        lambda frames: float(expit(np.mean(frames))),
    ),
    "deepfakebench-b4": ("aligned", HALF, "first", lambda faces: faces[:1], "mean", mean_of_highest),
}


@pytest.fixture(scope="module")
def two_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of 60 pictures with a large face and a small one."""
    parts = [Part(14, 10, 10, 240), Part(20, 350, 70, 96), Part(22, 350, 168, 96)]
    return film(tmp_path_factory.mktemp("film") / "a.mp4", parts, 12)


def pictures_of(path: Path) -> list[Frame]:
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def film_and_faces(two_people: Path) -> tuple[list[Frame], dict[int, list[DetectedFace]]]:
    """All pictures of the film, and the faces of the 32 that are taken, from the first to the last."""
    pictures = pictures_of(two_people)
    return pictures, {at: detect_faces(pictures[at]) for at in np.linspace(0, len(pictures) - 1, 32).astype(int)}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_picture_and_a_video_are_seen_and_scored_as_its_authors_do(
    recipe: str, two_people: Path, film_and_faces: tuple[list[Frame], dict[int, list[DetectedFace]]]
) -> None:
    crop, (mean, std), which, counted, how, together = RECIPES[recipe]
    cut, margin, published = AUTHORS[crop]
    network = Watched(mean, std)

    def detector(size: int) -> Detector:
        return Detector(network, imported(crop, margin, size, faces=which, frames=how))

    def tensors(pixels: Frame, faces: list[DetectedFace], size: int) -> list[NDArray[np.float64]]:
        """By the authors' rule alone, in float64."""
        return [((cut(pixels, face, size) / 255 - mean) / std).transpose(2, 0, 1) for face in faces]

    pictures, found_faces = film_and_faces
    shown = found_faces[0]
    assert len(shown) > 1
    # of a picture, small faces count too
    wanted = tensors(pictures[0], shown[:1] if which == "first" else shown, published)
    found = detector(published).predict(pictures[0])
    assert np.abs(np.array(network.seen) - wanted).max() < 1e-6
    assert (found.verdict, found.probability, found.reason) == ("uncalibrated", None, UNCALIBRATED)
    assert found.authors_score == pytest.approx(expit(max(each.mean() for each in wanted)), abs=1e-5)

    network.seen.clear()
    each = [tensors(pictures[at], counted(faces), 64) for at, faces in found_faces.items() if faces]
    video = detector(64).video(two_people)
    assert isinstance(video, VideoPrediction)
    assert len(network.seen) == len(video.moments) == sum(map(len, each))
    assert (len(network.seen) > 40) == (which == "each"), "the small faces count for one of the recipes alone"
    assert np.abs(np.array(network.seen) - [*chain.from_iterable(each)]).max() < 1e-6
    score = together([np.array([one.mean() for one in frame]) for frame in each])
    assert video.authors_score == pytest.approx(score, abs=1e-5)
    assert (video.verdict, video.probability, video.people) == ("uncalibrated", None, ())
    assert expit(video.logit) == pytest.approx(score, abs=1e-5)


def test_the_confident_mean_leaves_out_what_is_not_clear() -> None:
    authors = Imported(recipe="test", licence="", files=[], frames="confident")
    fake, unclear, original = 3.0, 0.0, -3.0

    def score(fakes: int, unclears: int, originals: int) -> float:
        return video_score([[fake]] * fakes + [[unclear]] * unclears + [[original]] * originals, authors)

    assert score(13, 19, 0) == pytest.approx(expit(3))  # more than 2 in 5 of 32
    assert score(12, 20, 0) == pytest.approx((12 * expit(3) + 10) / 32)
    assert score(11, 3, 0) == pytest.approx((11 * expit(3) + 1.5) / 14)  # more than 2 in 5, but 11
    assert score(0, 3, 29) == pytest.approx(expit(-3))
    assert score(0, 4, 28) == pytest.approx((2 + 28 * expit(-3)) / 32)
    # all faces of all frames are together
    assert video_score([[fake, unclear]] * 13, authors) == pytest.approx(expit(3))


def test_once_calibrated_it_is_read_as_ours(two_people: Path) -> None:
    described = imported("letterbox", 1 / 3, 64, frames="confident").model_copy(update={"calibrated": True})
    found = Detector(Watched(*IMAGENET), described).video(two_people, frames=6)
    assert found.verdict in ("fake", "original")
    assert found.probability is not None
    assert found.authors_score is None
    assert len(found.people) == 3


def test_every_way_to_show_it_says_uncalibrated_and_no_probability(
    two_people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, picture = tmp_path / "b0.pth", tmp_path / "a.png"
    described = imported("box", 0.125, 32, video_frames=2)
    save_checkpoint(checkpoint, network_with_statistics(0.0), described)
    Image.fromarray(pictures_of(two_people)[0]).save(picture)
    detector = Detector.load(checkpoint)
    monkeypatch.setattr("deepfake_detection.serving.view.detector_of", lambda *_: detector)
    monkeypatch.setattr("deepfake_detection.serving.options.load_detector", lambda *_, **__: detector)
    seen = detector.predict([picture, two_people])
    scores = [each.authors_score or 0.0 for each in seen]

    def printed(*words: object) -> tuple[str, str]:
        assert command("predict", picture, two_people, "--checkpoint", checkpoint, *words) == 0
        done = capsys.readouterr()
        return done.out, done.err

    table, err = printed()
    header, *lines = table.splitlines()
    assert header.split() == ["verdict", "score", "path"]
    assert [line.split()[:2] for line in lines] == [["uncalibrated", f"{score:.3f}"] for score in scores]
    assert all(UNCALIBRATED in line for line in lines)
    assert "2 files: 2 uncalibrated" in err
    for fields, score in zip(map(json.loads, printed("--json")[0].splitlines()), scores, strict=True):
        assert (fields["verdict"], fields["probability"], fields["threshold"]) == ("uncalibrated", None, None)
        assert fields["authors_score"] == pytest.approx(score, rel=1e-3)
        faces = fields["faces"] or [moment["face"] for moment in fields["moments"]]
        assert {(face["verdict"], face["probability"], face["evidence"]) for face in faces} == {
            ("uncalibrated", None, None)
        }
    for row, score in zip(csv.DictReader(io.StringIO(printed("--csv")[0])), scores, strict=True):
        assert (row["verdict"], row["probability"], row["threshold"]) == ("uncalibrated", "", "")
        assert float(row["authors_score"]) == pytest.approx(score, abs=1e-3)
        assert (row["frames"], row["frames_above"]) == ("2" if row["path"].endswith("mp4") else "", "")
    assert api.predict(checkpoint, picture, None, None)["verdict"] == "uncalibrated"

    assert command("report", picture, two_people, "--checkpoint", checkpoint, "--out", tmp_path / "case.html") == 0
    capsys.readouterr()
    for path, score in zip((picture, two_people), scores, strict=True):
        title = explain(detector, path).get_suptitle()
        assert f"the authors' score {score:.3f} out of 1" in title
        assert UNCALIBRATED in title
        assert "probability of" not in title
    case = json.loads((tmp_path / "case.json").read_text())
    jsonschema_rs.validate(case_schema(), case)
    shown = [(tmp_path / "case.html").read_text()]
    shown += [page_of(view.values_of(checkpoint, path), detector.sidecar) for path in (picture, two_people)]
    for examined, page, score in zip(case["files"], shown[1:], scores, strict=True):
        headline = f"Uncalibrated: the authors' score is {score:.3f} out of 1"
        assert examined["headline"] == headline
        assert headline.replace("'", "&#39;") in page
        assert headline.replace("'", "&#39;") in shown[0]
        assert f'data-percent="{score:.3f}"' in page
    for text in shown:
        body = re.sub(r"<style.*?</style>|base64,[^\"]*", "", text, flags=re.DOTALL)
        assert UNCALIBRATED.replace("'", "&#39;") in body
        assert not re.search(r"probability of a deepfake<|\d%</|threshold \d|robabilities hold|drawn faces", body)
    facts = checkpoint_table(checkpoint_facts(checkpoint))
    assert f"decides     nothing, {UNCALIBRATED}" in facts
    assert "by the recipe test; CC BY-NC 4.0" in facts
    assert "thresholds" not in facts


@pytest.mark.parametrize(("logit", "score"), [(-1e7, "0.000"), (0.0, "0.500"), (1e7, "1.000")])
def test_a_score_is_said_of_a_logit_of_any_size(logit: float, score: str) -> None:
    assert face_words(Face(None, logit, None, "uncalibrated")) == f"score {score}"


def test_no_threshold_holds_for_it() -> None:
    with pytest.raises(UserError, match=f"^threshold 0.4: {UNCALIBRATED}, so no threshold holds for it$"):
        imported("box", 0.125, 32).at_threshold(0.4)


@pytest.mark.slow
def test_what_is_exported_gives_no_probability(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnxruntime")
    checkpoint = tmp_path / "b0.pth"
    save_checkpoint(checkpoint, network_with_statistics(0.0), imported("box", 0.125, 32))
    assert export(checkpoint, "onnx", tmp_path / "b0.onnx").decisions == 0
    session = onnx.InferenceSession(tmp_path / "b0.onnx")
    assert [output.name for output in session.get_outputs()] == ["authors_score", "logit"]
    assert json.loads(session.get_modelmeta().custom_metadata_map["calibrated"]) is False
