"""``train.localise``: the masks that are served, the loss on them, and the head that learns from them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from deepfake_detection.common.errors import UserError
from deepfake_detection.network.layers import WhereHead
from deepfake_detection.network.model import add_where, build_model
from deepfake_detection.network.weights import save_weights
from deepfake_detection.params.train_sections import Augment, Model
from deepfake_detection.training.augment import augment_frame, augment_mask
from deepfake_detection.training.blending import LANDMARKS
from deepfake_detection.training.changed import originals_of
from deepfake_detection.training.classifier import misplaced
from deepfake_detection.training.loader import FrameBatches, Unlabelled
from deepfake_detection.training.runs import train_network
from deepfake_detection.training.training_frames import TrainingFrames
from tests.support.params import train

SIZE = 64
POINTS = (18 * LANDMARKS + (32, 26)).astype(np.float32)


def rows(labels: list[int], blended: list[bool]) -> pd.DataFrame:
    return pd.DataFrame({"label": labels, "blended": blended, "pair": range(len(labels))})


def test_masks_follow_the_frames_through_the_augmentation() -> None:
    """A frame that is white where its blend differs from it moves as the blend's mask does."""
    picture = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    pixels, points = np.stack([picture] * 3), np.stack([POINTS] * 3)
    plain = TrainingFrames(pixels, rows([1, 0, 2], [True, False, False]), None, points, seed=3, masked=True)
    blend, original, fake = (plain[item] for item in range(3))
    assert [part[-1].shape for part in (blend, original, fake)] == [(SIZE, SIZE)] * 3
    assert (blend[-1].max().item(), blend[-1].min().item()) == (1, 0)
    assert not original[-1].any()
    assert fake[-1].isnan().all()
    changes = {"rotation": 30.0, "scale": 0.2, "flip": 1.0, "brightness": 0.0, "contrast": 0.0}
    still = Augment.model_validate(train().augment.model_dump() | changes)
    moved = still.model_copy(update={"brightness": 0.4, "contrast": 0.4, "social": 1.0})
    shown = np.repeat((blend[-1].numpy() * 255).round().astype(np.uint8)[..., None], 3, axis=2)[None]
    as_frame = TrainingFrames(shown, rows([0], [False]), still, points[:1], seed=3)[0][0][..., 0].float() / 255
    mask = TrainingFrames(pixels[:1], rows([1], [True]), moved, points[:1], seed=3, masked=True)[0][-1]
    assert (mask - as_frame).abs().max() < 0.02
    assert (mask - blend[-1]).abs().max() > 0.5
    without = TrainingFrames(pixels[:1], rows([1], [True]), moved, points[:1], seed=3)[0]
    assert len(without) == 2


def test_a_fake_is_compared_with_the_original_of_the_same_frame_in_the_same_crop() -> None:
    """Frames of one video: two originals, a fake of each, one in another crop, a blend, and one of another frame."""
    pixels = np.full((7, SIZE, SIZE, 3), 100, np.uint8)
    pixels[2:, :, 40:] = 107
    pixels[2:, :, :20] = 105  # as much as the compression may change
    points = np.stack([POINTS] * 7)
    points[4] += 1
    table = pd.DataFrame({"label": [0, 0, 1, 2, 1, 1, 1], "frame": [0, 1, 0, 1, 0, 0, 2]}).assign(
        dataset="d", video_id="7"
    )
    table["blended"] = [False] * 5 + [True, False]
    shuffled = table.sample(frac=1, random_state=3)
    assert dict(zip(shuffled.index, originals_of(shuffled, points), strict=True)) == {
        0: -1,
        1: -1,
        2: 0,
        3: 1,
        4: -1,
        5: -1,
        6: -1,
    }
    served = table.assign(original=originals_of(table, points), pair=range(7), blended=False)
    frames = TrainingFrames(pixels, served, None, points, masked=True)
    mask = frames[2][-1].numpy()
    assert mask[:, 41:].all()
    assert not mask[:, :39].any()
    assert frames[4][-1].isnan().all()
    turned = Augment.model_validate(
        train().augment.model_dump() | dict.fromkeys(("rotation", "scale"), 0.0) | {"flip": 1.0}
    )
    flipped = TrainingFrames(pixels, served, turned, points, masked=True)[2][-1].numpy()
    assert np.array_equal(flipped, mask[:, ::-1])


@pytest.mark.parametrize("seed", range(4))
def test_what_is_erased_is_no_change(seed: int) -> None:
    still = dict.fromkeys(("rotation", "flip", "brightness", "contrast", "scale"), 0.0)
    erasing = Augment.model_validate(train().augment.model_dump() | still | {"erase": 1.0})
    frame = np.random.default_rng(9).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    erased = (augment_frame(erasing, frame.copy(), np.random.default_rng(seed), POINTS) != frame).any(axis=2)
    mask = augment_mask(erasing, np.ones((SIZE, SIZE), np.float32), np.random.default_rng(seed), POINTS)
    assert 0 < erased.sum() < SIZE**2 / 2
    assert np.array_equal(mask, np.where(erased, 0, 1))


