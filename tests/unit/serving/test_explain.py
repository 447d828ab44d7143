"""Heat maps: they add up to what the network says, follow the weights, and lie where the picture decides."""

import copy
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torchvision.models.efficientnet import EfficientNet, MBConvConfig

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.text import percent
from deepfake_detection.network.layers import Members
from deepfake_detection.network.model import Network, add_where, build_model
from deepfake_detection.pictures.faces import Box, DetectedFace, Landmarks
from deepfake_detection.serving import view
from deepfake_detection.serving.detector import Detector
from deepfake_detection.serving.explain import changed_places, contributions, evidence, explain, heat_map
from deepfake_detection.serving.words import UNCERTAIN_HEADLINE, wording
from deepfake_detection.sources.drawn.drawing import film
from tests.support.checkpoints import SIZE, save_checkpoint, sidecar
from tests.support.commands import command
from tests.support.films import write_film
from tests.support.pages import page_of
from tests.unit.videos.test_damaged_videos import textured, zeroed

Pixels = NDArray[np.uint8]
Numbers = NDArray[np.int64]


def pictures(count: int, seed: int) -> tuple[Pixels, Numbers]:
    """Noise; of every other picture one quarter is darker, which makes it a fake. The quarters, numbered by rows."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
    quarters = rng.integers(0, 4, count)
    for frame, quarter in zip(frames[1::2], quarters[1::2], strict=True):
        quarter_of(frame, quarter)[...] //= 4
    return frames, quarters


def quarter_of(array: NDArray[Any], number: int) -> NDArray[Any]:
    half = len(array) // 2
    top, left = half * (number // 2), half * (number % 2)
    return array[top : top + half, left : left + half]


@pytest.fixture(scope="module")
def network() -> Network:
    """A small EfficientNet, with a place for each 8 pixels, that has learned to tell such fakes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # five times as fast: there is too little to share
    torch.manual_seed(1)
    blocks = [MBConvConfig(1, 3, 2, 8, 8, 1), MBConvConfig(2, 3, 2, 8, 16, 1)]
    network = Network(EfficientNet(blocks, dropout=0.0, last_channel=32, num_classes=1))
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    for step in range(40):
        logits = network(torch.from_numpy(pictures(16, step)[0]))
        loss = nn.functional.binary_cross_entropy_with_logits(logits, (torch.arange(16) % 2).float())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    torch.set_num_threads(threads)
    return network


@pytest.fixture
def detector(network: Network) -> Detector:
    return Detector(copy.deepcopy(network), sidecar())


def head_of(detector: Detector) -> nn.Linear:
    return cast(nn.Linear, detector.network.get_submodule("efficientnet.classifier.1"))


def shares(detector: Detector) -> NDArray[np.float64]:
    """Of each of 20 fakes the part of its map that lies on the quarter that makes it one."""
    frames, quarters = pictures(40, 99)
    found = [evidence(detector, frame) for frame in frames[1::2]]
    return np.array([quarter_of(map_, q).sum() / map_.sum() for map_, q in zip(found, quarters[1::2], strict=True)])


def test_the_map_lies_where_the_picture_decides(detector: Detector) -> None:
    frames, _ = pictures(40, 99)
    assert ((np.array(detector.logits(list(frames))) > 0) == np.arange(40) % 2).all()
    found = shares(detector)
    assert found.mean() > 0.7  # 0.25 by chance
    assert found.min() > 0.45


def test_the_map_is_of_the_weights(detector: Detector) -> None:
    """Adebayo et al. 2018, "Sanity Checks for Saliency Maps": a map that survives random weights shows the picture."""
    before = shares(detector).mean()
    torch.manual_seed(2)
    head_of(detector).reset_parameters()
    assert shares(detector).mean() < before - 0.15
    frame = pictures(2, 5)[0][1]
    last = evidence(detector, frame)
    cast(nn.Conv2d, detector.network.get_submodule("efficientnet.features.0.0")).reset_parameters()
    assert np.corrcoef(last.ravel(), evidence(detector, frame).ravel())[0, 1] < 0.9


def test_on_the_last_stage_the_contributions_add_up_to_the_logit(detector: Detector) -> None:
    """In this network the last stage has places of 8 pixels."""
    head = head_of(detector)
    frames, _ = pictures(6, 3)
    found = [contributions(detector, frame) for frame in frames]
    assert [logit for _, logit in found] == pytest.approx(detector.logits(list(frames)), abs=1e-4)
    sums = np.array([float(places.sum()) for places, _ in found])
    assert sums + head.bias.item() == pytest.approx([logit for _, logit in found], abs=1e-4)
    with torch.no_grad():
        head.weight.neg_()
    for (places, _), frame in zip(found, frames, strict=True):
        assert contributions(detector, frame)[0] == pytest.approx(-places, abs=1e-5)


