"""Divides the frames into train, val and test, and looks for what stands on two sides."""

import csv
from pathlib import Path
from typing import Any

import pandas as pd

from deepfake_detection.audit import contact_sheet, near_duplicates
from deepfake_detection.cpus import in_process
from deepfake_detection.files import replacing, write_json
from deepfake_detection.layout import OFFICIAL, SPLITS
from deepfake_detection.official import read_official
from deepfake_detection.params import Params, load_params
from deepfake_detection.splits import split_frames, split_report
from deepfake_detection.tables import PART, read_index, read_paths
from stages import run

RAW, INDEX, SPLITS_CSV, METRICS = Path("data/raw"), Path("data/index.csv"), Path("data/splits.csv"), Path("metrics")


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
    index = read_index(INDEX, ["category", "label", "video_id", "source_id", "frame"])
    split = split_frames(
        index,
        params.split.strategy,
        (params.split.train, params.split.val, params.split.test),
        params.seed,
        seen=params.data.categories.real + params.data.categories.fake,
        official=read_official(RAW / OFFICIAL) if params.split.strategy == "official" else None,
    )
    with replacing(SPLITS_CSV) as (part,), part.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("path", "split"))
        table.writerows(zip(read_paths(INDEX), split, strict=True))  # paths are most of an index's memory
    return {"strategy": params.split.strategy} | split_report(index, split)


if __name__ == "__main__":
    run(main)
