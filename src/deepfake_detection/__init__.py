"""Tells original frames (0) from deepfakes (1) with a fine-tuned EfficientNet."""

from importlib import import_module
from typing import Any

__all__ = ["Detector"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # on demand, for stages start without it and torch; nor do they depend on it
    return getattr(import_module("deepfake_detection.detector"), name)
