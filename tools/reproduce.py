"""Rebuilds the committed result in a fresh clone and compares the two: ``make reproduce``.

On the type of processor of the committed run, everything is equal to the last byte. On another type,
floating-point sums round differently, and training from scratch amplifies the differences. There the data must
still be equal, and the test metrics must be within TOLERANCE of the committed ones.

The environment is the one that this runs in: making it from the lock anew would give the same packages.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TOLERANCE = {"auroc": 0.05, "accuracy": 0.15, "precision": 0.15, "recall": 0.2, "f1": 0.15, "log_loss": 0.4}
DATA_METRICS = ("metrics/index.json", "metrics/split.json")


def git(clone: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=clone, check=True, capture_output=True, text=True).stdout


def compare(clone: Path) -> list[str]:
    """The differences from the commit that are larger than allowed, one line each."""
    problems = []
    for name in DATA_METRICS:
        if git(clone, "diff", "--stat", "--", name):
            problems.append(f"{name} differs")
    committed: dict[str, Any] = json.loads(git(clone, "show", "HEAD:metrics/test.json"))
    rebuilt: dict[str, Any] = json.loads((clone / "metrics" / "test.json").read_text())
    for name, tolerance in TOLERANCE.items():
        difference = abs(rebuilt[name] - committed[name])
        print(f"{name:<10} committed {committed[name]:.4f}  rebuilt {rebuilt[name]:.4f}  may differ by {tolerance}")
        if not difference <= tolerance:
            problems.append(f"{name} differs by {difference:.4f}")
    return problems


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        git(ROOT, "clone", "--quiet", "--no-local", str(ROOT), str(clone))
        own = os.environ | {"PYTHONPATH": str(clone / "src")}  # before that of the checkout, which is installed
        subprocess.run(["dvc", "repro"], cwd=clone, env=own, check=True)
        changed = git(clone, "status", "--porcelain")
        problems = compare(clone)
    print("every tracked file is equal to the commit's" if not changed else f"not equal to the byte:\n{changed}")
    if problems:
        sys.exit("not reproduced: " + "; ".join(problems))
    print("reproduced")


if __name__ == "__main__":
    main()
