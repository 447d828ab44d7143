"""Fixtures that several test modules use."""

from deepfake_detection.common.parallel import spin_briefly

pytest_plugins = ["tests.support.disks", "tests.support.kaggle_server"]
spin_briefly()
