"""Each person of a video is followed and judged on their own, and the number of looks is corrected for."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit

from deepfake_detection import Detector
from deepfake_detection.inference.video_score import WINDOW
from deepfake_detection.network.model import Network
from deepfake_detection.network.sidecar import Calibration
from deepfake_detection.pictures.faces import Box, DetectedFace, Landmarks, detect_faces
from deepfake_detection.serving import view
from deepfake_detection.serving.explain import explain
from deepfake_detection.serving.people import KeptFrames, Sighting, follow_people, look_of
from deepfake_detection.serving.results import Score, people_of, verdict_of
from deepfake_detection.videos.video import Video
from experiments.people.films import Part, draw, write_film
from tests.support.checkpoints import sidecar
from tests.support.pages import page_of
from tests.unit.videos.test_video import Counting
from tests.unit.videos.test_video import film as grey_film

ODDS = sidecar()  # the logit is the calibrated log odds


class MarkMeansFake(Network):
    """A swapped face has a green mark: the logit is 6 if 0.5% of a crop or more are green, and -3 else."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        red, green, blue = frames.float().permute(3, 0, 1, 2)
        share = (green - torch.maximum(red, blue) > 60).float().mean((1, 2))
        return torch.where(share >= 0.005, 6.0, -3.0)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(MarkMeansFake(), sidecar(input_size=[64, 64], crop="face", margin=0.3))


def film(path: Path, parts: Sequence[Part], seconds: int) -> Path:
    write_film(path, parts, seconds, 480, 270)
    return path


