"""Pictures and videos are judged as the pipeline judges: the same pixels and logits, or a reason why not."""

import json
import multiprocessing
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from deepfake_detection import Detector, Prediction, UserError, VideoPrediction
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.inference.familiarity import Familiarity
from deepfake_detection.inference.logits import predict_logits
from deepfake_detection.network.model import build_model
from deepfake_detection.pictures.faces import Box, detect_faces
from deepfake_detection.pictures.images import UnreadableImageError, read_picture
from deepfake_detection.serving.detector import _Read
from deepfake_detection.serving.results import Score
from deepfake_detection.serving.view import values_of
from deepfake_detection.sources.drawn.drawing import film
from tests.support.checkpoints import save_checkpoint, sidecar
from tests.support.commands import command
from tests.support.exported import familiar
from tests.support.films import write_film
from tests.unit.videos.test_damaged_videos import textured, zeroed
from tests.unit.videos.test_video import film as write_video


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("whole") / "best.pth")


@pytest.fixture(scope="module")
def of_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("faces") / "best.pth", crop="face", margin=0.3)


def save(path: Path, **changes: Any) -> Path:
    """A B0 of 64 px with random weights, temperature 2."""
    torch.manual_seed(1)
    model = build_model("efficientnet_b0", 0.2)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            if not module.weight.any():  # from scratch blocks are the identity, and all logits alike
                torch.nn.init.constant_(module.weight, 0.2)  # with 1, float32 leaves two digits of a logit
            module.momentum = 1.0
    with torch.no_grad():
        model.efficientnet.train()(torch.randn(16, 3, 64, 64))
        model.get_submodule("efficientnet.classifier.1").weight.mul_(0.05)  # type: ignore[operator]
    save_checkpoint(path, model, sidecar(**{"input_size": [64, 64], "frame": {"temperature": 2.0}} | changes))
    return path


@pytest.fixture(scope="module")
def face() -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.round(film(0, 0, 256, 42).filmed * 255).astype(np.uint8)


def test_a_picture_is_judged_as_by_the_pipeline(tmp_path: Path, checkpoint: Path, face: Any) -> None:
    Image.fromarray(face).save(tmp_path / "a.png")
    detector = Detector.load(checkpoint)
    by_path = detector.predict(tmp_path / "a.png")
    square = np.asarray(Image.fromarray(face).resize((64, 64), Image.Resampling.BILINEAR))
    frames = FrameDataset(square[None], pd.DataFrame({"label": [0]}))
    logit = predict_logits(detector.network, frames, 1)[0]
    assert by_path.logit == pytest.approx(logit, rel=1e-4)
    assert by_path.probability == pytest.approx(1 / (1 + np.exp(-logit / 2)), abs=1e-5)
    assert by_path.verdict == ("fake" if logit >= 0 else "original")


def test_each_face_is_judged_and_the_most_suspicious_counts(of_faces: Path, face: Any) -> None:
    other = np.round(film(3, 0, 256, 42).filmed * 255).astype(np.uint8)
    board = np.concatenate([face, other], 1)
    (found,) = Detector.load(of_faces).predict([board])
    assert sorted(cast(Box, face.box) for face in found.faces) == sorted(box for box, _ in detect_faces(board))
    assert len(found.faces) == 2
    assert found.logit == max(face.logit for face in found.faces)
    assert found.faces[0].logit != found.faces[1].logit
    probabilities = [cast(float, face.probability) for face in found.faces]
    assert [face.verdict for face in found.faces] == ["fake" if each >= 0.5 else "original" for each in probabilities]
    odds = [each / (1 - each) for each in probabilities]
    assert odds == pytest.approx([np.exp(face.logit / 2) / 2 for face in found.faces], rel=1e-4)  # of two faces


def test_what_cannot_be_judged_says_why_and_stops_nothing(tmp_path: Path, of_faces: Path, face: Any) -> None:
    (tmp_path / "text.jpg").write_text("hello")
    small = Image.new("RGB", (120, 120), (128, 128, 128))
    drawn = Image.fromarray(np.round(film(2, 0, 256, 42).filmed * 255).astype(np.uint8))
    small.paste(drawn.resize((44, 44), Image.Resampling.LANCZOS), (30, 30))
    pictures: list[Any] = [
        tmp_path / "text.jpg",
        tmp_path / "missing.jpg",
        np.zeros((20, 300, 3), np.uint8),
        np.full((200, 200, 3), 128, np.uint8),
        small,
        np.zeros((64, 64), np.uint8),
        ["a.jpg"],
        face,
    ]
    found = Detector.load(of_faces).predict(pictures)
    assert [each.reason.partition(":")[0] for each in found] == [
        "a text file, neither a picture nor a video",
        "no such file or directory",
        "too small",
        "no face found",
        "face too small, less than 32 pixels",
        "an array must be uint8 of shape (height, width, 3), not uint8 of shape (64, 64)",
        "a value of type list is not a picture",
        "",
    ]
    assert [each.failed for each in found] == [True, True, False, False, False, True, True, False]
    assert {each.verdict for each in found[:-1]} == {"none"}
    assert found[-1].probability is not None