def test_the_loss_leaves_out_what_nobody_knows() -> None:
    places = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    masks = torch.rand(3, 30, 30)
    masks[1] = torch.nan
    loss = misplaced(places, masks)
    shares = torch.nn.functional.adaptive_avg_pool2d(masks[[0, 2]], 4)
    assert loss.item() == pytest.approx(binary_cross_entropy_with_logits(places[[0, 2]], shares).item(), rel=1e-5)
    (gradient,) = torch.autograd.grad(loss, places)
    assert gradient.isfinite().all()
    assert not gradient[1].any()
    assert misplaced(places, torch.full((3, 30, 30), torch.nan)).item() == 0


@pytest.mark.parametrize("arch", ["efficientnet_b0", "efficientnet_lite0", "efficientnet_b4"])
def test_the_head_looks_at_places_of_8_pixels_and_leaves_the_logit_alone(arch: str) -> None:
    torch.manual_seed(0)
    network = build_model(arch, 0.0).eval()
    frames = torch.randint(0, 256, (2, 72, 72, 3), dtype=torch.uint8)
    with torch.no_grad():
        before = network(frames)
        add_where(network)
        logits, places = network.located(frames)
        assert torch.equal(before, network(frames))
    assert torch.allclose(before, logits, atol=1e-6)
    assert places.shape == (2, 9, 9)
    assert set(network.efficientnet.state_dict()) > {f"where.{part}.weight" for part in ("fine", "coarse", "place")}


def test_a_trained_head_is_saved_and_loaded_and_training_starts_without_it(tmp_path: Path) -> None:
    """One step of Lite0 from scratch, on originals with their blends."""
    pixels = np.random.default_rng(0).integers(0, 256, (12, SIZE, SIZE, 3), dtype=np.uint8)
    table = pd.DataFrame({"label": 0, "dataset": "d", "category": "Original", "frame": 0, "source_id": ""}, range(12))
    table["video_id"] = table["path"] = [f"{number:03d}" for number in range(12)]
    table["split"] = ["train"] * 8 + ["val"] * 4
    params = train(method="self_blended", localise=0.5, epochs=1, max_steps=2, batch_size=8)
    batches = FrameBatches(pixels, table, params, 7, np.stack([POINTS] * 12))
    model = Model(arch="efficientnet_lite0", weights="none", dropout=0.0)
    trained = train_network(model, params, ("face", 0.3), batches, None)
    assert trained
    network, file = trained[0].eval(), tmp_path / "lite0.pth"
    assert isinstance(network.efficientnet.where, WhereHead)
    save_weights(file, network.efficientnet, network.variant)
    again = build_model("efficientnet_lite0", 0.0, file, trained=True).eval()
    frames = torch.from_numpy(pixels[:2])
    with torch.no_grad():
        for one, other in zip(network.located(frames), again.located(frames), strict=True):
            assert torch.allclose(one, other, atol=1e-5)
    adapted = params.model_copy(update={"unlabelled": "adapt", "adapt": "coral"})
    points = np.stack([POINTS] * 12)
    beside = FrameBatches(pixels, table, adapted, 7, points, Unlabelled(pixels, pd.RangeIndex(12), points))
    both = train_network(model, adapted, ("face", 0.3), beside, None)
    assert both, "beside frames without labels, whose masks nobody knows"
    assert np.isfinite(both[1]["train_loss"])
    assert isinstance(both[0].efficientnet.where, WhereHead)
    without = params.model_copy(update={"localise": 0.0})
    others = FrameBatches(pixels, table, without, 7, np.stack([POINTS] * 12))
    plain = train_network(model, without, ("face", 0.3), others, None)
    assert plain
    assert plain[0].state_dict().keys() == build_model("efficientnet_lite0", 0.0).state_dict().keys()
    fresh = build_model("efficientnet_lite0", 0.0, file)
    assert not fresh.variant.localise
    assert not any(name.startswith("where.") for name in fresh.efficientnet.state_dict())


def test_training_says_when_it_is_known_of_no_frame_where_it_was_changed() -> None:
    table = pd.DataFrame({"label": [0, 1] * 4, "dataset": "d", "category": "x", "source_id": "", "split": "train"})
    table["video_id"] = table["path"] = [f"{number:03d}" for number in range(8)]
    table["frame"] = 0
    pixels, points = np.zeros((8, SIZE, SIZE, 3), np.uint8), np.stack([POINTS] * 8)
    with pytest.raises(UserError, match=r"^train.localise: no fake has its original among the frames"):
        FrameBatches(pixels, table, train(localise=1.0), 7, points)
    with pytest.raises(UserError, match=r"^train.localise needs the same crop .* set prepare.crop=face"):
        FrameBatches(pixels, table, train(localise=1.0), 7)
    table["video_id"] = "000"
    assert FrameBatches(pixels, table, train(localise=1.0), 7, points).train_rows["original"].tolist() == [-1, 0] * 4
