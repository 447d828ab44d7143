"""A checkpoint to export, and the guide's code that reads the result."""

import re
from pathlib import Path

from tests.support.checkpoints import network_with_statistics, save_checkpoint, sidecar

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "other-runtimes.md"


def checkpoint(folder: Path, crop: str = "face") -> Path:
    """A B0 whose logits differ from frame to frame, with a temperature other than 1."""
    network = network_with_statistics(dropout=0.0)
    path = folder / "best_model_efficientnet_b7.pth"  # the name that the guide uses
    categories = {"real": ["Original"], "fake": ["Größe"]}
    save_checkpoint(path, network, sidecar(categories=categories, frame={"temperature": 1.7}, crop=crop, margin=0.25))
    return path


def snippet(runtime: str) -> str:
    """The guide's Python code for a runtime."""
    found: str
    (found,) = [code for code in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL) if runtime in code]
    assert len(found.splitlines()) <= 12
    return found