def test_a_video_is_the_mean_of_its_frames(tmp_path: Path, checkpoint: Path) -> None:
    video = write_video(tmp_path / "a.mp4", 50)
    found = Detector.load(checkpoint).video(video, frames=8, batch_size=3)
    assert len(found.moments) == 8
    assert found.logit == pytest.approx(np.mean([moment.face.logit for moment in found.moments]))
    suspicions = [cast(float, moment.face.probability) for moment in found.moments]
    assert suspicions == sorted(suspicions, reverse=True)
    assert sorted(moment.seconds for moment in found.moments) == pytest.approx(np.arange(0.12, 2, 0.25), abs=0.05)
    (person,) = found.people
    assert (person.frames, person.first, person.last) == pytest.approx((8, 0, 2))
    assert {(moment.person, moment.face.box) for moment in found.moments} == {(1, None)}


def test_a_damaged_video_is_judged_by_what_is_sound_and_not_at_all_if_too_much_is_not(
    tmp_path: Path, checkpoint: Path
) -> None:
    detector = Detector.load(checkpoint)
    whole = detector.video(textured(tmp_path / "a.avi"), 20, batch_size=1)
    assert whole.seconds == pytest.approx(20)
    assert (whole.unseen_seconds, whole.reason) == (0, "")
    found = detector.video(zeroed(tmp_path / "a.avi", 1.0), 20, batch_size=1)
    assert (found.verdict, found.failed) == (whole.verdict, False)
    assert found.reason == "0:04.0 of 0:20.0 damaged or missing"
    assert (found.seconds, found.unseen_seconds) == pytest.approx((20, 4))
    sound = [moment for moment in whole.moments if not 1 <= moment.seconds < 5]
    assert found.moments == tuple(sound)
    assert found.logit == pytest.approx(np.mean([moment.face.logit for moment in sound]))

    found = detector.video(zeroed(tmp_path / "a.avi", 7.0), 20)
    assert (found.verdict, found.failed) == ("uncertain", False)
    assert found.reason == "0:07.0 of 0:20.0 damaged or missing"
    assert found.logit == pytest.approx(np.mean([moment.face.logit for moment in found.moments]))
    assert sorted(moment.seconds for moment in found.moments if moment.damaged) == pytest.approx(
        [1.5, 2.5, 3.5, 4.5, 7.5, 8.5, 9.5], abs=0.05
    )
    assert len(found.moments) == 20


def test_what_is_turned_is_not_judged_and_says_so(tmp_path: Path, of_faces: Path) -> None:
    detector = Detector.load(of_faces)
    face = np.round(film(9, 0, 256, 1).filmed * 255).astype(np.uint8)
    on_its_head = np.ascontiguousarray(np.rot90(face, 2))  # YuNet finds this one too
    said = "the face is not upright: turn the picture, and judge it again"
    upright, *turned = detector.predict([face, np.ascontiguousarray(np.rot90(face)), on_its_head])
    assert upright.verdict in ("original", "fake")
    assert {(each.verdict, each.probability, each.reason, each.failed) for each in turned} == {
        ("none", None, said, False)
    }
    for name, frame in (("a.mp4", face), ("b.mp4", on_its_head)):
        write_film(tmp_path / name, [frame] * 4)
    assert detector.video(tmp_path / "a.mp4").verdict in ("original", "fake")
    assert detector.video(tmp_path / "b.mp4").reason == said


def test_a_video_without_a_face_or_without_frames_says_so(tmp_path: Path, of_faces: Path) -> None:
    detector = Detector.load(of_faces)
    grey = detector.video(write_video(tmp_path / "a.mp4", 20))
    assert (grey.verdict, grey.reason, grey.failed) == ("none", "no face found", False)
    damaged = detector.video(zeroed(textured(tmp_path / "c.avi", 60), 5.0))
    assert (damaged.verdict, damaged.reason) == ("none", "no face found, 0:01.0 of 0:06.0 damaged or missing")
    painted = detector.video(zeroed(textured(tmp_path / "d.mp4", 1), 0.0, part=0.5))
    assert (painted.verdict, painted.probability, painted.reason) == ("none", None, "no frame without damage")
    assert painted.failed
    (tmp_path / "b.mp4").write_bytes(b"nothing")
    broken = detector.video(tmp_path / "b.mp4")
    said = "a text file, neither a picture nor a video"
    assert (broken.verdict, broken.reason, broken.failed) == ("none", said, True)


