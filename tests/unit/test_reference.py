"""docs/reference/ is what `make docs` writes from the code."""

import pytest

from deepfake_detection.evaluation.bootstrap import METRICS
from deepfake_detection.reporting.report import METRIC_GROUPS
from tools.reference import FOLDER, pages


@pytest.mark.parametrize("name", ["parameters.md", "metrics.md", "case.schema.json"])
def test_page_is_current(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == pages()[name], "run make docs"


def test_every_page_of_the_folder_is_written_from_the_code() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(pages())


def test_every_metric_is_described() -> None:
    described = [name for group in METRIC_GROUPS.values() for name in group]
    assert sorted(described) == sorted(METRICS)
