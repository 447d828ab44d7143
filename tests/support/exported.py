"""A checkpoint to export, and the guide's code that reads the result."""

import re
from pathlib import Path

import torch
from torch import nn

from deepfake_detection.network.model import build_model
from tests.support.checkpoints import SIZE, save_checkpoint, sidecar

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "other-runtimes.md"


def checkpoint(folder: Path, crop: str = "face") -> Path:
    """A B0 whose logits differ from frame to frame, with a temperature other than 1."""
    torch.manual_seed(0)
    network = build_model("efficientnet_b0", dropout=0.0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            module.momentum = 1.0  # one batch sets the running statistics
    with torch.no_grad():
        network.efficientnet(torch.randn(32, 3, SIZE, SIZE) + torch.randn(32, 3, 1, 1))
    path = folder / "best_model_efficientnet_b7.pth"  # the name that the guide uses
    categories = {"real": ["Original"], "fake": ["Größe"]}
    save_checkpoint(path, network, sidecar(categories=categories, temperature=1.7, crop=crop, margin=0.25))
    return path


def snippet(runtime: str) -> str:
    """The guide's Python code for a runtime."""
    found: str
    (found,) = [code for code in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL) if runtime in code]
    assert len(found.splitlines()) <= 12
    return found
