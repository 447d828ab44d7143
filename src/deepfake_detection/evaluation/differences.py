"""Whether a difference is more than chance: Student's t with every source of chance in it.

Two networks on the same frames differ by the choice of test groups. Two methods also differ by the seeds that their
networks happen to have. Both are samples, as readers and cases are in radiology, and the variance of a difference is
that of Obuchowski & Rockette 1995 (Communications in Statistics, Simulation and Computation 24): what the seeds add,
and what the groups add to every seed alike. The degrees of freedom are those of Satterthwaite 1946 (Biometrics Bulletin
2), as Hillis 2007 (Statistics in Medicine 26) has them, here for both parts. See docs/concepts/intervals.md.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from deepfake_detection.evaluation.bootstrap import LEVEL, NO_SPREAD, standard_error

Floats = NDArray[np.float64]


class Part(NamedTuple):
    """The variance that one source of chance gives a difference, and its degrees of freedom."""

    variance: float
    freedom: float


def between_networks(first: Floats, second: Floats, groups: float) -> dict[str, Any]:
    """``second`` less ``first``, as of ``t_test``.

    Both are of shape (1 + draws,): the metric in the sample, then in each draw of groups, the same draws for both.
    ``groups`` is that of ``effective_groups``; with fewer than two there is neither interval nor p.
    """
    change: Floats = second - first
    error = standard_error(change[1:], groups) if groups >= 2 else None
    return t_test(float(change[0]), None if error is None else [Part(error**2, groups - 1)])


def between_methods(first: Floats, second: Floats, groups: int, paired: bool = False) -> dict[str, Any]:
    """The mean of ``second`` over its seeds less that of ``first``, as of ``t_test``.

    Both are of shape (seeds, 1 + draws), each row as of ``between_networks``. ``paired``: each network of ``second`` is
    made of the network of ``first`` in the same row. There is neither interval nor p with fewer than two seeds on a
    side.
    """
    change: Floats = second.mean(axis=0) - first.mean(axis=0)
    sides = [second - first] if paired else [first, second]
    by_groups = group_part(change, sides, groups)
    if by_groups is None or min(map(len, sides)) < 2:
        return t_test(float(change[0]), None)
    return t_test(float(change[0]), [*map(seed_part, sides), by_groups])


def seed_part(values: Floats) -> Part:
    """The variance of the mean of ``values[:, 0]`` over seeds, of which there must be two or more."""
    return Part(float(values[:, 0].var(ddof=1)) / len(values), len(values) - 1)


def group_part(change: Floats, sides: Sequence[Floats], groups: int) -> Part | None:
    """What the choice of groups adds to ``change``, the difference of the means of ``sides``, alike for all seeds.

    That some groups are hard for some seeds spreads the draws of ``change`` and the seeds' own values. It is in
    ``seed_part`` already, so it is taken off here. None where ``standard_error`` is, and with one group.
    """
    if groups < 2 or (error := standard_error(change[1:], groups)) is None:
        return None
    variance = error**2
    for values in sides:
        away = values[:, 1:] - values[:, 1:].mean(axis=0)
        spreads = np.nanvar(away, axis=1) * groups / (groups - 1)
        variance -= float(spreads.sum()) / (len(values) * max(len(values) - 1, 1))
    return Part(max(variance, 0.0), groups - 1)


def t_test(difference: float, parts: Sequence[Part] | None) -> dict[str, Any]:
    """``difference``, its 95% ``interval`` and the two-sided ``p`` of Student's t test with the sum of ``parts``.

    Both are None where ``parts`` are unknown. A difference that chance cannot change has no interval. Its p is 1 if the
    difference is 0, otherwise None.
    """
    found: dict[str, Any] = {"difference": difference, "interval": None, "p": None}
    variance = sum(part.variance for part in parts or ())
    if variance > NO_SPREAD**2:
        freedom = variance**2 / sum(part.variance**2 / part.freedom for part in parts or ())
        half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * variance**0.5
        found["interval"] = [difference - half, difference + half]
        found["p"] = float(2 * stdtr(freedom, -abs(difference) / variance**0.5))
    elif parts is not None and abs(difference) <= NO_SPREAD:
        found["p"] = 1.0
    return found
