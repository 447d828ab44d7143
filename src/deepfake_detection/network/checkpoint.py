"""A trained network on disk: weights, and a sidecar that says how to use them."""

from pathlib import Path

from deepfake_detection.common.files import expanded
from deepfake_detection.network.model import Network, build_model
from deepfake_detection.network.sidecar import Sidecar, read_sidecar


def load_checkpoint(path: Path) -> tuple[Network, Sidecar]:
    """Returns the network in evaluation mode, and its sidecar. Raises UserError when either is missing or invalid."""
    path = Path(expanded(str(path)))  # a shell does not expand --checkpoint=~/mine.pth
    sidecar = read_sidecar(path.with_suffix(".json"))
    return build_model(sidecar.arch, dropout=0.0, weights=path, trained=True).eval(), sidecar
