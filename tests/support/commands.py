"""Runs the command deepfake-detect in this process, as a user types it."""

import sys
from unittest.mock import patch

import pytest

from deepfake_detection.serving import cli


def command(*words: object) -> object:
    """Returns the exit status, or the error message that ended the command."""
    with patch.object(sys, "argv", ["deepfake-detect", *map(str, words)]), pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code
