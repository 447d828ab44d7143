"""The group bootstrap: its metrics against repeated samples, its intervals against the known truth."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import t as student

from benchmarks.coverage import KINDS, coverage
from deepfake_detection.evaluation.bootstrap import (
    METRICS,
    NO_INTERVAL,
    effective_groups,
    frame_metrics,
    group_intervals,
    resampled_metrics,
)
from tests.support.oracle import oracle


def _sample(
    frames: int, groups: int, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, frames)
    codes = rng.permutation(np.arange(frames) % groups)
    return labels, expit(rng.normal(labels + 0.5 * rng.normal(size=groups)[codes], 1)), codes


@pytest.mark.parametrize("decimals", [1, 2, 15])
def test_a_draw_has_the_metrics_of_the_repeated_sample(decimals: int) -> None:
    labels, probabilities, codes = _sample(300, 30)
    probabilities = probabilities.round(decimals)  # with ties, and with one decimal probabilities of 1 and 0
    counts = np.random.default_rng(1).multinomial(30, np.full(30, 1 / 30), size=20)
    found = resampled_metrics(labels, probabilities, codes, counts, 0.5)
    for draw, count in enumerate(counts):
        rows = np.repeat(np.arange(300), count[codes])
        repeated = oracle(labels[rows], probabilities[rows], 0.5)
        assert {name: values[draw] for name, values in found.items()} == pytest.approx(repeated, abs=1e-9)


def test_a_draw_of_one_class_is_undefined_where_frame_metrics_is() -> None:
    labels, probabilities = np.array([0, 0, 1, 1]), np.array([0.2, 0.6, 0.4, 0.9])
    found = resampled_metrics(labels, probabilities, np.array([0, 0, 1, 1]), np.array([[2, 0], [0, 2], [1, 1]]), 0.5)
    for draw, rows in enumerate([[0, 1, 0, 1], [2, 3, 2, 3], [0, 1, 2, 3]]):
        expected = frame_metrics(labels[rows], probabilities[rows], 0.5)
        values = {name: None if math.isnan(found[name][draw]) else found[name][draw] for name in METRICS}
        assert values == pytest.approx({name: expected[name] for name in METRICS}, abs=1e-9)


def test_an_interval_holds_the_shares_that_wilsons_test_does_not_reject() -> None:
    """For a mean over frames in groups of one size, whose standard error has a formula."""
    labels, probabilities, codes = _sample(400, 40, seed=2)
    right = (probabilities >= 0.5) == labels
    by_group = np.array([right[codes == group].mean() for group in range(40)])
    accuracy, error = by_group.mean(), by_group.std(ddof=1) / math.sqrt(40)
    observations = accuracy * (1 - accuracy) / error**2
    assert 40 < observations < 400

    def excess(share: float) -> float:
        return float(abs(accuracy - share) / math.sqrt(share * (1 - share) / observations) - student.ppf(0.975, 39))

    ends = [brentq(excess, 0.01, accuracy), brentq(excess, accuracy, 0.99)]
    found = group_intervals(labels, probabilities, codes, 0.5, seed=1, draws=20_000)["accuracy"]
    assert found == pytest.approx(ends, abs=0.002)


def test_a_faultless_sample_has_the_interval_of_as_many_right_calls_as_groups() -> None:
    codes = np.repeat(np.arange(9), 20)
    labels = np.tile([0, 1], 90)
    found = group_intervals(labels, np.where(labels == 1, 0.9, 0.2), codes, 0.5, seed=1, draws=200)
    least = 9 / (9 + student.ppf(0.975, 8) ** 2)  # Wilson's lower end for 9 of 9
    for name in ("accuracy", "precision", "recall", "f1", "auroc", "average_precision"):
        assert found[name] == pytest.approx([least, 1])
    assert found["eer"] == pytest.approx([0, 1 - least])
    assert found["mcc"] == pytest.approx([2 * least - 1, 1])
    assert found["log_loss"] is None  # all groups have the same one: nothing says how far it may move


@pytest.mark.parametrize("groups", [2, 3, 6, 30])
@pytest.mark.parametrize("shift", [-4.0, 0.0, 2.0, 8.0, 60.0])
def test_an_interval_has_a_width_and_holds_the_value_of_the_sample(groups: int, shift: float) -> None:
    rng = np.random.default_rng(groups)
    codes, labels = np.repeat(np.arange(groups), 8), np.tile([0, 1], 4 * groups)
    probabilities = expit(rng.normal(shift * (labels - 0.5)))
    values = frame_metrics(labels, probabilities, 0.5)
    found = group_intervals(labels, probabilities, codes, 0.5, seed=1, draws=200)
    assert {name for name, interval in found.items() if interval is None} == set(NO_INTERVAL)
    for name, interval in found.items():
        if interval is None:
            continue
        low, high = interval
        assert low < high, name
        assert low - 1e-12 <= values[name] <= high + 1e-12, name
        assert low >= (-1 if name == "mcc" else 0), name
        assert high <= (math.inf if name == "log_loss" else 1), name


def test_the_log_loss_has_an_interval_on_the_log_scale() -> None:
    labels, probabilities, codes = _sample(400, 40)
    losses = -np.log(np.where(labels == 1, probabilities, 1 - probabilities))
    by_group = np.array([losses[codes == group].mean() for group in range(40)])
    half = student.ppf(0.975, 39) * by_group.std(ddof=1) / math.sqrt(40) / losses.mean()
    found = group_intervals(labels, probabilities, codes, 0.5, seed=1, draws=20_000)["log_loss"]
    assert found == pytest.approx([losses.mean() * math.exp(-half), losses.mean() * math.exp(half)], rel=0.01)


def test_the_seed_decides_and_names_of_groups_do_not() -> None:
    labels, probabilities, codes = _sample(200, 20)
    found = group_intervals(labels, probabilities, codes, 0.5, seed=1, draws=300)
    named = np.array([f"group {code}" for code in codes], object)
    assert group_intervals(labels, probabilities, named, 0.5, seed=1, draws=300) == found
    assert group_intervals(labels, probabilities, codes, 0.5, seed=2, draws=300) != found


def test_chunks_do_not_change_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, probabilities, codes = _sample(200, 20)
    whole = group_intervals(labels, probabilities, codes, 0.5, seed=1, draws=100)
    monkeypatch.setattr("deepfake_detection.evaluation.bootstrap.CHUNK_CELLS", 1400)
    assert group_intervals(labels, probabilities, codes, 0.5, seed=1, draws=100) == whole


def test_no_interval_where_many_draws_are_undefined() -> None:
    # One group of three holds all fakes: (2/3)^3 of the draws miss it.
    labels, codes = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 2, 2])
    found = group_intervals(labels, np.array([0.1, 0.2, 0.3, 0.7, 0.4, 0.8]), codes, 0.5, seed=1, draws=500)
    assert found["auroc"] is found["mcc"] is None
    assert found["accuracy"] is not None


def test_rare_undefined_draws_are_left_out() -> None:
    # All fakes in 3 of 20 groups: 4% of the draws miss them.
    codes = np.repeat(np.arange(20), 2)
    labels = (codes < 3).astype(int)
    rng = np.random.default_rng(0)
    found = group_intervals(labels, rng.random(40), codes, 0.5, seed=1, draws=500)["auroc"]
    assert found is not None
    assert 0 <= found[0] < found[1] <= 1


@pytest.mark.parametrize("frames", [0, 1, 6])
def test_one_group_says_nothing_about_spread(frames: int) -> None:
    labels, probabilities = np.arange(frames) % 2, np.linspace(0.1, 0.9, frames)
    found = group_intervals(labels, probabilities, np.zeros(frames, int), 0.5, seed=1, draws=10)
    assert found == dict.fromkeys(METRICS)


def test_groups_of_unequal_size_count_as_fewer() -> None:
    codes = np.repeat(np.arange(6), [40, 4, 4, 4, 4, 4])
    labels = np.tile([0, 1], 30)
    labels[codes == 1] = 0  # a fake in five of six groups
    found = effective_groups(labels, codes)
    fakes = (20 + 4 * 2) ** 2 / (20**2 + 4 * 2**2)
    assert found["accuracy"] == found["log_loss"] == pytest.approx(60**2 / (40**2 + 5 * 4**2))
    assert found["recall"] == found["auroc"] == pytest.approx(fakes)
    # Wilson's interval of as many right calls as the groups are worth: 2.1 of them, not 6
    right = group_intervals(labels, np.where(labels == 1, 0.9, 0.2), codes, 0.5, seed=1, draws=200)["accuracy"]
    worth = found["accuracy"]
    assert right == pytest.approx([worth / (worth + student.ppf(0.975, worth - 1) ** 2), 1])
    assert effective_groups(np.zeros(60, int), codes)["auroc"] == 0
    one = group_intervals(labels[codes < 2], np.full(44, 0.5), codes[codes < 2], 0.5, seed=1, draws=200)
    assert one["accuracy"] is None  # 40 frames and 4 are hardly more than one group


@pytest.mark.parametrize(
    ("kind", "groups", "auroc"), [*zip(KINDS, (6, 10, 10, 40, 10), (0.8, 0.95, 0.99, 0.95, 0.8), strict=True)]
)
def test_few_or_unequal_groups_do_not_cost_coverage(kind: str, groups: int, auroc: float) -> None:
    found = coverage(groups, auroc, kind, data_sets=80, draws=100)["auroc"]["coverage"]
    print(f"\n{kind}, {groups} groups, AUROC {auroc}: {found.to_dict()}")
    assert found["Kish"] >= 0.88
    if kind != "Pareto":  # whose groups are sometimes worth fewer than two, which has no interval
        assert found["percentiles"] <= found["count"] <= found["Kish"]
    if kind == "shared people":
        assert found["count"] < found["Kish"] - 0.1
