"""Divides the frames of all data sets into train, val and test, and looks for leaks between them."""

import json
from pathlib import Path

import pandas as pd

from deepfake_detection.common.files import replacing, write_csv, write_json
from deepfake_detection.common.tables import (
    AUTHORS,
    COLUMNS,
    SOURCE,
    SPLIT_COLUMNS,
    SPLITS,
    read_data_set,
    read_rejected,
)
from deepfake_detection.index.audit import contact_sheet, hashed_frames, near_duplicates, nearest_distances, read_hashes
from deepfake_detection.index.build import index_counts
from deepfake_detection.index.data_sets import OF_FACEFORENSICS, require_official, split_data_set, summed
from deepfake_detection.index.official import read_lists, read_recordings
from deepfake_detection.params.load import load_params
from stages import run
from stages.own import remove_former

DATA, METRICS, RAW = Path("data"), Path("metrics"), Path("data/raw")


def main() -> None:
    params = load_params()
    remove_former({name: each.use for name, each in params.datasets.items()})
    how = params.split.strategy, (params.split.train, params.split.val, params.split.test), params.split.seed
    tables, reports, counts = [], {}, {}
    for name, each in params.datasets.items():
        layout = json.loads((RAW / name / SOURCE).read_text(encoding="utf-8"))["layout"]
        folders = [RAW / name / AUTHORS]
        if layout in OF_FACEFORENSICS and params.split.official_dir != "none":
            folders = [Path(params.split.official_dir), *folders]
        official = read_lists(folders) if params.split.strategy == "official" else {}
        index = read_data_set(DATA / "index" / f"{name}.csv")
        table, reports[name] = split_data_set(index, each.use, each.unseen, *how, official, read_recordings(folders))
        tables.append(table.merge(read_hashes(DATA / "hashes" / f"{name}.csv"), on="path"))
        counts[name] = index_counts(index, read_rejected(DATA / "rejected" / f"{name}.csv"))
    if params.split.strategy == "official":
        require_official(reports)
    table = pd.concat(tables).sort_values("path", ignore_index=True)
    frames, report = hashed_frames(table), summed(reports)
    report["leak_audit"] = audit = near_duplicates(frames)
    write_csv(DATA / "index.csv", table[list(COLUMNS)])
    write_csv(DATA / "splits.csv", table[SPLIT_COLUMNS])
    for file, role in (("splits_trained", "train"), ("splits_unseen", "unseen")):
        write_csv(DATA / f"{file}.csv", table.loc[table["role"] == role, SPLIT_COLUMNS])
    write_json(METRICS / "index.json", {"datasets": counts})
    write_json(METRICS / "split.json", report)
    write_csv(METRICS / "split" / "distances.csv", nearest_distances(frames))
    with replacing(DATA / "leak_audit.png") as (part,):  # not under metrics/, which git tracks: it may show people
        contact_sheet(RAW, audit["pairs"]).save(part)
    leaks = f"leaked groups: {report['leaked_groups']} of {report['groups']}, recordings: {report['leaked_recordings']}"
    shares = ", ".join(f"{name} {report[name]['frames']}" for name in SPLITS)
    print(f"frames: {shares}; {leaks}; near-duplicates across splits: {audit['near_duplicates']}")


if __name__ == "__main__":
    run(main)
