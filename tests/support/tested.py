"""Test results beside a checkpoint, made of the committed metrics files."""

import json
from pathlib import Path
from typing import Any

from deepfake_detection.inference.tested import Tested, results_file, summarised, write_tested

METRICS = Path(__file__).parents[2] / "metrics"


def committed(name: str) -> Any:
    return json.loads((METRICS / name).read_text())


def save_tested(checkpoint: Path, source: str = "embedded") -> Tested:
    """Writes the file beside a checkpoint, as if the committed figures were its own."""
    split, test, robustness = (committed(name) for name in ("split.json", "test.json", "robustness.json"))
    found = summarised(checkpoint, {"source": source}, split, test, robustness)
    write_tested(results_file(checkpoint), found)
    return found
