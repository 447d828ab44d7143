"""Frames that are here already are laid out; links lead out of the folder only where the user made them."""

from pathlib import Path

import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.sources.layout import FRAMES, LISTS
from deepfake_detection.sources.local import lay_out


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A category with a frame, one linked within the folder, and a secret beside the folder."""
    category = tmp_path / "folder" / FRAMES / "Original"
    category.mkdir(parents=True)
    (tmp_path / "folder" / LISTS).mkdir()
    (category / "005_f0.jpg").write_bytes(b"frame")
    (category / "005_f1.jpg").symlink_to("005_f0.jpg")
    (tmp_path / "secret").write_bytes(b"secret")
    return tmp_path / "folder"


def laid_out(folder: Path, trusted: bool) -> dict[str, bytes]:
    raw = folder.parent / "raw"
    lay_out(folder, ["Original"], raw, trusted)
    assert not any(path.is_symlink() for path in raw.rglob("*"))
    return {path.name: path.read_bytes() for path in raw.rglob("*") if path.is_file()}


@pytest.mark.parametrize("trusted", [True, False])
def test_links_within_the_folder_are_followed(folder: Path, trusted: bool) -> None:
    assert laid_out(folder, trusted) == {"005_f0.jpg": b"frame", "005_f1.jpg": b"frame"}


@pytest.mark.parametrize("link", [f"{FRAMES}/Original/005_f2.jpg", f"{LISTS}/Original.csv", f"{FRAMES}/Original"])
def test_links_out_of_an_untrusted_folder_are_not(folder: Path, link: str) -> None:
    if (folder / link).is_dir():
        target = (folder / link).rename(folder.parent / "elsewhere")
    else:
        target = folder.parent / "secret"
    (folder / link).symlink_to(target)
    with pytest.raises(UserError, match="a link that leads out of"):
        laid_out(folder, trusted=False)
    assert not (folder.parent / "raw").exists()
    assert laid_out(folder, trusted=True)
