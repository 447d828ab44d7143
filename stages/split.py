"""Divides the frames of all data sets into train, val and test, and looks for leaks between them."""

from pathlib import Path

from deepfake_detection.common.files import replacing, write_csv, write_json
from deepfake_detection.common.tables import COLUMNS, SPLIT_COLUMNS, SPLITS, read_data_set, read_rejected
from deepfake_detection.index.audit import contact_sheet, hashed_frames, near_duplicates, nearest_distances
from deepfake_detection.index.build import index_counts
from deepfake_detection.index.data_sets import split_data_sets
from deepfake_detection.params.data_sections import folders_of
from deepfake_detection.params.load import load_params
from stages import run
from stages.own import remove_former

DATA, METRICS, RAW = Path("data"), Path("metrics"), Path("data/raw")


def main() -> None:
    params = load_params()
    remove_former({name: each.use for name, each in params.datasets.items()})
    table, report = split_data_sets(
        params.datasets, params.split, DATA, {"weights": params.model.weights, "teacher": params.train.teacher}
    )
    files = [f"{name}.csv" for name in params.datasets]
    frames = hashed_frames(table)
    report["leak_audit"] = audit = near_duplicates(frames)
    write_csv(DATA / "index.csv", table[list(COLUMNS)])
    write_csv(DATA / "splits.csv", table[SPLIT_COLUMNS])
    for file, role in (("splits_trained", "train"), ("splits_unseen", "unseen")):
        write_csv(DATA / f"{file}.csv", table.loc[table["role"] == role, [*SPLIT_COLUMNS, "digest"]])
    counts = [index_counts(read_data_set(DATA / "index" / f), read_rejected(DATA / "rejected" / f)) for f in files]
    write_json(METRICS / "index.json", {"datasets": dict(zip(params.datasets, counts, strict=True))})
    write_json(METRICS / "split.json", report)
    write_csv(METRICS / "split" / "distances.csv", nearest_distances(frames))
    with replacing(DATA / "leak_audit.png") as (part,):  # not under metrics/, which git tracks: it may show people
        contact_sheet(RAW, audit["pairs"], folders_of(params.datasets)).save(part)
    leaks = f"leaked groups: {report['leaked_groups']} of {report['groups']}, recordings: {report['leaked_recordings']}"
    shares = ", ".join(f"{name} {report[name]['frames']}" for name in SPLITS)
    for name, frames_left_out in report["shared"]["left_out"].items():
        print(f"{name}: {frames_left_out} frames are left out of the test: people in them are trained on elsewhere")
    for name, groups in report["shared"]["known"].items():
        if groups:
            print(f"{name}: trained on people of at least {groups} groups of the test")
    print(f"frames: {shares}; {leaks}; near-duplicates across splits: {audit['near_duplicates']}")


if __name__ == "__main__":
    run(main)
