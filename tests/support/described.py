"""A data set as the stage download leaves it, without a layout around it."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from deepfake_detection.common.tables import FILES, LEFT_OUT, TABLE, VIDEO
from deepfake_detection.sources.gather import TABLE_COLUMNS


def write_tables(raw: Path, lost: Iterable[str] = (), rejected: Iterable[tuple[str, str, str]] = ()) -> None:
    """Describes what is below ``raw``/own/files, and videos of which no file can be used (``lost``).

    Files are called ``<category>/<target>[_<source>]_f<frame>.<suffix>``.
    """
    files = raw / "own" / FILES
    names = [path.relative_to(files).as_posix() for path in files.rglob("*") if path.is_file()]
    rows = [
        {"path": f"own/{FILES}/{name}", "dataset": "own", "category": (category := name.partition("/")[0])}
        | {"label": int(category not in ("Original", "Actors")), "video_id": video, "source_id": "_".join(source)}
        | {"group": "", "unit": "", "frame": VIDEO if name in lost else int(number.lstrip("f")), "split": ""}
        for name in [*sorted(names), *lost]
        for video, *source, number in [Path(name).stem.split("_")]
    ]
    pd.DataFrame(rows, columns=TABLE_COLUMNS).to_csv(raw / "own" / TABLE, index=False)
    left_out = pd.DataFrame(rejected, columns=["path", "category", "reason"])
    left_out.to_csv(raw / "own" / LEFT_OUT, index=False)
