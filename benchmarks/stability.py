"""How many verdicts flip under mild changes, whether those were wrong more often, and what the changes cost.

``python -m benchmarks.stability CHECKPOINT TABLE FOLDER`` judges ``--frames`` pictures that the checkpoint was not
trained on. TABLE is the pipeline's data/predictions.csv, with ``split``, ``path`` and ``label``, and FOLDER holds the
paths in it. Frames are drawn by label, as many originals as fakes. The first table has the share of verdicts that flip
and the error rate of the verdicts without changes, among those that are stable and those that flip, with the numbers
of groups of people. The second has for each change the share of verdicts that it flips. Seconds a file are those of
``predict`` with and without ``--check``, in batches of 16.

``ratio`` is the files a second with the changes over those without.
"""

import time
from argparse import ArgumentParser
from pathlib import Path

import pandas as pd

from benchmarks import machine
from deepfake_detection.network.allocator import keep_freed_memory
from deepfake_detection.serving.detector import BATCH, Detector
from deepfake_detection.serving.results import flips
from deepfake_detection.serving.stability import CHANGES, checked


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=200)
    options = parser.parse_args()
    print(machine())
    rows = pd.read_csv(options.table, dtype={"video_id": str, "source_id": str}).query("split != 'train'")
    each = min(options.frames // 2, rows["label"].value_counts().min())
    rows = rows.groupby("label").sample(each, random_state=0).reset_index(drop=True)
    files = [str(options.folder / path) for path in rows["path"]]
    detector = Detector.load(options.checkpoint)
    keep_freed_memory()  # as the command does
    detector.predict(files[:BATCH])

    start = time.perf_counter()
    plain = detector.predict(files)
    middle = time.perf_counter()
    found = list(checked(detector, files, BATCH, None, fill=False))
    end = time.perf_counter()

    rows["verdict"] = [one.verdict for one in plain]
    rows["wrong"] = (rows["verdict"] == "fake") != (rows["label"] == 1)
    rows["flips"] = [bool(flips(one)) for one in found]
    judged = rows[[bool(one.checks) for one in found]]
    print(f"{len(rows)} frames, {len(judged)} with a verdict, of {judged['group'].nunique()} groups\n")
    table = judged.groupby("flips")[["wrong", "group"]].agg({"wrong": ["size", "mean"], "group": "nunique"})
    table.columns = pd.Index(["frames", "wrong", "groups"])
    print(table.rename(index={False: "stable", True: "flip"}).to_string(float_format="{:.3f}".format), "\n")
    changes = {
        change: [any(check.flips for check in one.checks if check.change == change) for one in found]
        for change in CHANGES
    }
    print(pd.DataFrame(changes).mean().rename("flips").to_string(float_format="{:.3f}".format), "\n")
    without, with_changes = ((stop - begin) / len(files) for begin, stop in ((start, middle), (middle, end)))
    print(f"seconds a file: {without:.3f} without, {with_changes:.3f} with the changes")
    print(f"ratio: {without / with_changes:.2f}")


if __name__ == "__main__":
    main()
