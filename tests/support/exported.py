"""A checkpoint to export, and the guide's code that reads the result."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from deepfake_detection.evaluation.fit_familiarity import fit_familiarity
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.inference.familiarity import Familiarity, familiarity_file, save_familiarity
from deepfake_detection.network.model import add_where
from tests.support.checkpoints import network_with_statistics, save_checkpoint, sidecar
from tests.support.commands import command

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "other-runtimes.md"


def checkpoint(folder: Path, crop: str = "face", localise: bool = False) -> Path:
    """A B0 whose logits differ from frame to frame, with a temperature other than 1."""
    network = network_with_statistics(dropout=0.0)
    if localise:
        add_where(network)
    path = folder / "best_model_efficientnet_b7.pth"  # the name that the guide uses
    categories = {"real": ["Original"], "fake": ["Größe"]}
    about = {"categories": categories, "frame": {"temperature": 1.7}, "network": network.variant.model_dump()}
    save_checkpoint(path, network, sidecar(**about, crop=crop, margin=0.25))
    return path


def familiar(
    path: Path, folder: Path, frames: NDArray[np.uint8], share: float, *command_words: object
) -> tuple[Path, Familiarity]:
    """A copy of a checkpoint that knows how frames look, and what it knows. Without it, a command is refused."""
    own, described = folder / "own.pth", load_checkpoint(path).sidecar.model_copy(update={"familiarity": 0.99})
    own.write_bytes(path.read_bytes())
    own.with_suffix(".json").write_text(described.model_dump_json())
    assert f"error: {familiarity_file(own)}: not there" in str(command(*command_words, "--checkpoint", own))
    known = FrameDataset(frames, pd.DataFrame({"label": np.zeros(len(frames))}))
    fitted = fit_familiarity(known, pd.Series(np.arange(len(frames))), share)
    fitted.offset -= 9  # only the distance counts,
    fitted.whitening /= fitted(torch.from_numpy(frames)).quantile(share)  # and a share of these frames is familiar
    save_familiarity(familiarity_file(own), fitted)
    return own, fitted


def snippet(runtime: str) -> str:
    """The guide's Python code for a runtime."""
    found: str
    (found,) = [code for code in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL) if runtime in code]
    assert len(found.splitlines()) <= 12
    return found
