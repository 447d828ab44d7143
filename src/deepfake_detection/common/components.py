"""Joins what is linked: the connected components of a graph."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def components(one: "pd.Series", other: "pd.Series") -> "pd.Series":
    """The component of each edge, which joins ``one[n]`` and ``other[n]``. It is called by the first of its names."""
    import pandas as pd

    if one.empty:
        return one.astype(object)
    from scipy.sparse import coo_array  # slow to import, and needed at the end of a stage only
    from scipy.sparse.csgraph import connected_components

    codes, names = pd.factorize(pd.concat([one, other]), sort=True)
    here, there = codes[: len(one)], codes[len(one) :]
    edges = coo_array((np.ones(len(one)), (here, there)), shape=(len(names), len(names)))
    _, component = connected_components(edges, directed=False)
    first = np.asarray(names, dtype=object)[np.unique(component, return_index=True)[1]]
    return pd.Series(first[component[here]], index=one.index, dtype=object)
