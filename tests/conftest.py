"""Fixtures that several test modules use."""

pytest_plugins = ["tests.disks", "tests.kaggle_server"]
