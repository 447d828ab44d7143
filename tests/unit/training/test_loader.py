"""Every epoch serves each training frame once, in an order of its own that repeats."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.training.loader import Batch, FrameBatches, with_weights
from tests.support.params import train as train_params
from tests.unit.training.small import make_batches


def served(loader: DataLoader[Batch]) -> list[int]:
    """Rows of pixels in the order in which a loader serves them."""
    rows = cast(FrameDataset, loader.dataset).rows
    return [int(rows[item]) for batch in cast(list[list[int]], loader.batch_sampler) for item in batch]


def test_each_epoch_serves_every_training_frame_once_in_a_new_order(
    frames: tuple[NDArray[np.uint8], pd.DataFrame],
) -> None:
    batches = FrameBatches(*frames, train_params(batch_size=4), seed=7)
    orders = []
    for epoch in (0, 1):
        alone = SimpleNamespace(current_epoch=epoch, accumulate_grad_batches=1, world_size=1, global_rank=0)
        batches.trainer = alone  # type: ignore[assignment]
        first, again = (served(batches.train_dataloader()) for _ in range(2))
        assert first == again
        assert sorted(first) == list(range(14))
        orders.append(first)
    assert orders[0] != orders[1] != sorted(orders[1])
    assert served(batches.val_dataloader()) == list(range(14, 19))


def test_an_epoch_of_a_share_of_the_frames_takes_other_frames_each_time_and_all_of_them_in_the_end() -> None:
    """Also those of the one pair that is larger than the others."""
    batches = make_batches(22, batch_size=4, epoch_share=0.3)
    batches.train_rows["pair"] = np.minimum(np.arange(22), 20)
    seen, steps = set(), []
    for epoch in range(40):
        alone = SimpleNamespace(current_epoch=epoch, accumulate_grad_batches=1, world_size=1, global_rank=0)
        batches.trainer = alone  # type: ignore[assignment]
        order = served(batches.train_dataloader())
        assert len(set(order)) == len(order) <= 8
        seen |= set(order)
        steps.append(len(batches._train_batches()))
        assert batches.steps() == 2
    assert seen == set(range(22))
    assert set(steps) == {2}


def test_weights_balance_classes_and_categories() -> None:
    categories = ["Original"] * 4 + ["Deepfakes"] * 6 + ["FaceSwap"] * 2
    rows = pd.DataFrame({"category": categories, "label": [0] * 4 + [1] * 8})
    assert with_weights(rows, "none") is rows
    balanced = pd.DataFrame({"category": ["Original", "Deepfakes"] * 3, "label": [0, 1] * 3})
    assert all(with_weights(balanced, by) is balanced for by in ("class", "category"))
    by_class = with_weights(rows, "class")["weight"]
    assert by_class.tolist() == pytest.approx([12 / 2 / 4] * 4 + [12 / 2 / 8] * 8)
    by_category = with_weights(rows, "category")["weight"]
    assert by_category.tolist() == pytest.approx([12 / 2 / 4] * 4 + [12 / 4 / 6] * 6 + [12 / 4 / 2] * 2)
    assert by_class.mean() == pytest.approx(1)
    assert by_category.mean() == pytest.approx(1)


def test_weights_balance_data_sets_and_videos() -> None:
    frames = [  # data set, category, label, video, how many frames
        ("large", "real", 0, "a", 6),
        ("large", "real", 0, "b", 2),
        ("small", "real", 0, "a", 1),
        ("large", "swap", 1, "c", 3),
        ("large", "mouth", 1, "c", 1),
        ("small", "swap", 1, "d", 2),
    ]
    rows = pd.DataFrame(
        [row[:4] for row in frames for _ in range(row[4])], columns=["dataset", "category", "label", "video_id"]
    )
    rows["source_id"] = ""
    by_dataset, by_video = (with_weights(rows, balance)["weight"] for balance in ("dataset", "video"))
    for weights in (by_dataset, by_video):
        assert weights.mean() == pytest.approx(1)
        assert weights.groupby([rows["label"], rows["dataset"]]).sum().tolist() == pytest.approx([15 / 4] * 4)
        of_large = weights[(rows["label"] == 1) & (rows["dataset"] == "large")]
        assert of_large.groupby(rows["category"]).sum().tolist() == pytest.approx([15 / 8] * 2)
    originals = (rows["label"] == 0) & (rows["dataset"] == "large")
    assert by_dataset[originals].tolist() == pytest.approx([15 / 4 / 8] * 8)
    assert by_video[originals].tolist() == pytest.approx([15 / 8 / 6] * 6 + [15 / 8 / 2] * 2)
