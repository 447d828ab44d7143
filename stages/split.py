"""Divides the frames into train, val and test."""

import json
from pathlib import Path

import pandas as pd

from deepfake_detection.params import load_params
from deepfake_detection.splits import SPLITS, split_frames, split_report
from deepfake_detection.tables import read_index
from stages import run


def main() -> None:
    params = load_params()
    index = read_index(Path("data/index.csv"))
    shares = (params.split.train, params.split.val, params.split.test)
    split = split_frames(index, params.split.strategy, shares, params.seed)
    pd.DataFrame({"path": index["path"], "split": split}).to_csv("data/splits.csv", index=False)
    report = {"strategy": params.split.strategy} | split_report(index, split)
    Path("metrics").mkdir(exist_ok=True)
    Path("metrics/split.json").write_text(json.dumps(report, indent=2) + "\n")
    counts = ", ".join(f"{name} {report[name]['frames']}" for name in SPLITS)
    print(f"frames: {counts}; leaked groups: {report['leaked_groups']} of {report['groups']}")


if __name__ == "__main__":
    run(main)
