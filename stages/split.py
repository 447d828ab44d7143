"""Divides the frames into train, val and test, and looks for what stands on two sides."""

import json
from pathlib import Path

import pandas as pd

from deepfake_detection.audit import contact_sheet, near_duplicates
from deepfake_detection.layout import OFFICIAL
from deepfake_detection.official import read_official
from deepfake_detection.params import load_params
from deepfake_detection.splits import SPLITS, split_frames, split_report
from deepfake_detection.tables import load_index
from stages import run

RAW, METRICS = Path("data/raw"), Path("metrics")


def main() -> None:
    params = load_params()
    index = load_index(Path("data/index.csv"), RAW)
    split = split_frames(
        index,
        params.split.strategy,
        (params.split.train, params.split.val, params.split.test),
        params.seed,
        seen=params.data.categories.real + params.data.categories.fake,
        official=read_official(RAW / OFFICIAL) if params.split.strategy == "official" else None,
    )
    pd.DataFrame({"path": index["path"], "split": split}).to_csv("data/splits.csv", index=False)

    audit = near_duplicates(index.assign(split=split))
    report = {"strategy": params.split.strategy} | split_report(index, split) | {"leak_audit": audit}
    (METRICS / "split").mkdir(parents=True, exist_ok=True)
    (METRICS / "split.json").write_text(json.dumps(report, indent=2) + "\n")
    contact_sheet(index, audit["pairs"]).save(METRICS / "split" / "leak_audit.png")
    counts = ", ".join(f"{name} {report[name]['frames']}" for name in SPLITS)
    leaks = f"leaked groups: {report['leaked_groups']} of {report['groups']}"
    print(f"frames: {counts}; {leaks}; near-duplicates across splits: {audit['near_duplicates']}")


if __name__ == "__main__":
    run(main)
