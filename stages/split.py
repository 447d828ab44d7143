"""Divides the frames into train, val and test, and looks for leaks between them."""

import csv
from itertools import compress
from pathlib import Path
from typing import Any

from deepfake_detection.common.files import replacing, write_csv, write_json
from deepfake_detection.common.parallel import in_process
from deepfake_detection.common.tables import SPLIT_COLUMNS, read_paths
from deepfake_detection.index.audit import contact_sheet, near_duplicates, nearest_distances, read_hashes
from deepfake_detection.index.data_sets import split_data_sets
from deepfake_detection.index.given import has_table
from deepfake_detection.index.roles import TRAINED, roles
from deepfake_detection.params.data import uses
from deepfake_detection.params.load import Params, load_params
from deepfake_detection.sources.layout import OFFICIAL, RECORDINGS, SPLITS
from deepfake_detection.sources.official import read_official, read_recordings
from stages import run
from stages.own import noting

RAW, METRICS = Path("data/raw"), Path("metrics")
INDEX, TABLE, TRAINED_TABLE = Path("data/index.csv"), Path("data/splits.csv"), Path("data/splits_trained.csv")


def main() -> None:
    params = load_params()
    # in its own process, because the audit's processes would otherwise inherit the memory of these tables
    report = in_process(_write_splits, params)
    frames = read_hashes(TABLE, Path("data/hashes.csv"))
    audit = near_duplicates(frames)
    write_json(METRICS / "split.json", report | {"leak_audit": audit})
    write_csv(METRICS / "split" / "distances.csv", nearest_distances(frames))
    with replacing(Path("data/leak_audit.png")) as (part,):  # not under metrics/, which git tracks: it may show people
        contact_sheet(RAW, audit["pairs"]).save(part)
    counts = ", ".join(f"{name} {report[name]['frames']}" for name in SPLITS)
    leaks = f"leaked groups: {report['leaked_groups']} of {report['groups']}, recordings: {report['leaked_recordings']}"
    print(f"frames: {counts}; {leaks}; near-duplicates across splits: {audit['near_duplicates']}")


def _write_splits(params: Params) -> dict[str, Any]:
    official = read_official(RAW / OFFICIAL) if params.split.strategy == "official" and not has_table(RAW) else None
    recordings, extra = read_recordings(RAW / RECORDINGS), uses(params.data.source, params.data.extra)
    how = (params.split.strategy, (params.split.train, params.split.val, params.split.test), params.split.seed)
    table, report = split_data_sets(INDEX, RAW, params.data.categories, extra, *how, official, recordings)
    trained = roles(table, params.data.categories.unseen, extra) == TRAINED
    for path, rows in ((TABLE, None), (TRAINED_TABLE, trained)):
        with replacing(path) as (part,), noting(path, part), part.open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(SPLIT_COLUMNS)
            columns = zip(read_paths(INDEX), table["split"], table["dataset"], strict=True)  # paths take most memory
            lines.writerows(columns if rows is None else compress(columns, rows))
    return report


if __name__ == "__main__":
    run(main)
