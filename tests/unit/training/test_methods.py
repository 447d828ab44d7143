"""The methods of ``train.method``: which frames are served under which labels, and what is learnt from them."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.functional import binary_cross_entropy_with_logits

from deepfake_detection.common.errors import UserError
from deepfake_detection.frames.dataset import derive_seed
from deepfake_detection.frames.prepared import SCALE
from deepfake_detection.network.model import add_level, build_model, drop_level
from deepfake_detection.training.blending import LANDMARKS, self_blend
from deepfake_detection.training.classifier import FrameClassifier
from deepfake_detection.training.loader import FrameBatches, step_sizes
from deepfake_detection.training.training_frames import TrainingFrames
from tests.support.params import train

SIZE, VIDEOS = 64, 12


@pytest.fixture(scope="module")
def data() -> tuple[NDArray[np.uint8], pd.DataFrame, NDArray[np.float32]]:
    """Two frames of each of twelve videos, as originals and as fakes by two manipulations."""
    rows = pd.DataFrame(
        [
            {"dataset": "drawn", "category": category, "label": int(category != "Original"), "video_id": f"{video:03d}"}
            | {"source_id": "", "frame": frame, "path": f"{category}/{video}_{frame}"}
            for category in ("Deepfakes", "FaceSwap", "Original")
            for video in range(VIDEOS)
            for frame in range(2)
        ]
    )
    rows["split"] = np.where(rows["video_id"] < "008", "train", "val")
    pixels = np.random.default_rng(0).integers(0, 256, (len(rows), SIZE, SIZE, 3), dtype=np.uint8)
    landmarks = np.tile(18 * LANDMARKS + (32, 26), (len(rows), 1, 1)).astype(np.float32)
    return pixels, rows, landmarks


def batches(data: Any, **changes: Any) -> FrameBatches:
    pixels, rows, landmarks = data
    found = FrameBatches(pixels, rows, train(batch_size=8, **changes), 7, landmarks)
    found.trainer = SimpleNamespace(  # type: ignore[assignment]
        current_epoch=0, accumulate_grad_batches=1, world_size=1, global_rank=0
    )
    return found


def test_self_blended_never_sees_a_fake(data: Any) -> None:
    found = batches(data, method="self_blended")
    for rows, videos in ((found.train_rows, 8), (found.val_rows, 4)):
        assert set(rows["category"]) == {"Original", "self-blended"}
        assert rows["label"].value_counts().to_dict() == {0: 2 * videos, 1: 2 * videos}
        assert (rows["label"] == rows["blended"]).all()


def test_nested_orders_originals_blends_and_fakes(data: Any) -> None:
    found = batches(data, method="nested")
    levels = found.train_rows.groupby("label")["category"].unique().map(sorted).to_dict()
    assert levels == {0: ["Original"], 1: ["self-blended"], 2: ["Deepfakes", "FaceSwap"]}
    assert found.val_rows["label"].value_counts().to_dict() == {1: 16, 0: 8}
    balanced = batches(data, method="nested", balance="class").train_rows
    assert balanced.groupby("label")["weight"].sum().tolist() == pytest.approx([64 / 3] * 3)


@pytest.mark.parametrize("method", ["self_blended", "nested"])
def test_without_landmarks_a_method_says_what_it_needs(data: Any, method: str) -> None:
    pixels, rows, _ = data
    with pytest.raises(UserError, match=rf"^train\.method: {method} needs the landmarks .*: set prepare\.crop=face"):
        FrameBatches(pixels, rows, train(method=method), 7)


@pytest.mark.parametrize("scale", [1.0, 1.7])
def test_a_blend_is_served_next_to_its_original_with_its_draw(data: Any, scale: float) -> None:
    """It is made at the size that the crop had in the frame."""
    found = batches((data[0], data[1].assign(**{SCALE: scale}), data[2]), method="self_blended")
    loader = found.train_dataloader()
    frames = loader.dataset
    assert isinstance(frames, TrainingFrames)
    assert sorted(map(len, loader.batch_sampler)) == [8] * 4  # type: ignore[arg-type]
    plain = TrainingFrames(data[0], found._train_order(), None, data[2], seed=7, epoch=0)
    for item in range(0, len(frames), 2):
        assert frames.rows[item] == frames.rows[item + 1]
        assert frames.numbers[item] == frames.numbers[item + 1]
        original, blend = (item, item + 1) if plain.labels[item] == 0 else (item + 1, item)
        seed = derive_seed(7, 0, int(frames.numbers[item]), 1)
        row = int(frames.rows[item])
        assert np.array_equal(plain.frame(original), data[0][row])
        expected = self_blend(data[0][row], data[2][row], np.random.default_rng(seed), scale).frame
        assert np.array_equal(plain.frame(blend), expected)


def test_without_pairs_or_blends_an_epoch_is_a_plain_shuffle(data: Any) -> None:
    """The order that the committed run was trained in."""
    rows = data[1][data[1]["split"] == "train"]
    expected = rows.sample(frac=1, random_state=derive_seed(7, 0))
    assert batches(data)._train_order()["path"].tolist() == expected["path"].tolist()
    assert batches(data)._train_order()["pair"].tolist() == rows.index.get_indexer(expected.index).tolist()


def test_the_frames_of_a_pair_share_a_step_and_a_draw(data: Any) -> None:
    apart, paired = (batches(data, pairs=pairs) for pairs in (False, True))
    order = paired._train_order()
    videos = order[["video_id", "frame"]].apply(tuple, axis=1).tolist()
    for start in range(0, len(videos), 3):
        assert len(set(videos[start : start + 3])) == 1
        assert set(order["category"].iloc[start : start + 3]) == {"Deepfakes", "FaceSwap", "Original"}
    assert order["pair"].nunique() == len(order) / 3
    assert apart._train_order()["pair"].is_unique
    same = np.zeros_like(data[0])
    same[:] = data[0][0]  # one picture everywhere: what differs is the draw
    frames = TrainingFrames(same, order, train().augment, data[2], seed=7, epoch=0)
    for start in range(0, len(order), 3):
        assert np.array_equal(frames.frame(start), frames.frame(start + 1))
    assert not np.array_equal(frames.frame(0), frames.frame(3))


def test_no_pair_is_in_two_steps(data: Any) -> None:
    """Originals with their blends beside single fakes, in steps of odd sizes, shared by processes and micro-batches."""
    for pairs, batch_size, accumulate, world_size in ((False, 8, 1, 1), (False, 14, 2, 1), (True, 9, 1, 2)):
        found = batches(data, method="nested", pairs=pairs)
        found.micro_batch_size = batch_size // accumulate
        steps = []
        for epoch in (0, 1, 2):
            taken: dict[int, list[int]] = {}
            for rank in range(world_size):
                found.trainer = SimpleNamespace(  # type: ignore[assignment]
                    current_epoch=epoch, accumulate_grad_batches=accumulate, world_size=world_size, global_rank=rank
                )
                order = found._train_order()
                for number, part in enumerate(found._train_batches()):
                    assert len(part) <= found.micro_batch_size
                    taken.setdefault(number // accumulate, []).extend(part)
            steps.append(found.steps())
            assert len(taken) == found.steps()
            assert all(
                len(items) == found.mean_micro_batch(step * accumulate) * accumulate * world_size
                for step, items in taken.items()
            )
            where = pd.Series({item: step for step, items in taken.items() for item in items}).sort_index()
            assert len(where) == len(order) == 64
            assert where.groupby(order["pair"].to_numpy()).nunique().max() == 1
        assert len(set(steps)) == 1
    assert step_sizes([3, 3, 2, 9, 1], 8, 2) == [8, 8, 2]
    assert step_sizes([3, 3, 3, 1, 8], 8, 2) == [6, 4, 8]
    assert step_sizes([1, 8, 1], 8, 2) == [8, 2]  # batch norm cannot train on the first frame alone


def test_two_levels_in_training_and_one_in_validation() -> None:
    model = build_model("efficientnet_b0", 0.0)
    classifier = FrameClassifier(model, train(method="nested"), 7)
    logits, labels = torch.tensor([[0.3, -1.0], [1.2, 0.4], [-0.7, 2.0]]), torch.tensor([0.0, 1.0, 2.0])
    first = binary_cross_entropy_with_logits(logits[:, 0], torch.tensor([0.0, 1.0, 1.0]))
    second = binary_cross_entropy_with_logits(logits[:, 1], torch.tensor([0.0, 0.0, 1.0]))
    assert classifier.train()._loss(logits, labels, None) == pytest.approx(float(first + second))
    assert classifier.eval()._loss(logits, labels.clamp(max=1), None) == pytest.approx(float(first))
    assert classifier.train()._loss(logits[:, 0], labels.clamp(max=1), None) == pytest.approx(float(first))


def test_the_second_level_is_dropped_and_the_first_stays() -> None:
    model = build_model("efficientnet_b0", 0.0)
    frames = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    add_level(model)
    with torch.inference_mode():
        two = model.eval()(frames)
        assert two.shape == (3, 2)
        drop_level(model)
        assert torch.equal(model(frames), two[:, 0])
    assert model.efficientnet.classifier[-1].weight.shape == (1, 1280)  # type: ignore[index,union-attr]
