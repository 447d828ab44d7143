"""Tells original frames (0) from deepfakes (1) with a fine-tuned EfficientNet."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepfake_detection.common.errors import UserError
    from deepfake_detection.pictures.faces import Box
    from deepfake_detection.serving.detector import Detector
    from deepfake_detection.serving.results import Face, Person, Prediction, VideoPrediction

    __version__: str

__all__ = ["Box", "Detector", "Face", "Person", "Prediction", "UserError", "VideoPrediction", "__version__"]

_MODULES = {
    "Box": "pictures.faces",
    "UserError": "common.errors",
    "Detector": "serving.detector",
    **dict.fromkeys(("Face", "Person", "Prediction", "VideoPrediction"), "serving.results"),
}


def __getattr__(name: str) -> Any:
    """The public names, loaded on demand: stages start without torch."""
    if name == "__version__":
        from importlib.metadata import version

        return version("deepfake-detection")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