@pytest.fixture
def marked_swaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Swapped faces have the mark that the network above knows, on their hair."""

    def marked(part: Part, second: int) -> Any:
        pixels = draw(replace(part, swapped=(0, 0)), second)
        if part.swapped[0] <= second < part.swapped[1]:
            pixels[part.size // 10 :, part.size // 2 :][: part.size // 8, : part.size // 8] = (0, 255, 0)
        return pixels

    monkeypatch.setattr("experiments.people.films.draw", marked)


@pytest.mark.usefixtures("marked_swaps")
def test_a_small_swapped_face_beside_a_large_genuine_one_decides(tmp_path: Path, detector: Detector) -> None:
    large, small = Part(14, 10, 10, 240), Part(20, 350, 70, 96, swapped=(0, 6))
    found = detector.video(film(tmp_path / "a.mp4", [large, small], 6))
    assert [person.verdict for person in found.people] == ["fake", "original"]
    assert found.verdict == "fake"
    assert found.logit == found.people[0].logit
    for person, part in zip(found.people, (small, large), strict=True):
        boxes = [moment.face.box for moment in found.moments if moment.person == person.number]
        assert len(boxes) == person.frames > 10
        for box in boxes:
            assert box is not None
            assert part.left <= box.left < box.right <= part.left + part.size
    # the frames of both are sorted together
    logits = [moment.face.logit for moment in found.moments]
    assert logits == sorted(logits, reverse=True)


@pytest.mark.usefixtures("marked_swaps")
def test_a_swap_in_the_last_tenth_decides_as_a_stretch(tmp_path: Path, detector: Detector) -> None:
    found = detector.video(film(tmp_path / "a.mp4", [Part(22, 10, 10, 160, swapped=(36, 40))], 40))
    (person,) = found.people
    assert len(found.moments) == 40  # one a second
    assert person.logit < 0  # the whole looks genuine
    stretch = person.stretch
    assert stretch is not None
    assert (stretch.start, stretch.end) == pytest.approx((36, 40), abs=0.3)
    assert stretch.frames == 4
    assert (found.verdict, found.probability) == ("partly fake", person.probability)
    assert stretch.probability == pytest.approx(expit(stretch.logit))
    # the mean of the odds of all windows, of which the two within the stretch have nearly all
    assert person.probability == pytest.approx(expit(stretch.logit + np.log(2 / (40 - WINDOW + 1))), abs=0.01)


@pytest.mark.usefixtures("marked_swaps")
def test_a_cut_begins_another_person(tmp_path: Path, detector: Detector) -> None:
    parts = [Part(22, 100, 20, 200, end=8), Part(14, 100, 20, 200, start=8, swapped=(8, 12))]
    found = detector.video(film(tmp_path / "a.mp4", parts, 12), 12)
    first, second = sorted(found.people, key=lambda person: person.first)
    assert (first.verdict, first.frames, second.verdict, second.frames) == ("original", 8, "fake", 4)
    assert (first.last, second.first, second.last) == pytest.approx((8, 8, 12), abs=0.3)


def sighting(left: int, tone: float, width: int = 100) -> Sighting:
    marks = Landmarks(*[0.0] * 10)
    rng = np.random.default_rng(0)
    looks = rng.normal(size=(2, 192))
    looks[1] -= looks[0] * (looks[0] @ looks[1]) / (looks[0] @ looks[0])
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    look = (np.cos(tone) * looks[0] + np.sin(tone) * looks[1]).astype(np.float32)
    return Sighting(DetectedFace(Box(left, 0, left + width, 100, 0.9), marks), look)


@pytest.mark.parametrize(
    ("second", "people"),
    [
        (sighting(0, 0.0), 1),
        (sighting(30, 0.8), 1),  # it moved a little, and looks somewhat the same (0.70)
        (sighting(30, 1.0), 2),  # in the same place, but unlike (0.54)
        (sighting(500, 0.5), 2),  # elsewhere, much the same is not enough
        (sighting(500, 0.2), 1),  # elsewhere, but nearly equal (0.98)
    ],
)
def test_one_person_is_in_the_same_place_or_looks_the_same(second: Sighting, people: int) -> None:
    same = sighting(0, 0.0).look
    assert len(follow_people([[sighting(0, 0.0)], [], [second]], [same] * 3)) == people


def test_behind_a_cut_only_the_look_counts() -> None:
    one, other = sighting(0, 0.0), sighting(0, 0.7)  # in the same place, rather alike (0.76)
    shots = [sighting(0, tone).look for tone in (0.0, 1.5, 1.5, 0.0)]
    cut_between = shots[:2]
    assert len(follow_people([[one], [other]], cut_between)) == 2
    assert len(follow_people([[one], [sighting(500, 0.1)]], cut_between)) == 1
    # shot and reverse shot
    assert [len(track) for track in follow_people([[one], [other], [other], [one]], shots)] == [2, 2]


def test_each_face_of_a_frame_is_another_person_however_alike() -> None:
    twins = [sighting(0, 0.0), sighting(300, 0.0)]
    tracks = follow_people([twins, twins[::-1], twins], [twins[0].look] * 3)
    assert [[face.box.left for face in track.values()] for track in tracks] == [[0, 0, 0], [300, 300, 300]]
    assert follow_people([[], []], [twins[0].look] * 2) == []


def test_a_look_tells_people_apart() -> None:
    """On frames of one drawn person and of another."""
    same, other = [], []
    for who in (4, 10, 14, 16, 20):
        looks = []
        for person, second in ((who, 0), (who, 1), (who + 2, 0)):
            pixels = draw(Part(person, 0, 0, 200), second)
            looks.append(look_of(pixels, detect_faces(pixels)[0]))
        same.append(float(looks[0] @ looks[1]))
        other.append(float(looks[0] @ looks[2]))
    assert min(same) > max(other)


def tracks_of(*people: Sequence[float], unfamiliarity: float | None = None) -> Any:
    return [[(at, at + 1, Score(logit, unfamiliarity)) for at, logit in enumerate(logits)] for logits in people]


def test_the_odds_are_divided_by_the_number_of_people() -> None:
    alone = people_of(tracks_of([2.0] * 3), ODDS)[1]
    assert alone[0].verdict == "fake"
    assert alone[0].probability == pytest.approx(expit(2.0))
    among_ten = people_of(tracks_of([2.0] * 3, *[[-9.0] * 3] * 9), ODDS)[1]
    assert (among_ten[0].verdict, among_ten[0].logit) == ("original", 2.0)
    assert among_ten[0].probability == pytest.approx(expit(2 - np.log(10)))
    assert [person.number for person in among_ten] == list(range(1, 11))
    # with another temperature, it is the calibrated odds that are divided
    warm = Calibration(temperature=4.0, bias=0.5)
    assert verdict_of(Score(8.0, None), warm, 3)[0] == pytest.approx(expit(2.5 - np.log(3)))


@pytest.mark.parametrize("people", [3, 10])
def test_genuine_people_are_called_fake_as_rarely_when_there_are_more(people: int) -> None:
    """Calibrated scores, log likelihood ratios of two normal distributions: false alarms at a threshold of 0.9."""
    rng = np.random.default_rng(people)
    logits = rng.normal(-2, 2, (2000, people))  # of fakes it would be +2
    strict = sidecar().at_threshold(0.9)
    alarms = sum(people_of(tracks_of(*row[:, None]), strict)[1][0].verdict == "fake" for row in logits)
    alone = (rng.normal(-2, 2, 2000) >= np.log(9)).sum()
    assert alarms <= alone * 1.3
    uncorrected = (logits.max(1) >= np.log(9)).sum()
    assert uncorrected > 2 * alone


def test_a_stretch_that_is_unfamiliar_decides_nothing() -> None:
    logits = [-9.0] * 20 + [9.0] * 4
    assert people_of(tracks_of(logits, unfamiliarity=0.5), ODDS)[1][0].verdict == "partly fake"
    (person,) = people_of(tracks_of(logits, unfamiliarity=1.5), ODDS)[1]
    assert (person.verdict, person.stretch) == ("unfamiliar", None)
    # the person is familiar as a whole, and the stretch is not
    ((*track,),) = tracks_of(logits, unfamiliarity=0.5)
    track[20:] = [(start, end, Score(score.logit, 2.0)) for start, end, score in track[20:]]
    (person,) = people_of([track], ODDS)[1]
    assert person.verdict == "original"
    assert person.stretch is not None
    assert person.stretch.logit < 0


def test_few_frames_have_no_stretch() -> None:
    assert people_of(tracks_of([1.0] * WINDOW), ODDS)[1][0].stretch is None
    (person,) = people_of(tracks_of([1.0] * (WINDOW + 1)), ODDS)[1]
    assert person.stretch is not None
    assert person.verdict == "fake"  # the whole, not a part
    assert (person.stretch.start, person.stretch.end, person.stretch.frames) == (0, 4, 4)


@pytest.mark.usefixtures("marked_swaps")
def test_a_video_is_decoded_once(tmp_path: Path, detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "a.mp4", [Part(4, 10, 10, 120, swapped=(0, 4))], 4)
    opened: list[Counting] = []

    def counting(*given: Any) -> Counting:
        opened.append(Counting(*given))
        return opened[-1]

    monkeypatch.setattr("deepfake_detection.serving.judge_video.Video", counting)
    monkeypatch.setattr(view, "_look", lambda *_: {})  # of a network that is no EfficientNet
    monkeypatch.setattr("deepfake_detection.serving.explain._draw_maps", lambda *_: None)
    for ask in (detector.video, lambda path: view.shown(detector, path), lambda path: explain(detector, path)):
        opened.clear()
        assert ask(path)
        assert [video.decoded for video in opened] == [20]


@pytest.mark.usefixtures("marked_swaps")
def test_the_page_lists_the_people_and_names_the_stretch(
    tmp_path: Path, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "_look", lambda *_: {})
    parts = [Part(14, 10, 30, 120), Part(20, 260, 30, 120, swapped=(32, 40))]
    _, found = view.shown(detector, film(tmp_path / "a.mp4", parts, 40))
    text = " ".join(page_of(found, detector.sidecar).split())
    assert "Partly fake: 0:31.9 to 0:40.0 looks like a deepfake" in text
    assert "<strong>The most suspicious stretch:</strong> 0:31.9 to 0:40.0, over 99% by itself." in text
    assert "The most suspicious of 2 people counts." in text
    people = re.findall(r"<li><strong>([\w ]+), [^<]+</strong>, in (\d+) frames from 0:00.0 to 0:40.0", text)
    assert [verdict for verdict, _ in people] == ["partly fake", "original"]
    assert all(int(frames) > 35 for _, frames in people)
    assert "of 100 such videos" not in text  # the calibration is of whole videos
    assert [view["person"] for view in found["shown"]] == [1, 1, 1, 1, 2]


def test_kept_frames_come_back_from_memory_and_from_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (30, 40 + each, 3), np.uint8) for each in range(6)]
    for limit in (2**20, 8000):
        monkeypatch.setattr("deepfake_detection.serving.people.IN_MEMORY", limit)
        with KeptFrames() as kept:
            for seconds, frame in enumerate([*frames, frames[-1], np.asfortranarray(frames[2])]):
                kept.add(seconds, frame)
            assert kept._file.seek(0, 2) == sum(frame.nbytes for frame in [*frames, frames[2]])  # the same one once
            for seconds, frame in reversed(list(enumerate([*frames, frames[-1], frames[2]]))):
                assert (kept[seconds] == frame).all()


@pytest.mark.parametrize(("seconds", "taken"), [(8, 32), (40, 40), (200, 128)])
def test_one_frame_a_second_is_taken_but_neither_few_nor_too_many(tmp_path: Path, seconds: int, taken: int) -> None:
    path = grey_film(tmp_path / "a.mp4", 5 * seconds, rate=5)
    assert len(list(Video(path).frames())) == taken