def test_a_network_that_says_where_shows_that_with_its_hit_rate(tmp_path: Path) -> None:
    """In explain, on the page and in a case file; without one that beats a blind guess, there is the heat map."""
    torch.manual_seed(0)
    network = build_model("efficientnet_b0", 0.0)
    add_where(network)
    overlap = {"iou": 0.5, "blind_iou": 0.31}
    measured = {
        "of": "blends",
        "frames": 60,
        "auroc": 0.9,
        "threshold": 0.4,
        "hits": 0.83,
        "blind_hits": 0.61,
    } | overlap
    size = 64
    described = sidecar(input_size=[size, size], network={"localise": True}, where=measured)
    save_checkpoint(tmp_path / "b0.pth", network, described)
    detector = Detector.load(tmp_path / "b0.pth")
    picture = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    places = changed_places(detector, picture)
    assert places.shape == (8, 8)
    assert 0 < places.min() < places.max() < 1
    Image.fromarray(picture).save(tmp_path / "noise.png")
    said = "blends of originals with themselves, what is marked and what had been changed overlap by 50.0%"
    values = view.shown(detector, tmp_path / "noise.png")[1]
    page = page_of(values, detector.sidecar)
    assert not command(
        "report", tmp_path / "noise.png", "--checkpoint", tmp_path / "b0.pth", "--out", tmp_path / "c.html"
    )
    for html in (page, (tmp_path / "c.html").read_text()):
        assert said in html
        assert "here it looks changed" in html
        assert "HiResCAM" not in html
    figure = explain(detector, tmp_path / "noise.png")
    words = [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text)]
    assert "where it looks changed" in words
    assert any(said in text for text in words)
    for where in (None, measured | {"blind_iou": 0.5}):
        described = sidecar(input_size=[size, size], network={"localise": True}, where=where)
        unknown = Detector(detector.network, described)
        (face,) = unknown.predict([picture])[0].faces
        assert view._look(unknown, picture, face).keys() == {"crop", "heat"}


def test_networks_that_judge_together_have_no_map(detector: Detector) -> None:
    together = Network(Members([detector.network.efficientnet] * 2))
    assert Detector(together, sidecar()).logits([np.zeros((SIZE, SIZE, 3), np.uint8)])
    with pytest.raises(UserError, match="several networks judge together, and a heat map shows one"):
        contributions(Detector(together, sidecar()), np.zeros((SIZE, SIZE, 3), np.uint8))
    (face,) = Detector(together, sidecar()).predict([np.zeros((SIZE, SIZE, 3), np.uint8)])[0].faces
    assert view._look(Detector(together, sidecar()), np.zeros((SIZE, SIZE, 3), np.uint8), face).keys() == {"crop"}


@pytest.mark.parametrize("calibration", [{}, {"temperature": 2.0, "bias": -0.5}])
def test_the_places_share_the_surprise(detector: Detector, calibration: dict[str, float]) -> None:
    detector.sidecar = sidecar(frame=calibration)
    frames, _ = pictures(8, 4)
    shared = 0
    for frame, logit in zip(frames, detector.logits(list(frames)), strict=True):
        probability = float(detector.sidecar.frame.probability(np.float64(logit)))
        places, _ = contributions(detector, frame)
        found = evidence(detector, frame)
        assert ((found > 0) == (places > 0)).all()
        if (places > 0).any():
            shared += 1
            assert float(found.mean()) * 100 == pytest.approx(-np.log1p(-probability), rel=1e-3)
    assert shared >= 4  # an original of this network may have no place that speaks for a fake


def test_an_efficientnet_b0_has_a_place_for_each_8_pixels() -> None:
    detector = Detector(build_model("efficientnet_b0", 0.2), sidecar(input_size=[96, 96]))
    frame = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    assert evidence(detector, frame).shape == (12, 12)


def test_nothing_is_left_in_the_network(detector: Detector) -> None:
    frames, _ = pictures(8, 6)
    before, state = detector.logits(list(frames)), copy.deepcopy(detector.network.state_dict())
    first = evidence(detector, frames[1])
    assert detector.logits(list(frames)) == before
    assert np.array_equal(evidence(detector, frames[1]), first)
    assert all(torch.equal(value, state[name]) for name, value in detector.network.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in detector.network.parameters())
    assert not any(module.training or module._forward_hooks for module in detector.network.modules())


def test_maps_and_predictions_in_threads_do_not_meet(detector: Detector) -> None:
    frames, _ = pictures(8, 7)
    alone = [evidence(detector, frame) for frame in frames], detector.logits(list(frames))
    with ThreadPoolExecutor(4) as pool:
        logits = [pool.submit(detector.logits, list(frames)) for _ in range(8)]
        maps = [pool.submit(evidence, detector, frame) for frame in frames]
    assert all(each.result() == alone[1] for each in logits)
    assert all(np.array_equal(each.result(), exact) for each, exact in zip(maps, alone[0], strict=True))


def test_two_threads_give_the_same_numbers_each_time(detector: Detector) -> None:
    frames, _ = pictures(1, 8)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        places = [contributions(detector, frames[0])[0] for _ in range(40)]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert all(np.array_equal(each, places[0]) for each in places)


