"""Fixtures that several test modules use, and the order of the modules."""

import pytest

from deepfake_detection.common.parallel import spin_briefly
from tests.support.processors import take_one

pytest_plugins = ["tests.support.disks", "tests.support.kaggle_server"]
spin_briefly()


def pytest_configure() -> None:
    take_one()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First what runs the whole pipeline, which takes a minute, and last the other modules that wait for that run."""
    waiting = {item.path for item in items if "finished" in getattr(item, "fixturenames", ())}
    first = min((path for path in waiting if path.name == "test_repro.py"), default=None)
    items.sort(key=lambda item: 0 if item.path == first else 2 if item.path in waiting else 1)
