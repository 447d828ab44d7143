"""Saves and loads a trained network: a plain state_dict, and a JSON sidecar that says how to use it."""

import json
from pathlib import Path
from typing import Any

import torch

from deepfake_detection.common.files import replacing
from deepfake_detection.network.model import Network, build_model
from deepfake_detection.network.sidecar import Sidecar, read_sidecar


def save_checkpoint(path: Path, network: Network, sidecar: Sidecar) -> None:
    """Writes ``path``, which can be read with ``weights_only=True``, and its sidecar: ``path`` with suffix ``.json``.

    The checkpoint is the state_dict of ``network.efficientnet``. Neither file changes before both are written.
    """
    with replacing(path, path.with_suffix(".json")) as (weights, described):
        state = network.efficientnet.state_dict()
        save_tensors({name: value.cpu().contiguous() for name, value in state.items()}, weights)
        described.write_text(json.dumps(sidecar.model_dump(), indent=2) + "\n")


def save_tensors(state: dict[str, Any], path: Path) -> None:
    """Like torch.save, but a failed write raises the OSError that says what went wrong."""
    try:
        with path.open("wb") as file:  # given a path, torch stores its name in the file and hides the cause of errors
            torch.save(state, file)
    except RuntimeError as error:  # torch's clean-up raises it, which hides the OSError of a full disk
        raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None


def load_checkpoint(path: Path) -> tuple[Network, Sidecar]:
    """Returns the network in evaluation mode, and its sidecar. Raises UserError when either is missing or invalid."""
    sidecar = read_sidecar(path.with_suffix(".json"))
    return build_model(sidecar.arch, dropout=0.0, weights=path).eval(), sidecar
