"""Fixtures that several test modules use, and which tests run in one process."""

import pytest

pytest_plugins = ["tests.disks", "tests.kaggle_server"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several processes each module has one, for its fixtures, and all that needs the finished project another."""
    for item in items:
        shared = "finished" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("finished" if shared else item.nodeid.partition("::")[0]))
