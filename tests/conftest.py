"""Fixtures that several test modules use, and which tests go to one process."""

from pathlib import Path

import pytest

pytest_plugins = ["tests.disks", "tests.kaggle_server"]


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps together what shares fixtures that take long: the pipeline's tests, and those of a module."""
    for item in items:
        name = "pipeline" if "pipeline" in item.path.parts else item.path.relative_to(Path(__file__).parent).as_posix()
        item.add_marker(pytest.mark.xdist_group(name))
