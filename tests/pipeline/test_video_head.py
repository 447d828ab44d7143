"""The study of heads over the frames of a video, on features that are made up and on drawn frames."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from experiments import genuine, video_head
from experiments.study import RESULTS
from experiments.video_head import BASELINE, DIMENSIONS, HEADS, Films
from tests.pipeline.conftest import ROOT
from tests.pipeline.test_genuine import official


def flickering(seed: int, videos: int = 60) -> Films:
    """Videos of which the fakes flicker: every frame alone, and their mean, are as an original's."""
    rng = np.random.default_rng(seed)
    labels = np.arange(videos) % 2
    features = rng.normal(size=(videos, 12, DIMENSIONS))
    level = rng.normal(size=(videos, 1)) * 2
    sign = np.where(labels[:, None] == 1, np.tile([1, -1], 6), np.repeat([1, -1], 6))
    features[:, :, 0] = level + 2 * sign
    return Films(pd.DataFrame({"label": labels}), list(features), labels.astype(np.float64))


def test_only_heads_that_see_the_order_find_flicker() -> None:
    training, validation, test = map(flickering, range(3))
    found = {
        name: roc_auc_score(test.labels, fit(training, validation, 0)(test.features)) for name, fit in HEADS.items()
    }
    assert found["mean"] < 0.7
    assert found["spread"] > 0.95
    assert found["convolution"] > 0.95


@pytest.mark.slow
def test_heads_are_compared_with_the_mean_of_the_logits_of_the_same_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    official(tmp_path / "videos", 20)
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(genuine.ROWS, "mild", genuine.row("mild", 48, 1))
    monkeypatch.setattr("sys.argv", ["video_head", str(tmp_path / "videos"), "--seeds", "2", "--row", "mild"])
    video_head.main()
    (folder,) = (tmp_path / RESULTS / "video_head").iterdir()
    first, second = (pd.read_csv(folder / "mild" / f"{seed}.csv") for seed in (0, 1))
    assert first["video_id"].equals(second["video_id"])
    assert not np.allclose(first[BASELINE], second[BASELINE])
    kept = (folder / "mild" / "0.csv").stat().st_mtime_ns
    table = capsys.readouterr().out.splitlines()[-5:]
    video_head.main()
    assert (folder / "mild" / "0.csv").stat().st_mtime_ns == kept
    assert capsys.readouterr().out.splitlines()[-5:] == table
    assert [line.split("  ")[0].strip() for line in table[1:]] == [BASELINE, *HEADS]
