"""`predict --adapt`: the statistics are those of the folder, and every result says that it depends on it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deepfake_detection.inference.adabn import with_statistics_of
from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.serving.detector import FRAMES_TO_ADAPT, Detector
from tests.unit.serving.test_cli import Run
from tests.unit.serving.test_cli import run as run
from tests.unit.serving.test_detector import save
from tests.unit.videos.test_video import film


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of whole frames, two pictures to judge, and eight bright ones and a video to adapt to."""
    root = tmp_path_factory.mktemp("adapt")
    save(root / "model.pth")
    rng = np.random.default_rng(0)
    for folder, names, low in (("judge", ("a", "b"), 0), ("known", range(8), 150)):
        (root / folder).mkdir()
        for name in names:
            pixels = rng.integers(low, 255, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / folder / f"{name}.png")
    film(root / "known" / "film.mp4", 20)
    return root


def logits(out: str) -> list[float]:
    return [json.loads(line)["logit"] for line in out.splitlines()]


def test_scores_are_those_of_the_adapted_network_and_say_so(place: Path, run: Run) -> None:
    words = ("predict", place / "judge", "--checkpoint", place / "model.pth", "--json")
    plain, adapted = run(*words), run(*words, "--adapt", place / "known")
    assert not any(json.loads(line)["transductive"] for line in plain.out.splitlines())
    assert all(json.loads(line)["transductive"] for line in adapted.out.splitlines())
    frames = 8 + FRAMES_TO_ADAPT
    assert f"adapted to {frames} frames of 9 files in {place / 'known'}. The scores are transductive" in adapted.err
    assert "warning: that is little to adapt to" in adapted.err
    assert logits(plain.out) != pytest.approx(logits(adapted.out), abs=1e-3)

    as_csv = run(*words[:-1], "--csv", "--adapt", place / "known").out
    assert [row["transductive"] for row in csv.DictReader(as_csv.splitlines())] == ["True", "True"]

    detector = Detector.load(place / "model.pth")
    pictures = [place / "known" / f"{name}.png" for name in range(8)]
    changed, count = detector.adapted_to([str(path) for path in pictures])
    assert count == 8
    crops = torch.from_numpy(np.stack(list(detector.crops(pictures))))
    expected = with_statistics_of(load_checkpoint(place / "model.pth").network, [crops])
    pictures = sorted((place / "judge").iterdir())
    shown = torch.from_numpy(np.stack(list(detector.crops(pictures))))
    with torch.inference_mode():
        assert [found.logit for found in changed.predict(pictures)] == pytest.approx(expected(shown).tolist(), abs=1e-4)
    assert logits(plain.out) == pytest.approx([found.logit for found in detector.predict(pictures)], abs=1e-4)


def test_what_cannot_be_adapted_to_is_one_line(place: Path, tmp_path: Path, run: Run) -> None:
    words = ("predict", "--checkpoint", place / "model.pth", place / "known" / "0.png", "--adapt")
    assert run(*words, place / "known").err.splitlines()[-1].endswith("judge files that are not there")
    (tmp_path / "empty").mkdir()
    assert run(*words, tmp_path / "empty").err.startswith("error: --adapt: ")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    assert "error: there is no frame to compute batch-norm statistics of" in run(*words, tmp_path / "bad").err
    done = run(*words, place / "judge", "--backend", "torch-folded")
    assert done.err == "error: --adapt changes the network, which --backend torch-folded does not follow: take torch\n"
