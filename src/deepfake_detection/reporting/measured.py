"""Reads what the stages measured."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.tables import headline_rows, one_line_errors


def read_measured(path: Path) -> dict[str, Any]:
    """A JSON file of a stage. Raises UserError when it is missing or is not JSON."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: not there; run `dvc repro report`, which makes it first") from None
    except ValueError:
        raise UserError(f"{path}: not JSON; remove it and run `dvc repro report`") from None
    return content


def read_robustness(metrics: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """The summary of the robustness stage with its ``intervals``, the number of ``groups`` behind these, the share of
    frames that is unfamiliar by what was done to them (``flagged``), and the results by ``conditions``.

    Also the stage's table by corruption and severity.
    """
    found = read_measured(metrics / "robustness.json")
    tables = []
    for name in ("intervals", "robustness", "flagged", "conditions"):
        with one_line_errors(path := metrics / "robustness" / f"{name}.csv", "a table of the robustness stage"):
            tables.append(pd.read_csv(path))
    intervals, table, flagged, conditions = tables
    rows = intervals.set_index("name")[["low", "high"]]
    ends = {str(name): None if row.isna().any() else row.tolist() for name, row in rows.iterrows()}
    shares = dict(zip(flagged["change"], flagged["share"], strict=True))
    bands = conditions.astype(object).where(conditions.notna(), None).to_dict("records")
    summary = {"intervals": ends, "groups": int(intervals["groups"].iloc[0]), "flagged": shares, "conditions": bands}
    return found | summary, table


def trained_and_other(test: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The manipulations trained on, and the data sets only evaluated, by metrics/details.json."""
    seen = [name for name, found in test["categories"].items() if found["seen"]]
    return seen, [name for name, found in test["datasets"].items() if found["use"] == "test"]


def headline_of(predictions: pd.DataFrame, test: dict[str, Any]) -> pd.DataFrame:
    """The rows of the test frames that the headline of metrics/details.json, ``test``, is measured on."""
    return headline_rows(predictions[predictions["split"] == "test"], *trained_and_other(test))
