"""Gets the weights that training starts from."""

import shutil
from pathlib import Path
from urllib.error import URLError

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing, write_json


def weights_file(arch: str, weights: str, folder: Path) -> Path | None:
    """The file in ``folder`` that ``model.weights`` refers to, or None for ``none``."""
    if weights == "none":
        return None
    if weights == "imagenet":
        return folder / _imagenet_address(arch).rpartition("/")[2]
    return folder / Path(weights).name


def fetch_weights(arch: str, weights: str, folder: Path) -> None:
    """Puts the file that training needs and ``source.json`` into ``folder``, and deletes all other files there.

    ImageNet weights are torchvision's and are checked against the hash in their name. A file that is
    already in ``folder`` is checked and kept. Raises UserError when the file cannot be obtained.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = weights_file(arch, weights, folder)
    for path in folder.iterdir():
        if path != wanted:
            path.unlink()
    # this file also prevents a warning of DVC about an empty folder
    write_json(folder / "source.json", {"arch": arch, "weights": weights})
    if wanted is None:
        return
    if weights == "imagenet":
        _fetch_imagenet(_imagenet_address(arch), wanted)
    elif Path(weights).is_file():
        with replacing(wanted) as (part,):
            shutil.copyfile(weights, part)
    else:
        raise UserError(f"model.weights: no file {weights}; give none, imagenet or the path of a checkpoint")


def _imagenet_address(arch: str) -> str:
    from torchvision.models import get_model_weights

    return str(get_model_weights(arch).DEFAULT.url)


def _fetch_imagenet(address: str, to: Path) -> None:
    import hashlib

    from torch.hub import download_url_to_file

    digest = to.stem.rpartition("-")[2]
    by_hand = f"get {to.name} from {address}, put it into {to.parent}/ and run this again"
    if to.is_file():
        with to.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found.startswith(digest):
            return
        raise UserError(f"{to}: its SHA-256 begins with {found[: len(digest)]}, not {digest}: {by_hand}")
    try:
        with replacing(to) as (part,):
            download_url_to_file(address, str(part), hash_prefix=digest)
    except (URLError, OSError, RuntimeError) as error:
        raise UserError(f"ImageNet weights cannot be downloaded ({error}): {by_hand}") from None
