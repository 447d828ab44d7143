"""The pixels of a data set travel to its workers as a file, and several data sets share the workers."""

import os
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader

from deepfake_detection.frames.dataset import Frame, FrameDataset, chained_loader, frame_loader
from deepfake_detection.frames.prepared import StackedPixels


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """24 frames of 64 px in a file, 16 of them to serve."""
    path = tmp_path_factory.mktemp("prepared") / "pixels.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (24, 64, 64, 3), dtype=np.uint8))
    return path, pd.DataFrame({"label": [0, 1] * 12}).iloc[8:]


def batches(dataset: FrameDataset, workers: int = 0) -> list[torch.Tensor]:
    return [batch for batch, _ in frame_loader(dataset, 4, workers)]


def test_a_mapped_data_set_is_pickled_without_its_pixels(stored: tuple[Path, pd.DataFrame]) -> None:
    path, rows = stored
    pixels = StackedPixels([np.load(path, mmap_mode="r")])
    frames = FrameDataset(pixels, rows)
    packed = pickle.dumps(frames)
    assert len(packed) < 5_000 < path.stat().st_size
    again = pickle.loads(packed)  # noqa: S301, our own
    assert isinstance(again.pixels.arrays[0], np.memmap)
    assert not again.pixels.arrays[0].flags.writeable
    for item in range(len(frames)):
        assert torch.equal(frames[item][0], again[item][0])
    assert isinstance(pixels.arrays[0], np.memmap), "the data set itself is as it was"


def test_arrays_in_memory_and_parts_of_a_map_are_pickled_whole(stored: tuple[Path, pd.DataFrame]) -> None:
    path, _ = stored
    mapped = np.load(path, mmap_mode="r")
    for pixels in (np.array(mapped), mapped[:, ::-1], mapped[:, 8:40, 8:40]):
        again = pickle.loads(pickle.dumps(StackedPixels([pixels])))  # noqa: S301, our own
        assert np.array_equal(again.arrays[0], pixels)


@pytest.mark.slow
def test_spawned_workers_serve_the_same_batches(stored: tuple[Path, pd.DataFrame]) -> None:
    path, rows = stored
    frames = FrameDataset(StackedPixels([np.load(path, mmap_mode="r")]), rows)
    alone = list(frame_loader(frames, 6))
    spawned = list(DataLoader(frames, 6, num_workers=2, multiprocessing_context="spawn"))
    assert len(alone) == len(spawned) == 3
    for (batch, labels), (other, other_labels) in zip(alone, spawned, strict=True):
        assert torch.equal(batch, other)
        assert torch.equal(labels, other_labels)


class NameTheProcess(FrameDataset):
    def frame(self, item: int) -> Frame:
        frame = super().frame(item)
        frame[0, 0] = list(os.getpid().to_bytes(3, "big"))
        return frame


def test_several_data_sets_are_read_by_the_same_workers_and_share_no_batch(stored: tuple[Path, pd.DataFrame]) -> None:
    path, rows = stored
    pixels = np.load(path)
    parts = [NameTheProcess(pixels, rows.iloc[start:]) for start in (0, 6, 11)]  # 16, 10, 5 frames
    served = [batch for batch, _ in chained_loader(parts, 4, num_workers=2)]
    assert [len(batch) for batch in served] == [4, 4, 4, 4, 4, 4, 2, 4, 1]
    workers = {tuple(frame[0, 0].tolist()) for batch in served for frame in batch}
    assert len(workers) == 2
    own = torch.cat(served)[:, 1:]
    alone = torch.cat([batch for part in parts for batch in batches(part)])[:, 1:]
    assert torch.equal(own, alone)
