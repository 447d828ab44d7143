"""Divides the frames into train, val and test, and looks for leaks between them."""

import csv
from pathlib import Path
from typing import Any

from deepfake_detection.common.files import replacing, write_csv, write_json
from deepfake_detection.common.parallel import in_process
from deepfake_detection.index.audit import contact_sheet, near_duplicates, nearest_distances, read_hashes
from deepfake_detection.index.given import read_sides
from deepfake_detection.index.splits import split_frames, split_report
from deepfake_detection.index.tables import read_index, read_paths
from deepfake_detection.params.load import Params, load_params
from deepfake_detection.sources.ffpp import read_official, read_recordings
from deepfake_detection.sources.layout import OFFICIAL, RECORDINGS, SPLITS
from stages import run
from stages.own import noting

RAW, METRICS = Path("data/raw"), Path("metrics")
INDEX, TABLE, SHEET = Path("data/index.csv"), Path("data/splits.csv"), Path("data/leak_audit.png")


def main() -> None:
    params = load_params()
    # in its own process, because the audit's processes would otherwise inherit the memory of these tables
    report = in_process(_write_splits, params)
    frames = read_hashes(TABLE, Path("data/hashes.csv"))
    audit = near_duplicates(frames)
    write_json(METRICS / "split.json", report | {"leak_audit": audit})
    write_csv(METRICS / "split" / "distances.csv", nearest_distances(frames))
    with replacing(Path("data/leak_audit.png")) as (
        part,
    ):  # not under metrics/, which git tracks: it may show real people
        contact_sheet(RAW, audit["pairs"]).save(part)
    counts = ", ".join(f"{name} {report[name]['frames']}" for name in SPLITS)
    leaks = f"leaked groups: {report['leaked_groups']} of {report['groups']}, recordings: {report['leaked_recordings']}"
    print(f"frames: {counts}; {leaks}; near-duplicates across splits: {audit['near_duplicates']}")


def _write_splits(params: Params) -> dict[str, Any]:
    index = read_index(INDEX, ["category", "label", "video_id", "source_id", "group", "frame"])
    own = read_sides(RAW, read_paths(INDEX)) if params.split.strategy != "frame" else None
    strategy = params.split.strategy if own is None else "own"
    official = read_official(RAW / OFFICIAL) if strategy == "official" else None
    shares = (params.split.train, params.split.val, params.split.test)
    seen = params.data.categories.real + params.data.categories.fake
    split = split_frames(index, strategy, shares, params.split.seed, seen, official, groups=index["group"], own=own)
    with replacing(TABLE) as (part,), noting(TABLE, part), part.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("path", "split"))
        table.writerows(zip(read_paths(INDEX), split, strict=True))  # paths take most of an index's memory
    report = split_report(index, split, read_recordings(RAW / RECORDINGS), index["group"])
    return {"strategy": strategy} | report


if __name__ == "__main__":
    run(main)
