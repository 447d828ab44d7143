"""Fixtures that several test modules use."""

pytest_plugins = ["tests.kaggle_server"]
