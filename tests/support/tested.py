"""Test results beside a checkpoint, made of the committed metrics files."""

import json
from pathlib import Path
from typing import Any

from deepfake_detection.inference.tested import Tested, results_file, summarised, write_tested
from deepfake_detection.reporting.measured import read_robustness

METRICS = Path(__file__).parents[2] / "metrics"


def committed(name: str) -> Any:
    return json.loads((METRICS / name).read_text())


def save_tested(checkpoint: Path, drawn: bool = True) -> Tested:
    """Writes the file beside a checkpoint, as if the committed figures were its own."""
    robustness, _ = read_robustness(METRICS)
    found = summarised(checkpoint, drawn, committed("split.json"), committed("details.json"), robustness)
    write_tested(results_file(checkpoint), found)
    return found
