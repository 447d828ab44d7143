"""A verdict that a mild change flips is uncertain, and says by which change."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deepfake_detection import Detector
from deepfake_detection.common.crop_rule import CropRule
from deepfake_detection.network.model import Network
from deepfake_detection.pictures.crops import PLACES, crop_face
from deepfake_detection.pictures.faces import Box, DetectedFace, Landmarks, detect_faces
from deepfake_detection.serving.people import KeptFrames
from deepfake_detection.serving.results import flips
from deepfake_detection.serving.stability import CHANGES, MOST_FRAMES, around, checked, checked_picture, checked_video
from experiments.people.films import Part, draw
from tests.support.checkpoints import sidecar
from tests.support.commands import command
from tests.unit.serving.test_people import film

NAMES = list(CHANGES)


class Bright(Network):
    """The brighter, the more of a fake: the logit is 0 at a mean of ``middle``."""

    def __init__(self, middle: float) -> None:
        torch.nn.Module.__init__(self)
        self.middle = middle
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return frames.float().mean((1, 2, 3)) - self.middle


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    return np.pad(draw(Part(4, 0, 0, 200), 0), ((150, 100), (130, 190), (0, 0)), mode="edge")


@pytest.mark.parametrize("rule", [*PLACES, "aligned"])
def test_the_part_that_is_changed_holds_the_whole_crop_also_when_it_is_mirrored(
    rule: CropRule, portrait: np.ndarray
) -> None:
    (face,) = detect_faces(portrait)
    edge = DetectedFace(Box(0, 0, 120, 140, 1.0), Landmarks(*np.subtract(face.landmarks, [60.0, 130.0] * 5)))
    for each in (face, edge):
        whole = crop_face(portrait, each, rule, 0.3, 96)
        part = around(portrait, each, 0.3)
        assert part[0].size < portrait.size
        np.testing.assert_array_equal(crop_face(*part, rule, 0.3, 96), whole)
        mirrored = crop_face(*CHANGES["mirrored"](*part), rule, 0.3, 96)[:, ::-1].astype(int)
        assert np.abs(mirrored - whole).mean() < 6  # the template of "aligned" is not quite symmetrical


def test_changes_are_mild_and_each_changes_something(portrait: np.ndarray) -> None:
    (face,) = detect_faces(portrait)
    own = crop_face(portrait, face, "face", 0.3, 96).astype(int)
    for name, change in CHANGES.items():
        changed = crop_face(*change(*around(portrait, face, 0.3)), "face", 0.3, 96)
        assert 0 < np.abs(changed - own).mean() < (40 if name == "mirrored" else 8), name
    assert max(around(np.zeros((3000, 2000, 3), np.uint8), None, 0.3)[0].shape) == 1024


@pytest.mark.parametrize(("share", "expected"), [(0.97, ["5% darker"]), (1.03, ["5% brighter"]), (0.8, [])])
def test_a_flip_makes_a_picture_uncertain(
    share: float, expected: list[str], portrait: np.ndarray, tmp_path: Path
) -> None:
    (face,) = detect_faces(portrait)
    mean = float(crop_face(portrait, face, "face", 0.3, 64).mean())
    detector = Detector(Bright(share * mean), sidecar(input_size=[64, 64], crop="face", margin=0.3))
    found = checked_picture(detector, detector.predict(portrait), portrait)
    was, then = ("fake", "original") if share < 1 else ("original", "fake")
    assert [check.change for check in found.checks] == NAMES
    assert flips(found) == expected
    assert found.verdict == ("uncertain" if expected else was)
    assert found.faces[0].verdict == was
    assert found.reason == (f"{was} as it is, {then} {expected[0]}" if expected else "")
    large = np.asarray(Image.fromarray(portrait).resize((900, 900)))
    Image.fromarray(large).save(tmp_path / "large.png")
    (tmp_path / "none.jpg").write_text("no picture")
    one, other = checked(detector, [str(tmp_path / "large.png"), str(tmp_path / "none.jpg")], 16, None, fill=False)
    assert len(one.checks) == len(NAMES)
    assert (other.failed, other.checks) == (True, ())


def test_of_a_film_the_frames_of_the_person_who_decides_are_changed(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [Part(14, 10, 10, 120), Part(20, 260, 10, 120)], 6)
    plain = Detector(Bright(0.0), sidecar(input_size=[64, 64], crop="face", margin=0.3)).video(path)
    means = {person.number: person.logit for person in plain.people}
    middle = 0.97 * means[1]
    detector = Detector(Bright(middle), sidecar(input_size=[64, 64], crop="face", margin=0.3))
    with KeptFrames() as kept:
        found = checked_video(detector, detector.video(path, kept=kept), kept)
    assert len(found.people) == 2
    assert found.people[0].frames > MOST_FRAMES
    assert "5% darker" in flips(found)
    assert found.verdict == "uncertain"
    darker = next(check for check in found.checks if check.change == "5% darker")
    assert darker.logit == pytest.approx(0.95 * means[1] - middle, abs=1)
    (again,) = checked(detector, [str(path)], 16, None, fill=False)
    assert again.checks == found.checks


def test_the_command_checks_on_demand(
    portrait: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mean = float(portrait.mean())
    detector = Detector(Bright(0.97 * mean), sidecar(input_size=[64, 64]), name="b0.pth")
    monkeypatch.setattr("deepfake_detection.serving.options.load_detector", lambda *_, **__: detector)
    for name in ("b0.pth", "b0.json"):
        (tmp_path / name).write_text(detector.sidecar.model_dump_json())
    Image.fromarray(portrait).save(tmp_path / "a.png")
    said = []
    for more in ([], ["--check"]):
        words = ["--checkpoint", str(tmp_path / "b0.pth"), "--json", *more]
        assert command("predict", tmp_path / "a.png", *words) == 0
        said.append(json.loads(capsys.readouterr().out))
    assert [each["verdict"] for each in said] == ["fake", "uncertain"]
    assert [each["change"] for each in said[1]["checks"]] == NAMES
    assert said[0]["checks"] == []