def test_the_heat_map_is_yellow_on_the_evidence_and_grey_without(detector: Detector) -> None:
    frames, _ = pictures(2, 8)
    wide = np.full((SIZE, 3 * SIZE, 3), 128, np.uint8)
    dark = frames[0].copy()
    quarter_of(dark, 3)[...] //= 4
    wide[:, SIZE : 2 * SIZE] = dark
    detector = Detector(detector.network, sidecar(crop="face"))
    face = DetectedFace(Box(SIZE, 0, 2 * SIZE, SIZE, 1.0), Landmarks(*[0.0] * 10))
    found = heat_map(detector, wide, face)
    assert found.shape == (SIZE, SIZE, 3)
    assert found.dtype == np.uint8
    red, _, blue = (quarter_of(found, 3)[4:-4, 4:-4, channel].mean() for channel in range(3))
    assert red > blue + 30
    assert np.array_equal(found, heat_map(detector, wide, face))
    with torch.no_grad():  # of a network that finds nothing
        head_of(detector).weight.zero_()
    nothing = heat_map(detector, wide, None)
    assert nothing.shape == wide.shape
    assert (np.ptp(nothing, axis=2) == 0).all()


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))


def drawn(who: int, frame: int = 0) -> Pixels:
    return np.round(film(who, frame, 128, 7).filmed * 255).astype(np.uint8)


def test_every_face_of_a_picture_is_explained(detector: Detector, tmp_path: Path) -> None:
    detector.sidecar = sidecar(crop="face", margin=0.3)
    Image.fromarray(np.hstack([drawn(3), drawn(4)])).save(tmp_path / "two.png")
    figure = explain(detector, tmp_path / "two.png")
    found = detector.predict([tmp_path / "two.png"])[0]
    said = words(figure)
    assert said.count("what speaks for a fake") + said.count("nothing speaks for a fake") == 2
    probability = percent(cast(float, found.probability))
    assert wording(found, detector.sidecar).headline in said
    assert f"calibrated probability of a fake {probability}, threshold 50.0%; the most suspicious face decides" in said
    assert re.search(r"^two\.png, by efficientnet_b0, on \d{4}-\d\d-\d\d$", said, re.MULTILINE)
    for place, face in enumerate(sorted(found.faces, key=lambda face: -face.logit), 1):
        assert f"face {place}: {percent(cast(float, face.probability))}" in said
    assert "4 x 4 places" in said
    Image.new("RGB", (64, 64), "grey").save(tmp_path / "grey.png")
    with pytest.raises(UserError, match=r"grey\.png: no face found; there is nothing to explain"):
        explain(detector, tmp_path / "grey.png")


def test_the_worst_frames_of_a_video_are_shown_in_their_order(detector: Detector, tmp_path: Path) -> None:
    plain, dark = np.full((2, 64, 64, 3), 128, np.uint8)
    plain[::2, ::2] = 255
    dark[::2, ::2] = 255
    dark[:32, :32] //= 4
    path = tmp_path / "a.mp4"
    write_film(path, [dark if number in (3, 5, 6, 7) else plain for number in range(12)], rate=2)
    worst = {moment.seconds for moment in detector.video(path, 12).moments[:4]}
    assert worst == {1.5, 2.5, 3.0, 3.5}
    said = words(explain(detector, path, 12))
    places = [said.index(f"at 0:{seconds:04.1f}: ") for seconds in sorted(worst)]
    assert places == sorted(places)
    assert re.search(r"threshold 50\.0%; 12 frames; most suspicious from 0:02\.2 to 0:03\.8, [\d.]+% by itself", said)
    assert words(explain(detector, path, 3)).count("at 0:") == 3


def test_what_was_not_seen_of_a_video_stands_above_it(detector: Detector, tmp_path: Path) -> None:
    detector.sidecar = sidecar()
    said = words(explain(detector, zeroed(textured(tmp_path / "a.avi", 100), 1.0), 10))
    assert UNCERTAIN_HEADLINE in said
    assert "calibrated probability of a fake" in said
    assert "0:04.0 of 0:10.0 damaged or missing" in said


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "b0.pth"
    save_checkpoint(path, build_model("efficientnet_b0", 0.2), sidecar())
    return path


def test_the_command_writes_a_png_and_replaces_none_unasked(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    Image.fromarray(drawn(1)).save("in/a $x^2$ b.jpg")
    asked = ("explain", "in/a $x^2$ b.jpg", "--checkpoint", checkpoint)
    assert not command(*asked)
    assert capsys.readouterr().out == "a $x^2$ b-explained.png\n"
    with Image.open("a $x^2$ b-explained.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 800
    first = Path("a $x^2$ b-explained.png").read_bytes()
    assert command(*asked) == (
        "error: a $x^2$ b-explained.png is there already: name another file with --out, or replace it with --force"
    )
    assert not command(*asked, "--force")
    assert Path("a $x^2$ b-explained.png").read_bytes() == first
    assert command(*asked, "--out", "a.jpg") == "error: --out a.jpg: it will be a PNG, so name it .png"
    Path("folder.png").mkdir()
    assert command(*asked, "--out", "folder.png") == "error: folder.png is a folder: name a file, with --out"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a $x^2$ b-explained.png", "folder.png", "in"]
