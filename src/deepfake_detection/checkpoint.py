"""A trained model on disk: a plain state_dict and a JSON sidecar that says how to use it."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepfake_detection.errors import UserError
from deepfake_detection.model import IMAGENET_MEAN, IMAGENET_STD, build_model

DECISION_THRESHOLD = 0.5  # where the training loss itself is undecided


def save_checkpoint(
    path: Path,
    state: dict[str, Tensor],
    arch: str,
    image_size: int,
    categories: dict[str, list[str]],
    best_epoch: int,
    temperature: float = 1.0,
    thresholds: dict[str, float] | None = None,
) -> None:
    """Writes ``path``, readable with ``weights_only=True``, and its sidecar ``path`` with ``.json``.

    ``temperature`` and ``thresholds`` (on the calibrated probability, by rule) come from validation frames.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({name: value.contiguous() for name, value in state.items()}, path)
    sidecar = {
        "arch": arch,
        "input_size": [image_size, image_size],
        "channels": "RGB",
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
        "resize": "squeezed to the input size, antialiased bilinear",
        "output": "one logit; sigmoid(logit / temperature) is the calibrated probability of a fake",
        "categories": categories,
        "temperature": temperature,
        "threshold": DECISION_THRESHOLD,
        "threshold_rule": DECISION_THRESHOLD,
        "thresholds": thresholds or {},
        "best_epoch": best_epoch,
        "parameters": sum(p.numel() for p in build_model(arch, dropout=0.0).parameters()),
    }
    path.with_suffix(".json").write_text(json.dumps(sidecar, indent=2) + "\n")


def load_checkpoint(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The model in evaluation mode, and its sidecar. Raises UserError when either is missing or wrong."""
    try:
        sidecar: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
        arch = sidecar["arch"]
    except FileNotFoundError:
        raise UserError(f"{path.with_suffix('.json')}: not there; run `dvc repro train`") from None
    except (ValueError, KeyError):
        raise UserError(f"{path.with_suffix('.json')}: not the sidecar of a checkpoint") from None
    return build_model(arch, dropout=0.0, weights=path).eval(), sidecar
