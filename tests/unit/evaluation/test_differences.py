"""A difference of methods counts seeds and groups, each once."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ttest_1samp, ttest_ind

from deepfake_detection.evaluation.bootstrap import group_draws
from deepfake_detection.evaluation.differences import (
    Part,
    between_methods,
    between_networks,
    group_part,
    seed_part,
    t_test,
)

Floats = NDArray[np.float64]
DRAWS = 200


def means(cells: Floats, seed: int) -> Floats:
    """The mean over groups, in the sample and in each draw; ``cells`` are of shape (seeds, groups)."""
    groups = cells.shape[1]
    counts = np.vstack([np.ones((1, groups), np.int64), group_draws(groups, seed, DRAWS)])
    found: Floats = cells @ counts.T / groups
    return found


def test_without_chance_of_groups_it_is_a_t_test_of_the_seeds() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.7, 0.02, 4), rng.normal(0.75, 0.05, 6)
    constant = [np.repeat(each[:, None], 1 + DRAWS, axis=1) for each in (first, second)]
    expected = ttest_ind(second, first, equal_var=False)
    found = between_methods(constant[0], constant[1], 9)
    assert found["p"] == pytest.approx(expected.pvalue)
    assert found["interval"] == pytest.approx([*expected.confidence_interval()])
    expected = ttest_1samp(second[:4] - first, 0)
    found = between_methods(constant[0], constant[1][:4], 9, paired=True)
    assert found["p"] == pytest.approx(expected.pvalue)
    assert found["interval"] == pytest.approx([*expected.confidence_interval()])


def test_seeds_that_are_alike_leave_the_test_of_two_networks() -> None:
    cells = np.random.default_rng(2).normal(size=(2, 12))
    first, second = means(cells, 0)
    expected = between_networks(first, second, 12)
    found = between_methods(np.tile(first, (3, 1)), np.tile(second, (5, 1)), 12)
    assert found["p"] == pytest.approx(expected["p"])
    assert found["interval"] == pytest.approx(expected["interval"])


def test_what_is_hard_for_one_seed_alone_is_not_counted_for_the_groups() -> None:
    """The variances of two-way analysis of variance, for means over groups."""
    rng = np.random.default_rng(3)
    seeds, groups = 4, 15
    own = rng.normal(size=(seeds, groups))
    hard = rng.normal(0, 2, groups)
    first, second = means(own + hard, 0), means(own[::-1] * 0, 0)
    part = group_part(second.mean(axis=0) - first.mean(axis=0), [first, second], groups)
    means_of_groups = own.mean(axis=0) + hard
    interaction = (own - own.mean(axis=0) - own.mean(axis=1, keepdims=True) + own.mean()).var() * seeds * groups
    expected = means_of_groups.var(ddof=1) - interaction / (seeds - 1) / (groups - 1) / seeds
    assert part is not None
    assert part.freedom == 14
    assert part.variance == pytest.approx(expected / groups, rel=0.2)
    alone = group_part(-means(own, 0).mean(axis=0), [means(own, 0)], groups)
    assert alone is not None
    assert alone.variance < 0.2 * means(own, 0).mean(axis=0)[1:].var()


def test_where_nothing_differs_noise_is_called_as_often_as_p_says() -> None:
    """Three seeds and twenty groups; chance of seeds, groups and both in equal parts."""
    rng = np.random.default_rng(4)
    seeds, groups, trials = 3, 20, 400
    called = {"groups alone": 0, "both": 0, "holds": 0}
    for trial in range(trials):
        hard, cells = rng.normal(size=groups), []
        for _ in range(2):
            shared = hard + rng.normal(0, 1, groups)
            cells.append(rng.normal(0, 0.4, (seeds, 1)) + shared + rng.normal(size=(seeds, groups)))
        first, second = (means(each, trial) for each in cells)
        both = between_methods(first, second, groups)
        called["both"] += both["p"] < 0.05
        called["holds"] += both["interval"][0] <= 0 <= both["interval"][1]
        called["groups alone"] += between_networks(first.mean(axis=0), second.mean(axis=0), groups)["p"] < 0.05
    assert called["holds"] == trials - called["both"]
    assert 0.02 < called["both"] / trials < 0.08
    assert called["groups alone"] / trials > 0.12


def test_what_cannot_be_known_has_neither_interval_nor_p() -> None:
    values = means(np.random.default_rng(5).normal(size=(3, 6)), 0)
    none = {"interval": None, "p": None}
    assert between_methods(values[:1], values, 6).items() >= none.items()
    assert between_methods(values, values, 1).items() >= none.items()
    undefined = values.copy()
    undefined[0, 1:50] = np.nan
    assert between_methods(undefined, values, 6).items() >= none.items()
    undefined[0, 11:50] = values[0, 11:50]
    assert between_methods(undefined, values / 2, 6)["p"] < 1
    assert between_methods(values, values, 6, paired=True) == {"difference": 0, "interval": None, "p": 1}
    assert t_test(0.1, [Part(0, 2), Part(0, 5)]) == {"difference": 0.1, "interval": None, "p": None}
    assert seed_part(values).freedom == 2
