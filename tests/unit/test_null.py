"""The null experiment: which networks it compares, and what it says of each rule where the truth is known."""

from pathlib import Path

import numpy as np
import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.evaluation.bootstrap import group_draws, resampled_auroc
from experiments import null
from experiments.study import STUDIES

ROOT = Path(__file__).parents[2]


def test_networks_are_split_in_all_ways() -> None:
    values = np.arange(8.0)[:, None] + np.zeros(3)
    for size, count in ((3, 280), (4, 35)):
        trials = list(null.splits(values, size, 9))
        chosen = {frozenset([frozenset(first[:, 0]), frozenset(second[:, 0])]) for first, second, _, _ in trials}
        assert len(trials) == len(chosen) == count
        assert all(len(a | b) == 2 * size for a, b in chosen)
        assert all(np.allclose(better - second, null.BETTER) for _, second, better, _ in trials)


def test_the_simulated_methods_are_as_good_as_they_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(null, "DRAWS", 1)
    found = np.array([[each[0, 0] for each in trial[:3]] for trial in null.simulated(1, 20, 200)])
    assert found.mean(axis=0) == pytest.approx([0.8, 0.8, 0.85], abs=0.012)
    assert (found[:, 2] - found[:, 1]).mean() == pytest.approx(0.05, abs=0.003)


def test_aurocs_are_those_of_the_library() -> None:
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(5), 8)
    labels, counts = np.tile([0, 1, 1, 1], 10), group_draws(5, 0, 20)
    logits = rng.normal(size=40)
    assert null.aurocs(labels, logits, codes, counts) == pytest.approx(resampled_auroc(labels, logits, codes, counts))


def test_only_both_sources_of_chance_call_noise_as_rarely_as_they_say() -> None:
    found = null.called(null.simulated(3, 20, 50))
    assert found["groups", "p < 0.05"] > 0.15
    assert found["both", "p < 0.05"] < 0.1
    assert found["both", "coverage"] > 0.9
    assert found["both", "power"] > found["both", "p < 0.05"]


def test_without_networks_it_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / STUDIES).parent.mkdir()
    (tmp_path / STUDIES).symlink_to(ROOT / STUDIES)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"networks are missing; run python -m experiments\.run null$"):
        null.networks()
