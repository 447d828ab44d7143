"""A made-up FaceForensics++: its sequences, the recordings they come from, and the official pairs, without a frame."""

import itertools

import numpy as np
import pandas as pd

SEQUENCES, RECORDINGS = 1000, 977
CUT_TWICE, CUT_THRICE = 21, 1  # recordings that gave two or three sequences; each of the others gave one
OFFICIAL_PAIRS = {"train": 360, "val": 70, "test": 70}
COLUMNS = ["path", "category", "label", "video_id", "source_id", "frame"]


def made_up_conversion(seed: int) -> dict[str, str]:
    """``conversion_dict.json``: sequences of one recording have consecutive ids, as in the real one."""
    sizes = [3] * CUT_THRICE + [2] * CUT_TWICE + [1] * (RECORDINGS - CUT_THRICE - CUT_TWICE)
    sequences = [
        f"made-up_{recording:03d} {number}"
        for recording, size in enumerate(np.random.default_rng([seed, 0]).permutation(sizes))
        for number in range(size)
    ]
    return {f"{video:03d}": sequence for video, sequence in enumerate(sequences)}


def made_up_lists(seed: int) -> dict[str, list[list[str]]]:
    """The official lists: random pairs, so that some recordings are in two lists, as in the real ones."""
    order = [f"{video:03d}" for video in np.random.default_rng([seed, 1]).permutation(SEQUENCES)]
    pairs = iter([list(pair) for pair in zip(order[::2], order[1::2], strict=True)])
    return {name: list(itertools.islice(pairs, count)) for name, count in OFFICIAL_PAIRS.items()}


def index_of_pairs(pairs: list[list[str]], frames: int = 5) -> pd.DataFrame:
    """The index of an original of each sequence, and of both directions of each pair as Deepfakes."""
    rows: list[tuple[str, str, int, str, str, int]] = []
    for a, b in pairs:
        for frame, (target, source) in itertools.product(range(frames), ((a, b), (b, a))):
            rows.append((f"Original/{target}_f{frame}.jpg", "Original", 0, target, "", frame))
            rows.append((f"Deepfakes/{target}_{source}_f{frame}.jpg", "Deepfakes", 1, target, source, frame))
    return pd.DataFrame(rows, columns=COLUMNS).sort_values("path", ignore_index=True)
