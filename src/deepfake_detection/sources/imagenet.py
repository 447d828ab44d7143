"""Gets the weights that training starts from."""

import shutil
from pathlib import Path
from socket import getdefaulttimeout, setdefaulttimeout
from urllib.error import URLError

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing
from deepfake_detection.common.lite0 import LITE0, lite0_weights

SILENT_SECONDS = 60.0  # after which a server that sends nothing is given up


def fetch_weights(arch: str, weights: str, to: Path) -> None:
    """Writes the file that ``model.weights`` refers to, whole or not at all; for ``none`` an empty one.

    ImageNet weights are torchvision's, or of a package for Lite0, and are checked against their hash. Raises UserError
    when the file cannot be obtained.
    """
    with replacing(to) as (part,):
        if weights == "none":
            part.touch()
        elif weights == "imagenet" and arch != LITE0:
            download(_imagenet_address(arch), part)
        else:
            source = lite0_weights() if weights == "imagenet" else Path(weights)
            if not source.is_file() or not source.stat().st_size:
                raise UserError(
                    f"model.weights: {source} is no file, or empty; give none, imagenet or the path of a checkpoint"
                )
            shutil.copyfile(source, part)


def _imagenet_address(arch: str) -> str:
    from torchvision.models import get_model_weights

    return str(get_model_weights(arch).DEFAULT.url)


def download(address: str, to: Path) -> None:
    """Downloads weights, and checks them against the start of their SHA-256, which is in the name of the file."""
    from torch.hub import download_url_to_file

    before = getdefaulttimeout()
    setdefaulttimeout(SILENT_SECONDS)  # torch sets none, and would wait for ever
    digest = address.removesuffix(".pth").rpartition("-")[2]
    try:
        download_url_to_file(address, str(to), hash_prefix=digest)
    except (URLError, OSError, RuntimeError) as error:
        by_hand = f"get {address} on another machine, and set model.weights to the path of the file"
        raise UserError(f"ImageNet weights cannot be downloaded ({error}): {by_hand}") from None
    finally:
        setdefaulttimeout(before)
