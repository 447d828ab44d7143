"""An index on disk, and scores of it, for tests that compare detectors."""

from pathlib import Path

import numpy as np
import pandas as pd

from deepfake_detection.common.tables import COLUMNS, MISSING_COLUMNS

FRAMES = 3
MISSING = pd.DataFrame(
    [
        ("café", "Deepfakes", 1, "003", "077"),
        ("café", "Deepfakes", 1, "012", "078"),
        ("other", "Deepfakes", 1, "id0_0007", "079"),
    ],
    columns=MISSING_COLUMNS,
)
ROWS = (("Original", 0), ("Deepfakes", 1), ("FaceSwap", 1))


def write_index(data: Path) -> pd.DataFrame:
    """Writes index.csv, splits.csv and missing/, and returns the index with ``split`` and ``logit``.

    The data set ``café`` is divided, 12 people of test and 2 of val. ``other`` has 10 recordings of 5 people, whom the
    names tell, all of test. Each has an original and a fake of each kind, of three frames. Of each data set one video
    of test has no usable frame, and of ``café`` one of val.
    """
    rng = np.random.default_rng(0)
    rows = []
    for dataset, people, strength in (("café", 14, 2.0), ("other", 10, 0.7)):
        for person in range(people):
            own, source = f"{person:03}", f"{person ^ 1:03}"
            split = "val" if person > 11 else "test"
            for category, label in ROWS:
                stem = f"{own}_{source}" if label else own
                video, group = own, f"{dataset}/{person // 2}"
                if dataset == "other":
                    video = f"id{person // 2}_{person % 2:04}"
                    group = f"other/{video}"
                for frame, logit in enumerate(rng.normal(strength * (label - 0.5), 1, FRAMES)):
                    path = f"{dataset}/{category}/{stem}_f{frame}.jpg"
                    of = (source if label else "", group, frame, 128, 128)
                    rows.append((path, dataset, category, label, video, *of, split, logit))
    table = pd.DataFrame(rows, columns=[*COLUMNS, "split", "logit"]).sort_values("path", ignore_index=True)
    (data / "missing").mkdir(parents=True)
    table[list(COLUMNS)].to_csv(data / "index.csv", index=False)
    table[["path", "split", "dataset", "group"]].to_csv(data / "splits.csv", index=False)
    for name, lost in MISSING.groupby("dataset"):
        lost.to_csv(data / "missing" / f"{name}.csv", index=False)
    return table
