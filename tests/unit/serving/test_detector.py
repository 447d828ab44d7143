"""Pictures and videos are judged as the pipeline judges: the same pixels and logits, or a reason why not."""

import threading
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from deepfake_detection import Detector
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.media.faces import Box, detect_faces
from deepfake_detection.network.logits import predict_logits
from deepfake_detection.network.model import build_model
from deepfake_detection.sources.drawn.dataset import film
from tests.support.checkpoints import save_checkpoint, sidecar
from tests.unit.media.test_videos import film as write_video


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("whole") / "best.pth")


@pytest.fixture(scope="module")
def of_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("faces") / "best.pth", crop="face", margin=0.3)


def save(path: Path, **crop: Any) -> Path:
    """A B0 of 64 px with random weights, temperature 2."""
    torch.manual_seed(1)
    model = build_model("efficientnet_b0", 0.2)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)  # from scratch blocks are the identity, and all logits alike
            module.momentum = 1.0
    with torch.no_grad():
        model.efficientnet.train()(torch.randn(16, 3, 64, 64))
        model.get_submodule("efficientnet.classifier.1").weight.mul_(0.05)  # type: ignore[operator]
    save_checkpoint(path, model, sidecar(input_size=[64, 64], temperature=2.0, **crop))
    return path


@pytest.fixture(scope="module")
def face() -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.round(film(0, 0, 256, 42).filmed * 255).astype(np.uint8)


def test_a_picture_is_judged_as_by_the_pipeline(tmp_path: Path, checkpoint: Path, face: Any) -> None:
    Image.fromarray(face).save(tmp_path / "a.png")
    detector = Detector.load(checkpoint)
    by_path, by_image, by_array = detector.predict([tmp_path / "a.png", Image.fromarray(face), face])
    assert by_path.path == str(tmp_path / "a.png")
    assert by_image.probability == pytest.approx(by_path.probability, abs=1e-5)
    assert by_array.probability == pytest.approx(by_path.probability, abs=1e-5)

    square = np.asarray(Image.fromarray(face).resize((64, 64), Image.Resampling.BILINEAR))
    frames = FrameDataset(square[None], pd.DataFrame({"label": [0]}))
    logit = predict_logits(detector.network, frames, 1)[0]
    assert by_path.logit == pytest.approx(logit, rel=1e-4)
    assert by_path.probability == pytest.approx(1 / (1 + np.exp(-logit / 2)), abs=1e-5)
    assert by_path.probability is not None
    assert by_path.verdict == ("fake" if by_path.probability >= 0.5 else "original")


def test_each_face_is_judged_and_the_most_suspicious_counts(of_faces: Path, face: Any) -> None:
    other = np.round(film(3, 0, 256, 42).filmed * 255).astype(np.uint8)
    board = np.concatenate([face, other], 1)
    (found,) = Detector.load(of_faces).predict([board])
    assert sorted(cast(Box, judged.box) for judged in found.faces) == sorted(detect_faces(board))
    assert len(found.faces) == 2
    assert found.logit == max(judged.logit for judged in found.faces)
    assert found.faces[0].logit != found.faces[1].logit
    assert all(judged.verdict == ("fake" if judged.probability >= 0.5 else "original") for judged in found.faces)


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
        face,
    ]
    found = Detector.load(of_faces).predict(pictures)
    assert [each.reason.partition(":")[0] for each in found] == [
        "not an image in a known format",
        "no such file or directory",
        "too small",
        "no face found",
        "face too small, less than 32 pixels",
        "an array must be uint8 of shape (height, width, 3), not uint8 of shape (64, 64)",
        "",
    ]
    assert [each.failed for each in found] == [True, True, False, False, False, True, False]
    assert {each.verdict for each in found[:-1]} == {"none"}
    assert found[-1].probability is not None


def test_a_stream_reads_no_further_than_it_must(checkpoint: Path) -> None:
    served = 0

    def endless() -> Any:
        nonlocal served
        while True:
            served += 1
            yield np.full((64, 64, 3), served % 256, np.uint8)

    stream = Detector.load(checkpoint).stream(endless(), batch_size=4)
    first = [next(stream) for _ in range(10)]
    assert len({found.logit for found in first}) > 1
    assert served <= 3 * 4 + 12


def test_threads_may_share_a_detector(checkpoint: Path) -> None:
    detector = Detector.load(checkpoint)
    pictures = [np.random.default_rng(seed).integers(0, 256, (80, 80, 3), np.uint8) for seed in range(12)]
    alone = [found.logit for found in detector.predict(pictures, batch_size=3)]
    together: dict[int, list[float | None]] = {}

    def work(number: int) -> None:
        together[number] = [found.logit for found in detector.predict(pictures, batch_size=3)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found == pytest.approx(alone, rel=1e-5) for found in together.values())


def test_a_video_is_the_mean_of_its_frames(tmp_path: Path, checkpoint: Path) -> None:
    video = write_video(tmp_path / "a.mp4", 50)
    found = Detector.load(checkpoint).video(video, frames=8, batch_size=3)
    assert len(found.moments) == 8
    assert found.logit == pytest.approx(np.mean([moment.face.logit for moment in found.moments]))
    suspicions = [moment.face.probability for moment in found.moments]
    assert suspicions == sorted(suspicions, reverse=True)
    assert sorted(moment.seconds for moment in found.moments) == pytest.approx(np.arange(0.12, 2, 0.25), abs=0.03)


def test_a_video_without_a_face_or_without_frames_says_so(tmp_path: Path, of_faces: Path) -> None:
    detector = Detector.load(of_faces)
    grey = detector.video(write_video(tmp_path / "a.mp4", 20))
    assert (grey.verdict, grey.reason, grey.failed) == ("none", "no face found", False)
    (tmp_path / "b.mp4").write_bytes(b"nothing")
    broken = detector.video(tmp_path / "b.mp4")
    assert (broken.verdict, broken.reason, broken.failed) == ("none", "not a video in a known format", True)
