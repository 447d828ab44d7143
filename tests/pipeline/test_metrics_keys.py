"""docs/reference/metrics.md describes every key of the metrics files of a finished project, and no other."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from deepfake_detection.evaluation.bootstrap import METRICS
from tests.pipeline.conftest import Project
from tools.metrics_keys import FILES, every_key

WRITTEN = [name for name in FILES if "<" not in name]  # tests/pipeline/test_methods.py has those of a method

# what a run without rejected files, undefined metrics, near-duplicates and ratios does not write, nor one on a CPU
SOMETIMES = re.compile(r"reasons\.|left_out\.|undefined\.|pairs\[\]|(tippett|cross_entropy)\[\]|^batch_size$")
NAMES = {
    "metric": "|".join(METRICS),
    "key metric": "accuracy|precision|recall|f1|auroc|log_loss|ece",
    "split": "train|val|test|unused",
    "curve": "loss|accuracy|auroc",
    "cell": "tn|fp|fn|tp",
    "probability metric": "log_loss|brier|ece",
    "rate": "rate|upper",
    "number": "count|groups",
    "kind": "originals|seen|unseen",
    "ratios": "neutral|(un)?seen(_min)?",
    "class": "Original|Deepfake|macro avg|weighted avg",
}


def pattern(key: str) -> re.Pattern[str]:
    """What a described key stands for: ``<name>`` is one of NAMES, or any name."""
    return re.compile(
        re.sub(r"<([\w\\ ]+)>", lambda name: f"(?:{NAMES.get(name[1], '[^.]+')})", re.escape(key).replace("\\<", "<"))
    )


def keys(node: Any, prefix: str = "") -> Iterator[str]:
    """The dotted key of every value that is no dictionary and no list of dictionaries."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from keys(value, f"{prefix}.{name}" if prefix else name)
    elif isinstance(node, list) and node and isinstance(node[0], dict):
        for item in node:
            yield from keys(item, f"{prefix}[]")
    elif not (isinstance(node, list) and prefix.endswith(("pairs", "tippett", "cross_entropy"))):
        yield prefix


@pytest.mark.parametrize("name", WRITTEN)
def test_every_key_is_described_and_every_description_is_of_a_key(
    finished: tuple[Project, list[str]], name: str
) -> None:
    patterns = {key: pattern(key) for key in every_key(FILES[name][2])}
    found = set(keys(json.loads((finished[0].path / "metrics" / name).read_text())))
    assert not {key for key in found if not any(each.fullmatch(key) for each in patterns.values())}, "not described"
    unused = {key for key, each in patterns.items() if not any(map(each.fullmatch, found))}
    assert all(SOMETIMES.search(key) for key in unused), unused


def test_every_metrics_file_is_described(finished: tuple[Project, list[str]]) -> None:
    assert {path.name for path in (finished[0].path / "metrics").glob("*.json")} == set(WRITTEN)
