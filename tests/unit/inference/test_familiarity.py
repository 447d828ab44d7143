"""The statistics of frames by hand, and the file beside a checkpoint."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from deepfake_detection.common.errors import UserError
from deepfake_detection.inference.familiarity import (
    FLOOR,
    Familiarity,
    frame_statistics,
    load_familiarity,
    save_familiarity,
    scoring,
)

STATISTICS = 2 * 2 * 6  # scales, directions, mixtures of colours


def test_differences_of_a_ramp_by_hand() -> None:
    ramp = np.zeros((1, 16, 16, 3), np.uint8)
    ramp[..., 0] = 10 * np.arange(16)  # red grows by 10 from column to column
    found = frame_statistics(torch.from_numpy(ramp)).exp() - FLOOR
    assert found.shape == (1, STATISTICS)
    by_scale = found.reshape(2, 2, 6)
    step = 10 / 255
    for number, scale in enumerate((1, 2)):
        # red, green, blue, their mean, red - green, (red + green) / 2 - blue
        wanted = [scale * step * each for each in (1, 0, 0, 1 / 3, 1, 0.5)]
        assert by_scale[number, 0].tolist() == pytest.approx(wanted, abs=1e-5)
        assert by_scale[number, 1].abs().max() < 1e-5  # nothing changes from row to row


def test_a_chequerboard_is_grey_at_half_the_size() -> None:
    board = (np.indices((16, 16)).sum(axis=0) % 2 * 255).astype(np.uint8)[None, ..., None].repeat(3, axis=3)
    found = (frame_statistics(torch.from_numpy(board)).exp() - FLOOR).reshape(2, 2, 6)
    assert found[0, :, :4].flatten().tolist() == pytest.approx([1] * 8, abs=1e-5)
    assert found[0, :, 4:].abs().max() < 1e-5  # no colour
    assert found[1].abs().max() < 1e-5


def test_logits_and_unfamiliarity_come_together() -> None:
    frames = torch.randint(0, 256, (3, 16, 16, 3), dtype=torch.uint8)
    known = Familiarity(torch.zeros(STATISTICS), torch.eye(STATISTICS))
    both = scoring(lambda batch: batch.float().mean((1, 2, 3)), known)(frames)
    assert both.shape == (3, 2)
    assert torch.equal(both[:, 0], frames.float().mean((1, 2, 3)))
    assert both[:, 1].tolist() == pytest.approx(frame_statistics(frames).norm(dim=1).tolist(), rel=1e-5)
    assert scoring(lambda batch: batch.float().mean((1, 2, 3)), None)(frames).shape == (3,)


def test_the_file_holds_it_and_what_is_wrong_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.familiarity.safetensors"
    torch.manual_seed(0)
    known = Familiarity(torch.randn(STATISTICS), torch.randn(STATISTICS, STATISTICS))
    save_familiarity(path, known)
    again = load_familiarity(path)
    frames = torch.randint(0, 256, (3, 16, 16, 3), dtype=torch.uint8)
    assert torch.equal(again(frames), known(frames))
    damaged = {"mean": torch.full((STATISTICS,), np.nan), "whitening": torch.eye(STATISTICS)}
    for spoil, words in (
        (lambda: save_familiarity(path, None), "not what the calibrate stage writes"),
        (lambda: save_file(damaged, path), "damaged"),
        (lambda: path.write_bytes(b"text"), "not what the calibrate stage writes"),
        (path.unlink, "not there, although"),
    ):
        spoil()
        with pytest.raises(UserError, match=words):
            load_familiarity(path)
