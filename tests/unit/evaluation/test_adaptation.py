"""What was adapted to is not scored, and every batch of statistics is a fair sample."""

import numpy as np
import pandas as pd
import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.evaluation.adaptation import adaptation, shuffled_batches, without_videos_in
from tests.support.checkpoints import SIZE, network_with_statistics, sidecar

PIXELS = np.random.default_rng(0).integers(0, 255, (12, SIZE, SIZE, 3), dtype=np.uint8)
# six videos of two frames: an original and a fake of each of three people
ROWS = pd.DataFrame(
    {
        "path": [f"{number}.png" for number in range(12)],
        "dataset": ["one"] * 8 + ["two"] * 4,
        "label": [0, 0, 1, 1] * 3,
        "category": ["Original", "Original", "Deepfakes", "Deepfakes"] * 3,
        "video_id": np.repeat(["000", "001", "002"], 4),
        "source_id": ["", "", "001", "001"] * 3,
        "group": np.repeat(["a", "b", "c"], 4),
    }
)


def test_a_video_is_left_out_if_one_of_its_frames_was_adapted_to() -> None:
    kept, left_out = without_videos_in(PIXELS[[3, 11]], PIXELS, ROWS)
    assert kept.index.tolist() == [0, 1, 4, 5, 6, 7, 8, 9]
    assert left_out == {"one": 1, "two": 1}
    everything, none = without_videos_in(PIXELS[:2] // 2, PIXELS, ROWS)
    assert (len(everything), none) == (12, {})


def test_each_data_set_is_scored_before_and_after() -> None:
    network = network_with_statistics(dropout=0.0)
    found = adaptation(network, sidecar(), PIXELS[:2] // 2, (PIXELS, ROWS), 4, 0, 50)
    assert (found["transductive"], found["adapted_to"], list(found["data_sets"])) == (True, 2, ["one", "two"])
    one = found["data_sets"]["one"]
    assert (one["frames"], one["groups"], one["videos_left_out"]) == (8, 2, 0)
    loss = one["metrics"]["log_loss"]
    assert loss["difference"] == pytest.approx(loss["second"] - loss["first"])
    assert loss["difference"] != 0
    for target, rows in ((PIXELS[:0], ROWS), (PIXELS, ROWS)):
        with pytest.raises(UserError, match=r"^adapt: (there are no frames to adapt to|no video is left)"):
            adaptation(network, sidecar(), target, (PIXELS, rows), 4, 0, 50)


def test_batches_are_of_about_one_size_and_mixed() -> None:
    sizes = [len(batch) for batch in shuffled_batches(PIXELS, 5, 0)]
    assert sizes == [6, 6]
    assert [len(batch) for batch in shuffled_batches(PIXELS[:2], 5, 0)] == [2]
    (first, _), (again, _) = (list(shuffled_batches(PIXELS, 5, seed)) for seed in (0, 0))
    assert (first == again).all()
    assert (first.numpy() != PIXELS[:6]).any()
