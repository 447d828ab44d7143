"""The teacher sees what the student sees, and the student learns from its logits."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit
from torch import Tensor

from deepfake_detection.common.errors import UserError
from deepfake_detection.network.model import build_model
from deepfake_detection.training.distillation import as_teacher, distance, load_teacher
from deepfake_detection.training.fit import fit
from tests.support.checkpoints import save_checkpoint, sidecar
from tests.unit.training.small import make_batches
from tests.unit.training.test_feature_losses import batches_of


def test_the_distance_is_the_cross_entropy_of_softened_probabilities() -> None:
    logits, taught = torch.tensor([1.0, -2.0]), torch.tensor([3.0, 0.5])
    wanted, found = expit(taught.numpy() / 2), expit(logits.numpy() / 2)
    expected = -(wanted * np.log(found) + (1 - wanted) * np.log(1 - found)).mean() * 4
    assert distance(logits, taught, 2).item() == pytest.approx(expected, rel=1e-6)


def test_a_teacher_is_shown_frames_of_its_own_size() -> None:
    network = build_model("efficientnet_b0", 0.5)
    teach = as_teacher(network, 48)
    small = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3), dtype=np.uint8))
    grown = torch.nn.functional.interpolate(
        small.permute(0, 3, 1, 2).float(), (48, 48), mode="bilinear", antialias=True
    )
    grown = grown.round().byte().permute(0, 2, 3, 1)
    assert torch.equal(teach(small), teach(grown))
    assert not teach(small).requires_grad
    assert torch.equal(teach(grown), network.eval()(grown))


@pytest.mark.slow
def test_a_student_that_learns_from_the_teacher_alone_follows_it_against_the_labels() -> None:
    """The fakes are dark. The teacher calls what is light fake, and its share of the loss is all."""

    def teach(frames: Tensor) -> Tensor:
        return (frames.float().mean((1, 2, 3)) - 96) / 8

    ready = make_batches(64, epochs=6, batch_size=8, lr=3e-3, teacher_weight=1.0, patience=6, monitor="val_loss")
    torch.manual_seed(0)
    network = build_model("efficientnet_b0", 0.0)
    kept: list[dict[str, float]] = []
    found = fit(network, ready, ready.params, kept.append, teacher=teach)
    assert found
    assert kept[-1]["train_auroc"] < 0.2, "the labels say the contrary of the teacher"


@pytest.mark.slow
def test_frames_without_labels_count_for_the_teacher_alone() -> None:
    seen: list[int] = []

    def teach(frames: Tensor) -> Tensor:
        seen.append(len(frames))
        return torch.zeros(len(frames))

    batches = batches_of(adapt="none", teacher="given")
    assert fit(build_model("efficientnet_b0", 0.0), batches, batches.params, teacher=teach)
    assert seen == [16, 16, 12], "none of them in validation"


def test_a_teacher_of_other_crops_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "teacher.pth"
    save_checkpoint(checkpoint, build_model("efficientnet_b0", 0.0), sidecar())
    assert load_teacher("none", "face", 0.3) is None
    assert load_teacher(str(checkpoint), "none", 0.3)
    with pytest.raises(UserError, match=r"teacher\.pth was trained with prepare\.crop: none: prepare the frames"):
        load_teacher(str(checkpoint), "face", 0.3)
    with pytest.raises(UserError, match=r"other\.json: not there"):
        load_teacher(str(tmp_path / "other.pth"), "none", 0.3)
