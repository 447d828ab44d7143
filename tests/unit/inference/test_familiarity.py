"""The statistics and the layout of frames by hand, and the file beside a checkpoint."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from deepfake_detection.common.errors import UserError
from deepfake_detection.inference.familiarity import (
    FLAT,
    FLOOR,
    SIDE,
    Familiarity,
    frame_layout,
    frame_statistics,
    load_familiarity,
    save_familiarity,
    scoring,
)

KINDS = (2, 2, 2, 6)  # of means, scales, directions, mixtures of colours
STATISTICS = 2 * 2 * 2 * 6
NO_LAYOUT = torch.zeros(SIDE**2), torch.tensor([-9.0])


def test_differences_of_a_ramp_by_hand() -> None:
    ramp = np.zeros((1, 16, 16, 3), np.uint8)
    ramp[..., 0] = 10 * np.arange(16)  # red grows by 10 from column to column
    found = frame_statistics(torch.from_numpy(ramp)).exp() - FLOOR
    assert found.shape == (1, STATISTICS)
    step = 10 / 255
    for by_scale in found.reshape(KINDS):  # all steps are equal, so both means are
        for number, scale in enumerate((1, 2)):
            # red, green, blue, their mean, red - green, (red + green) / 2 - blue
            wanted = [scale * step * each for each in (1, 0, 0, 1 / 3, 1, 0.5)]
            assert by_scale[number, 0].tolist() == pytest.approx(wanted, abs=1e-5)
            assert by_scale[number, 1].abs().max() < 1e-5  # nothing changes from row to row


def test_a_chequerboard_is_grey_at_half_the_size() -> None:
    board = (np.indices((16, 16)).sum(axis=0) % 2 * 255).astype(np.uint8)[None, ..., None].repeat(3, axis=3)
    found = (frame_statistics(torch.from_numpy(board)).exp() - FLOOR).reshape(KINDS)[0]
    assert found[0, :, :4].flatten().tolist() == pytest.approx([1] * 8, abs=1e-5)
    assert found[0, :, 4:].abs().max() < 1e-5  # no colour
    assert found[1].abs().max() < 1e-5


def test_an_edge_and_a_smooth_frame_of_the_same_mean_difference_differ() -> None:
    edge, ramp = np.zeros((2, 1, 16, 16, 3), np.uint8)
    edge[:, :, 8:], ramp[:] = 150, 10 * np.arange(16)[:, None]
    one, other = (frame_statistics(torch.from_numpy(each)).reshape(KINDS)[:, 0, 0, 3] for each in (edge, ramp))
    assert one[0] == other[0] == pytest.approx(np.log(10 / 255 + FLOOR), abs=1e-4)
    assert other[1] == pytest.approx(other[0].item(), abs=1e-4)
    assert one[1] == pytest.approx((14 * np.log(FLOOR) + np.log(150 / 255 + FLOOR)) / 15, abs=1e-3)


@pytest.mark.parametrize("size", [24, 31, 5])
def test_a_layout_is_a_thumbnail_without_brightness_and_contrast(size: int) -> None:
    frames = np.random.default_rng(0).integers(0, 60, (2, size, size, 3)).astype(np.uint8)
    frames[1] = 2 * frames[0] + 40
    found = frame_layout(torch.from_numpy(frames)).numpy()
    whole = np.kron(frames[0].mean(axis=2) / 255, np.ones((SIDE, SIDE)))
    small = whole.reshape(SIDE, size, SIDE, size).mean(axis=(1, 3))
    assert found[0] == pytest.approx(((small - small.mean()) / (small.std() + FLAT)).ravel(), abs=1e-4)
    small *= 2
    assert found[1] == pytest.approx(((small - small.mean()) / (small.std() + FLAT)).ravel(), abs=1e-4)


def test_logits_and_unfamiliarity_come_together() -> None:
    frames = torch.randint(0, 256, (3, 16, 16, 3), dtype=torch.uint8)
    known = Familiarity(torch.zeros(STATISTICS), torch.eye(STATISTICS), *NO_LAYOUT)
    both = scoring(lambda batch: batch.float().mean((1, 2, 3)), known)(frames)
    assert both.shape == (3, 2)
    assert torch.equal(both[:, 0], frames.float().mean((1, 2, 3)))
    assert both[:, 1].tolist() == pytest.approx(frame_statistics(frames).norm(dim=1).tolist(), rel=1e-5)
    assert scoring(lambda batch: batch.float().mean((1, 2, 3)), None)(frames).shape == (3,)
    upset = Familiarity(torch.zeros(STATISTICS), torch.zeros(STATISTICS, STATISTICS), torch.ones(144), torch.ones(1))
    wanted = (frame_layout(frames).sum(1) + 1).exp()
    assert upset(frames).tolist() == pytest.approx(wanted.tolist(), rel=1e-4)


def test_the_file_holds_it_and_what_is_wrong_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.familiarity.safetensors"
    torch.manual_seed(0)
    parts = torch.randn(STATISTICS), torch.randn(STATISTICS, STATISTICS), torch.randn(SIDE**2), torch.randn(1)
    known = Familiarity(*parts)
    save_familiarity(path, known)
    again = load_familiarity(path)
    frames = torch.randint(0, 256, (3, 16, 16, 3), dtype=torch.uint8)
    assert torch.equal(again(frames), known(frames))
    damaged = known.state_dict() | {"mean": torch.full((STATISTICS,), np.nan)}
    old = {"mean": torch.zeros(24), "whitening": torch.eye(24)}
    for spoil, words in (
        (lambda: save_familiarity(path, None), "not what the calibrate stage of this version writes"),
        (lambda: save_file(damaged, path), "damaged"),
        (lambda: save_file(old, path), "of this version"),
        (lambda: path.write_bytes(b"text"), "of this version"),
        (path.unlink, "not there, although"),
    ):
        spoil()
        with pytest.raises(UserError, match=words):
            load_familiarity(path)
