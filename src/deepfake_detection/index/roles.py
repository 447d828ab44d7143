"""What a frame is there for. What is only evaluated is kept apart, so that it never makes training run again."""

from collections.abc import Collection, Mapping

import pandas as pd

TRAINED, EVALUATED, ADAPT = "trained", "evaluated", "adapt"
ROLES = (TRAINED, EVALUATED, ADAPT)
NONE = "none"  # what no frame is there for
_OF_USE = {"train": TRAINED, "test": EVALUATED, "adapt": ADAPT}


def roles(table: pd.DataFrame, unseen: Collection[str], uses: Mapping[str, str]) -> pd.Series:
    """The role of each row, one of ROLES, by its columns ``dataset`` and ``category``.

    ``unseen`` are the categories of the main data set that are only evaluated. ``uses`` says what each further data
    set is used for (``params.data.uses``). TRAINED is what is divided into train, val and test.
    """
    role = table["dataset"].map(dict(uses)).map(_OF_USE)
    main = table["category"].isin(set(unseen)).map({True: EVALUATED, False: TRAINED})
    return role.fillna(main).rename("role").astype(object)
