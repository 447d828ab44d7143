"""A trained model on disk: a plain state_dict and a JSON sidecar that says how to use it."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepfake_detection.files import replacing
from deepfake_detection.model import IMAGENET_MEAN, IMAGENET_STD, build_model
from deepfake_detection.sidecar import read_sidecar

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
    crop: str = "none",
    margin: float = 0.0,
) -> None:
    """Writes ``path``, readable with ``weights_only=True``, and its sidecar ``path`` with ``.json``.

    Neither changes before both are written. ``temperature`` and ``thresholds`` (on the calibrated
    probability, by rule) come from validation frames. ``crop`` and ``margin`` say what was taken of each
    frame, as ``prepare.crop`` and ``prepare.margin`` do.
    """
    sidecar = {
        "arch": arch,
        "input_size": [image_size, image_size],
        "channels": "RGB",
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
        "crop": crop,
        "margin": margin,
        "resize": ("a square around the face, " if crop == "face" else "")
        + "squeezed to the input size, antialiased bilinear",
        "output": "one logit; sigmoid(logit / temperature) is the calibrated probability of a fake",
        "categories": categories,
        "temperature": temperature,
        "threshold": DECISION_THRESHOLD,
        "threshold_rule": DECISION_THRESHOLD,
        "thresholds": thresholds or {},
        "best_epoch": best_epoch,
        "parameters": sum(p.numel() for p in build_model(arch, dropout=0.0).parameters()),
    }
    with replacing(path, path.with_suffix(".json")) as (weights, described):
        save_tensors({name: value.contiguous() for name, value in state.items()}, weights)
        described.write_text(json.dumps(sidecar, indent=2) + "\n")


def save_tensors(state: dict[str, Any], path: Path) -> None:
    """torch.save, whose OSError says what went wrong."""
    try:
        with path.open("wb") as file:  # of a path torch would keep the name in the file, and hide what went wrong
            torch.save(state, file)
    except RuntimeError as error:  # raised over the full disk's OSError when torch tidies up
        raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None


def load_checkpoint(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The model in evaluation mode, and its sidecar. Raises UserError when either is missing or wrong."""
    sidecar = read_sidecar(path.with_suffix(".json"))
    return build_model(sidecar["arch"], dropout=0.0, weights=path).eval(), sidecar
