"""A trained network on disk: weights, a sidecar that says how to use them, and what the training frames look like."""

from pathlib import Path
from typing import NamedTuple

from deepfake_detection.common.files import expanded
from deepfake_detection.inference.familiarity import Familiarity, familiarity_file, load_familiarity
from deepfake_detection.network.model import Network, build_model
from deepfake_detection.network.sidecar import Sidecar, read_sidecar


class Checkpoint(NamedTuple):
    """A network in evaluation mode, its sidecar, and its Familiarity, or None if it judges every frame."""

    network: Network
    sidecar: Sidecar
    familiarity: Familiarity | None


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint and the files beside it. Raises UserError when one of them is missing or invalid."""
    path = Path(expanded(str(path)))  # a shell does not expand --checkpoint=~/mine.pth
    sidecar = read_sidecar(path.with_suffix(".json"))
    network = build_model(sidecar.arch, dropout=0.0, weights=path, trained=True).eval()
    if sidecar.familiarity is None:
        return Checkpoint(network, sidecar, None)
    return Checkpoint(network, sidecar, load_familiarity(familiarity_file(path)))
