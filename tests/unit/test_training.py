"""Training frames are augmented, others are not; epoch values are means over frames; runs repeat exactly."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from pytorch_lightning import seed_everything
from sklearn.metrics import log_loss, roc_auc_score
from torch.utils.data import DataLoader

from deepfake_detection.checkpoint import save_checkpoint
from deepfake_detection.frames import FrameDataset, frame_loader, normalise
from deepfake_detection.inference import predict_logits
from deepfake_detection.logits import sigmoid
from deepfake_detection.model import IMAGENET_MEAN, IMAGENET_STD, build_model
from deepfake_detection.params import Augment, Train
from deepfake_detection.training import Batch, FrameSplits, fit

AUGMENT = Augment(flip=0.5, rotation=5.0, brightness=0.1, contrast=0.1)
PARAMS = Train(
    epochs=3,
    batch_size=4,
    accumulate=1,
    lr=1e-3,
    schedule="constant",
    warmup_epochs=0.0,
    ema=0.0,
    patience=3,
    precision="32-true",
    compile="none",
    checkpoint_activations=False,
    deterministic=True,
    devices=1,
    num_nodes=1,
    num_workers=0,
    augment=AUGMENT,
)


@pytest.fixture(scope="module")
def frames() -> tuple[NDArray[np.uint8], pd.DataFrame]:
    """22 frames of 32 px; the fakes are smoother. 14 train, 5 val (no whole batch), 3 test."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (22, 32, 32, 3), dtype=np.uint8)
    labels = np.tile([0, 1], 11)
    pixels[labels == 1] = pixels[labels == 1, ::4, ::4].repeat(4, 1).repeat(4, 2)
    split = ["train"] * 14 + ["val"] * 5 + ["test"] * 3
    return pixels, pd.DataFrame({"label": labels, "split": split})


def batches(dataset: FrameDataset, workers: int = 0) -> list[torch.Tensor]:
    return [batch for batch, _ in frame_loader(dataset, 4, workers)]


def test_frames_are_normalised_as_imagenet(frames: tuple[NDArray[np.uint8], pd.DataFrame]) -> None:
    pixels, rows = frames
    frame, label = FrameDataset(pixels, rows[rows["split"] == "val"])[0]
    normalised = normalise(frame[None])[0]
    expected = (pixels[14].transpose(2, 0, 1) / 255 - np.reshape(IMAGENET_MEAN, (3, 1, 1))) / np.reshape(
        IMAGENET_STD, (3, 1, 1)
    )
    assert frame.dtype == torch.uint8
    assert normalised.dtype == torch.float32
    assert np.allclose(normalised, expected, atol=1e-6)
    assert label == rows["label"][14]


