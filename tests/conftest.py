"""Fixtures that several test modules use."""

pytest_plugins = ["tests.support.disks", "tests.support.kaggle_server"]