@pytest.fixture(scope="module")
def detector(checkpoint: Path) -> Detector:
    return Detector.load(checkpoint)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, face: Any) -> list[Path]:
    """Three pictures that look different, and a video between them."""
    folder = tmp_path_factory.mktemp("files")
    for number in range(3):
        Image.fromarray(np.roll(face, 40 * number, 1) // (number + 1)).save(folder / f"{number}.png")
    write_video(folder / "film.MP4", 20)
    return [folder / "0.png", folder / "1.png", folder / "film.MP4", folder / "2.png"]


def test_one_picture_gives_one_prediction_however_it_is_given(detector: Detector, files: list[Path], face: Any) -> None:
    with Image.open(files[0]) as opened:
        found = [detector.predict(one) for one in (str(files[0]), files[0], opened, Image.fromarray(face), face)]
    assert [each.path for each in found] == [str(files[0])] * 2 + [""] * 3
    assert found[0].logit is not None
    assert [each.logit for each in found] == pytest.approx([found[0].logit] * 5, rel=1e-4)
    assert [each.logit for each in detector.stream(files[0])] == pytest.approx([found[0].logit], rel=1e-4)
    assert detector.predict("a.jpg") == Prediction("a.jpg", "none", reason="no such file or directory", failed=True)
    assert len(list(detector.crops(str(files[0])))) == 1


def test_several_give_a_list_in_their_order_however_they_are_given(detector: Detector, files: list[Path]) -> None:
    names = [str(file) for file in files]
    expected = detector.predict(files)
    assert [each.path for each in expected] == names
    assert [type(each) for each in expected] == [Prediction, Prediction, VideoPrediction, Prediction]
    logits = [cast(float, each.logit) for each in expected]
    assert len(set(logits)) == 4
    several: list[Any] = [names, (name for name in names), dict.fromkeys(names).keys(), np.array(names)]
    several += [pd.Series(names, index=[9, 7, 5, 3]), np.array(files, dtype=object)]
    for given in several:
        found = detector.predict(given)
        assert [each.path for each in found] == names
        assert [each.logit for each in found] == pytest.approx(logits, rel=1e-4)
    assert detector.predict([]) == []
    assert [each.path for each in detector.predict(names[:1])] == names[:1]


def test_batches_are_of_one_size_so_that_numbers_depend_little_on_the_others(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = Detector.load(checkpoint)
    sizes: list[int] = []
    predict = detector._predict

    def counting(frames: torch.Tensor) -> torch.Tensor:
        sizes.append(len(frames))
        return predict(frames)

    monkeypatch.setattr(detector, "_predict", counting)
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(11)]
    alone = detector.predict(pictures[0])
    assert sizes == [1]  # one picture is not made to wait for four
    sizes.clear()
    whole = list(detector.stream(pictures, 4))
    assert sizes == [4, 4, 4]
    shares = [
        found for part in (pictures[:5], pictures[5:6], pictures[6:]) for found in detector.stream(part, 4, fill=True)
    ]
    assert sizes == [4] * (3 + 2 + 1 + 2)
    assert [found.logit for found in shares] == pytest.approx([found.logit for found in whole], abs=1e-5)
    assert whole[0].logit == pytest.approx(alone.logit, abs=1e-5)


def test_pictures_without_a_face_do_not_wait_for_one_with_a_face(of_faces: Path, face: np.ndarray[Any, Any]) -> None:
    detector = Detector.load(of_faces)
    empty = np.zeros((64, 64, 3), np.uint8)
    read = 0

    def endless() -> Iterator[np.ndarray[Any, Any]]:
        nonlocal read
        for number in range(200):
            read = number
            yield face if number in (1, 150) else empty

    verdicts = []
    for number, found in enumerate(detector.stream(endless(), batch_size=2)):
        verdicts.append(found.verdict)
        assert read - number < 40  # it is read ahead, but not to the end
    assert [number for number, verdict in enumerate(verdicts) if verdict != "none"] == [1, 150]
    assert len(verdicts) == 200


def test_an_array_of_pictures_is_several(detector: Detector, face: Any) -> None:
    stack = np.stack([face, face // 2])
    several = [cast(float, each.logit) for each in detector.predict(list(stack))]
    assert [each.logit for each in detector.stream(stack)] == pytest.approx(several, rel=1e-4)
    assert several[0] != several[1]
    assert len(list(detector.stream(stack[:1]))) == 1
    assert detector.predict(face[..., 0]).reason.endswith("not uint8 of shape (256, 256)")


@pytest.mark.parametrize(
    "given", [None, 3, b"a.jpg", {"a.jpg": 1}, pd.DataFrame({"path": ["a.jpg"]}), torch.zeros(2, 64, 64, 3)]
)
def test_what_is_neither_a_picture_nor_pictures_is_one_line(detector: Detector, given: Any) -> None:
    for call in (detector.predict, detector.stream):
        with pytest.raises(UserError, match=f"^a value of type {type(given).__name__} is not pictures: [^\n]+$"):
            call(given)


def test_a_batch_or_a_video_without_frames_is_one_line(detector: Detector, face: Any) -> None:
    for sizes in ({"batch_size": 0}, {"frames": 0}):
        with pytest.raises(UserError, match="both must be 1 or more"):
            detector.predict(face, **sizes)


def test_a_detector_computes_where_it_is_told(checkpoint: Path, face: Any) -> None:
    told = Detector.load(checkpoint, device="cpu")
    assert told.device == next(told.network.parameters()).device == torch.device("cpu")
    assert told.predict(face).verdict != "none"
    with pytest.raises(UserError, match=r"^device 'cuda:99': not on this machine, which has cpu"):
        Detector.load(checkpoint, device="cuda:99")
    with pytest.raises(UserError, match=r"^device 'gpu': not on this machine"):
        Detector.load(checkpoint, device="gpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_too(checkpoint: Path, face: Any) -> None:
    for device in ("cuda", "cuda:0"):
        told = Detector.load(checkpoint, device=device)
        assert next(told.network.parameters()).device.type == "cuda"
        assert told.predict(face).logit == pytest.approx(
            Detector.load(checkpoint, device="cpu").predict(face).logit, abs=0.05
        )
    with pytest.raises(UserError, match="backend torch-folded does not run there; take backend torch"):
        Detector.load(checkpoint, "torch-folded", "cpu")


def test_a_box_is_in_the_pixels_of_a_large_file(tmp_path: Path, of_faces: Path, face: Any) -> None:
    """A phone's 75 megapixels are read at half the width and height."""
    drawn = Image.fromarray(face)
    board = Image.new("RGB", (10_000, 7_500), (90, 90, 90))
    board.paste(drawn.resize((2_400, 2_400)), (6_000, 3_000))
    board.save(tmp_path / "a.jpg", quality=95)
    detector = Detector.load(of_faces)
    (found,) = detector.predict(tmp_path / "a.jpg").faces
    (smaller,) = detector.predict(read_picture(tmp_path / "a.jpg").pixels).faces
    box = cast(Box, found.box)
    assert box[:4] == tuple(2 * edge for edge in cast(Box, smaller.box)[:4])
    assert 6_000 < box.left < box.right < 8_400
    assert 3_000 < box.top < box.bottom < 5_400
    assert found.logit == pytest.approx(smaller.logit, rel=1e-4)


def test_what_is_refused_is_refused_alike_by_every_way_in(
    tmp_path: Path, detector: Detector, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages: dict[str, Any] = {"save_all": True, "append_images": [Image.new("RGB", (64, 64), "red")]}
    Image.new("RGB", (64, 64), "blue").save(tmp_path / "a.gif", **pages)
    (tmp_path / "b.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    for name, start in (("a.gif", "an animated GIF of 2 pictures: "), ("b.heic", "an HEIC picture, ")):
        reason = detector.predict(tmp_path / name).reason
        assert reason.startswith(start)
        with pytest.raises(UnreadableImageError) as caught:
            values_of(checkpoint, tmp_path / name)
        assert str(caught.value) == reason
        assert command("explain", tmp_path / name, "--checkpoint", checkpoint) == f"error: {tmp_path / name}: {reason}"
        assert command("predict", tmp_path / name, "--checkpoint", checkpoint) == 1
        assert f"{name}: {reason}\n" in capsys.readouterr().out
    with Image.open(tmp_path / "a.gif") as opened:
        assert detector.predict(opened).reason == detector.predict(tmp_path / "a.gif").reason
        assert detector.predict(opened.copy()).verdict != "none"


class FarFromGrey(Familiarity):
    """Unfamiliar are frames whose mean is far from mid grey, in units of 64 levels."""

    def __init__(self) -> None:
        super().__init__(torch.zeros(1), torch.zeros(1, 1), torch.zeros(1), torch.zeros(1))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return (frames.float().mean((1, 2, 3)) - 128).abs() / 64


def knowing(checkpoint: Path) -> Detector:
    network, described, _ = load_checkpoint(checkpoint)
    return Detector(network, described, familiarity=FarFromGrey())


def test_a_picture_unlike_the_training_frames_gets_no_verdict(checkpoint: Path, tmp_path: Path) -> None:
    detector = knowing(checkpoint)
    grey, white = (Image.new("RGB", (80, 80), (level,) * 3) for level in (150, 255))
    known, unknown = detector.predict([grey, white])
    assert known.verdict in ("original", "fake")
    assert known.unfamiliarity == pytest.approx(22 / 64)
    assert known.reason == ""
    assert (unknown.verdict, unknown.failed) == ("unfamiliar", False)
    assert unknown.reason == "unlike the training frames, 2.0 times the limit"
    assert (unknown.logit, unknown.faces[0].verdict) == (unknown.faces[0].logit, "unfamiliar")
    plain = Detector.load(checkpoint).predict([white])[0]  # the score is there, and the same
    assert plain.probability == pytest.approx(unknown.probability, abs=1e-3)
    assert plain.unfamiliarity is None
    assert plain.verdict in ("original", "fake")


def test_of_several_faces_a_familiar_fake_counts_before_an_unfamiliar_face(checkpoint: Path) -> None:
    detector = knowing(checkpoint)

    def decided(*scores: tuple[float, float]) -> Prediction:
        """What is said of a picture whose faces have these logits and unfamiliarities."""

        scored = (Score(*score) for score in scores)
        return detector._to_prediction(_Read("a.png", [None] * len(scores), []), scores=scored)

    fake, unknown, original = (9.0, 0.5), (20.0, 1.5), (-9.0, 0.5)
    assert (decided(unknown, fake, original).verdict, decided(unknown, fake, original).logit) == ("fake", 9.0)
    assert (decided(original, unknown).verdict, decided(original, unknown).unfamiliarity) == ("unfamiliar", 1.5)
    assert decided(original, (-5.0, 0.9)).logit == -5.0


def test_a_video_is_unfamiliar_if_half_of_its_frames_are(checkpoint: Path, tmp_path: Path) -> None:
    found = knowing(checkpoint).video(write_video(tmp_path / "a.mp4", 100), 10)  # from black to white
    assert found.unfamiliarity == pytest.approx(1, abs=0.2)
    unfamiliar = [moment.face.verdict == "unfamiliar" for moment in found.moments]
    assert 0 < sum(unfamiliar) < 10
    assert (found.verdict == "unfamiliar") == (cast(float, found.unfamiliarity) > 1)
    numbers = [cast(float, moment.face.unfamiliarity) for moment in found.moments]
    assert found.unfamiliarity == pytest.approx(float(np.median(numbers)))


def test_the_command_says_unfamiliar_and_keeps_the_score(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (80, 80)).save(tmp_path / "black.png")
    noise = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3)).astype(np.uint8)
    asked: tuple[object, ...] = ("predict", tmp_path / "black.png")
    asked += ("--checkpoint", familiar(checkpoint, tmp_path, noise, 0.99, *asked)[0])
    assert not command(*asked)
    assert re.search(r"^unfamiliar +\S*black.png: unlike the training frames, ", capsys.readouterr().out, re.M)
    assert not command(*asked, "--json")
    row = json.loads(capsys.readouterr().out)
    assert (row["verdict"], row["faces"][0]["verdict"], row["unfamiliarity"] > 1) == ("unfamiliar", "unfamiliar", True)
    assert 0 <= row["probability"] <= 1
    assert not command(*asked, "--csv")
    header, line = capsys.readouterr().out.splitlines()
    assert header.startswith("path,verdict,probability,logit,reason,unfamiliarity,failed,")
    assert f",{row['unfamiliarity']:.2f},False," in line


def test_a_fork_is_told_to_load_for_itself_instead_of_waiting_for_ever(checkpoint: Path, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "grey").save(tmp_path / "a.png")
    threads = torch.get_num_threads()
    detector = Detector.load(checkpoint)

    def in_a_fork() -> None:
        for attempt in (detector.predict, detector.video, Detector.load):
            with pytest.raises(UserError, match="load the first detector after the fork"):
                attempt(checkpoint)
        torch.set_num_threads(1)
        assert not detector.predict(tmp_path / "a.png").failed

    child = multiprocessing.get_context("fork").Process(target=in_a_fork)
    torch.set_num_threads(2)
    try:
        child.start()
        child.join(60)
        assert child.exitcode == 0, "None: it waits"
        assert not detector.predict(tmp_path / "a.png").failed
    finally:
        child.kill()
        torch.set_num_threads(threads)
