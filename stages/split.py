"""Divides the frames into train, val and test, and looks for what stands on two sides."""

from pathlib import Path
from typing import Any

import pandas as pd

from deepfake_detection.audit import contact_sheet, near_duplicates
from deepfake_detection.cpus import in_process
from deepfake_detection.files import replacing, write_csv, write_json
from deepfake_detection.layout import OFFICIAL, SPLITS
from deepfake_detection.official import read_official
from deepfake_detection.params import Params, load_params
from deepfake_detection.splits import split_frames, split_report
from deepfake_detection.tables import PART, read_index
from stages import run

RAW, SPLITS_CSV, METRICS = Path("data/raw"), Path("data/splits.csv"), Path("metrics")


def main() -> None:
    params = load_params()
    # in a process of its own: the audit, which has several, shall not carry the tables' memory along
    report = in_process(_divide, params)
    audit = near_duplicates(pd.read_csv(SPLITS_CSV, chunksize=PART), RAW)
    write_json(METRICS / "split.json", report | {"leak_audit": audit})
    with replacing(METRICS / "split" / "leak_audit.png") as (part,):
        contact_sheet(RAW, audit["pairs"]).save(part)
    counts = ", ".join(f"{name} {report[name]['frames']}" for name in SPLITS)
    leaks = f"leaked groups: {report['leaked_groups']} of {report['groups']}"
    print(f"frames: {counts}; {leaks}; near-duplicates across splits: {audit['near_duplicates']}")


def _divide(params: Params) -> dict[str, Any]:
    index = read_index(Path("data/index.csv"), ["path", "category", "label", "video_id", "source_id", "frame"])
    split = split_frames(
        index,
        params.split.strategy,
        (params.split.train, params.split.val, params.split.test),
        params.seed,
        seen=params.data.categories.real + params.data.categories.fake,
        official=read_official(RAW / OFFICIAL) if params.split.strategy == "official" else None,
    )
    write_csv(SPLITS_CSV, pd.DataFrame({"path": index.pop("path"), "split": split}))
    return {"strategy": params.split.strategy} | split_report(index, split)


if __name__ == "__main__":
    run(main)