def test_augmentation_depends_on_seed_epoch_and_frame_not_on_the_worker(
    frames: tuple[NDArray[np.uint8], pd.DataFrame],
) -> None:
    pixels, rows = frames
    train = rows[rows["split"] == "train"]
    first = batches(FrameDataset(pixels, train, AUGMENT, seed=1, epoch=0))
    again = batches(FrameDataset(pixels, train, AUGMENT, seed=1, epoch=0), workers=2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    plain = FrameDataset(pixels, train)[3][0]
    drawn = [FrameDataset(pixels, train, AUGMENT, seed, epoch)[3][0] for seed, epoch in ((1, 0), (1, 1), (2, 0))]
    for index, frame in enumerate(drawn):
        assert not torch.equal(frame, plain)
        assert not any(torch.equal(frame, other) for other in drawn[:index])


def served(loader: DataLoader[Batch]) -> list[int]:
    """Rows of pixels in the order in which a loader serves them."""
    rows = cast(FrameDataset, loader.dataset).rows
    return [int(rows[item]) for batch in cast(list[list[int]], loader.batch_sampler) for item in batch]


def test_each_epoch_serves_every_training_frame_once_in_a_new_order(
    frames: tuple[NDArray[np.uint8], pd.DataFrame],
) -> None:
    splits = FrameSplits(*frames, PARAMS, seed=7)
    orders = []
    for epoch in (0, 1):
        alone = SimpleNamespace(current_epoch=epoch, accumulate_grad_batches=1, world_size=1, global_rank=0)
        splits.trainer = alone  # type: ignore[assignment]
        first, again = (served(splits.train_dataloader()) for _ in range(2))
        assert first == again
        assert sorted(first) == list(range(14))
        orders.append(first)
    assert orders[0] != orders[1] != sorted(orders[1])
    assert served(splits.val_dataloader()) == list(range(14, 19))


def run(pixels: NDArray[np.uint8], rows: pd.DataFrame, params: Train = PARAMS) -> tuple[Any, dict[str, Any], list[Any]]:
    seed_everything(7, workers=True, verbose=False)
    epochs: list[dict[str, float]] = []
    model = build_model("efficientnet_b0", dropout=0.2)
    trained = fit(model, FrameSplits(pixels, rows, params, seed=7), params, epochs.append)
    assert trained
    return *trained, epochs


@pytest.fixture(scope="module")
def trained(frames: tuple[NDArray[np.uint8], pd.DataFrame]) -> tuple[Any, dict[str, Any], list[Any]]:
    return run(*frames)


def test_the_best_epoch_is_kept_with_means_over_frames(
    frames: tuple[NDArray[np.uint8], pd.DataFrame], trained: tuple[Any, dict[str, Any], list[Any]]
) -> None:
    pixels, rows = frames
    state, summary, epochs = trained
    assert len(epochs) == summary["epochs_run"] == 3
    best = min(range(3), key=lambda epoch: epochs[epoch]["val_loss"])
    assert summary["best_epoch"] == best
    names = {f"{split}_{name}" for split in ("train", "val") for name in ("loss", "accuracy", "auroc")}
    assert {name: summary[name] for name in names} == epochs[best]

    model = build_model("efficientnet_b0", dropout=0.2)
    model.load_state_dict(state)
    val = rows[rows["split"] == "val"]  # 5 frames in batches of 4: a mean over batches would differ
    logits = predict_logits(model, FrameDataset(pixels, val), batch_size=4)
    probabilities = torch.from_numpy(logits).float().sigmoid().numpy()
    assert summary["val_loss"] == pytest.approx(log_loss(val["label"], sigmoid(logits)), abs=1e-5)
    assert summary["val_accuracy"] == pytest.approx(((logits > 0) == val["label"]).mean(), abs=1e-6)
    assert summary["val_auroc"] == pytest.approx(roc_auc_score(val["label"], probabilities), abs=1e-6)


def test_two_runs_give_the_same_checkpoint_byte_for_byte(
    tmp_path: Path, frames: tuple[NDArray[np.uint8], pd.DataFrame], trained: tuple[Any, dict[str, Any], list[Any]]
) -> None:
    for name, state in (("a", trained[0]), ("b", run(*frames, PARAMS.model_copy(update={"num_workers": 2}))[0])):
        (tmp_path / name).mkdir()
        save_checkpoint(tmp_path / name / "best.pth", state, "efficientnet_b0", 32, {"real": [], "fake": []}, 0)
    assert (tmp_path / "a" / "best.pth").read_bytes() == (tmp_path / "b" / "best.pth").read_bytes()


def test_training_moves_backbone_and_head(trained: tuple[Any, dict[str, Any], list[Any]]) -> None:
    seed_everything(7, workers=True, verbose=False)
    before = build_model("efficientnet_b0", dropout=0.2).state_dict()
    for name in ("features.0.0.weight", "features.7.0.block.0.0.weight", "classifier.1.weight"):
        assert not torch.equal(before[name], trained[0][name]), name


def test_early_stopping_strikes_and_is_told(frames: tuple[NDArray[np.uint8], pd.DataFrame]) -> None:
    impatient = PARAMS.model_copy(update={"epochs": 30, "patience": 1, "lr": 0.3})
    _, summary, epochs = run(*frames, impatient)
    assert summary["early_stopped"]
    assert len(epochs) == summary["epochs_run"] < 30
    assert epochs[-1]["val_loss"] >= summary["val_loss"]
