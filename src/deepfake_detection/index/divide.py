"""Divides whole groups of frames by shares: exactly, as an integer program, where taking the largest first fails."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

MAX_NODES = 2000  # limits the search by work and not by time, so that every machine finds the same


def divide(sizes: NDArray[np.int64], shares: tuple[float, ...], tolerance: float) -> NDArray[np.int64] | None:
    """The side of each group, so that each side has its share of each class to within ``tolerance``; None if none fits.

    ``sizes`` has a row for each group with its frames of each class. Of groups of equal sizes, the first ones in
    ``sizes`` come on the first side.
    """
    found = _solve(sizes, shares, tolerance, free=False)
    if found is None:
        return None
    kinds, counts, _ = found
    side = np.empty(len(sizes), dtype=np.int64)
    for kind, row in enumerate(counts):
        side[kinds == kind] = np.repeat(np.arange(len(shares)), row)
    return side


def nearest_shares(sizes: NDArray[np.int64], shares: tuple[float, ...], tolerance: float) -> list[float] | None:
    """The shares nearest to ``shares``, in steps of 0.01, for which ``divide`` finds sides; None if there are none."""
    found = _solve(sizes, shares, tolerance - 0.005, free=True)
    if found is None:
        return None
    near = [round(share, 2) for share in found[2][:-1]]
    near.append(round(1 - sum(near), 2))
    return near if min(near) > 0 and divide(sizes, tuple(near), tolerance) is not None else None


def _solve(
    sizes: NDArray[np.int64], shares: tuple[float, ...], tolerance: float, free: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]] | None:
    """The kind of each group, how many groups of each kind come on each side, and the shares.

    Groups of equal sizes are of one kind. The largest difference is the smallest possible: that of a class from its
    share, or if the shares are ``free``, that of the shares from ``shares``.
    """
    rows, kinds, number = np.unique(sizes, axis=0, return_inverse=True, return_counts=True)
    kinds = kinds.reshape(-1)
    sides, classes = len(shares), sizes.shape[1]
    counts = len(rows) * sides  # the variables: counts by kind and side, shares, the largest difference
    width = counts + sides + 1
    whole = np.zeros((len(rows), width))
    for kind in range(len(rows)):
        whole[kind, kind * sides : (kind + 1) * sides] = 1
    constraints = [LinearConstraint(whole, number, number)]
    for label in range(classes):
        total = sizes[:, label].sum()
        for side in range(sides):
            got = np.zeros(width)
            got[side:counts:sides] = rows[:, label] / total
            off = got.copy()
            off[counts + side] = -1  # the difference from the side's share
            constraints.append(LinearConstraint(got, 1 / total, np.inf))  # at least one frame
            constraints.append(LinearConstraint(off, -tolerance, tolerance))
            if not free:
                constraints += _at_most_the_largest(off)
    for side in range(sides):
        moved = np.zeros(width)
        moved[counts + side] = 1
        constraints += _at_most_the_largest(moved, shares[side]) if free else []
    total_share = np.zeros(width)
    total_share[counts : counts + sides] = 1
    constraints.append(LinearConstraint(total_share, 1, 1))
    result = milp(
        np.eye(width)[-1],
        integrality=[1] * counts + [0] * (sides + 1),
        bounds=Bounds(
            [0] * counts + ([0] * sides if free else list(shares)) + [0],
            [*np.repeat(number, sides), *([1] * sides if free else shares), 1],
        ),
        constraints=constraints,
        options={"node_limit": MAX_NODES},
    )
    if result.x is None:
        return None
    return kinds, np.rint(result.x[:counts]).astype(np.int64).reshape(-1, sides), result.x[counts : counts + sides]


def _at_most_the_largest(row: NDArray[np.float64], centre: float = 0.0) -> list[LinearConstraint]:
    """``row`` times the variables is within the largest difference, the last variable, of ``centre``."""
    above, below = row.copy(), row.copy()
    above[-1], below[-1] = -1, 1
    return [LinearConstraint(above, -np.inf, centre), LinearConstraint(below, centre, np.inf)]
