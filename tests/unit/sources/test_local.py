"""Frames that are here already are laid out; links lead out of the folder only where the user made them."""

import shutil
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


def test_frames_are_copies(folder: Path, tmp_path: Path) -> None:
    (folder / LISTS / "Original.csv").write_text("filename,label\n005_f0.jpg,real\n")
    lay_out(folder, ["Original"], tmp_path / "raw")
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 3
    for path in files:
        copy = tmp_path / "raw" / path.relative_to(folder)
        assert copy.read_bytes() == path.read_bytes()
        assert copy.stat().st_ino != path.stat().st_ino
        assert path.stat().st_nlink == copy.stat().st_nlink == 1


def test_unseen_categories_that_are_not_there_are_left_out_with_a_word(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / FRAMES / "Original", folder / FRAMES / "FaceSwap")
    lay_out(folder, ["Original"], tmp_path / "raw", unseen=["Face2Face", "FaceSwap", "FaceShifter"])
    assert sorted(path.name for path in (tmp_path / "raw" / FRAMES).iterdir()) == ["FaceSwap", "Original"]
    words = f"{folder / FRAMES}: no category Face2Face, FaceShifter: left out of data.categories.unseen\n"
    assert capsys.readouterr().out == words


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ([], "it holds nothing but no picture directly in it"),
        (
            ["005/f0.jpg", "005/f1.png", "010/f0.jpg"],
            "it holds 2 folders such as 005/, with 3 pictures, but no picture",
        ),
        (["005.mp4", "010.mp4", "notes"], "it holds only other files (2 .mp4, 1 without a suffix) but no picture"),
        ([".005_f0.jpg"], "it holds only other files (1 .jpg) but no picture"),
    ],
)
@pytest.mark.parametrize("unseen", [False, True])
def test_a_category_without_a_picture_says_what_is_there(
    folder: Path, tmp_path: Path, files: list[str], found: str, unseen: bool
) -> None:
    category = folder / FRAMES / "Fakes"
    category.mkdir()
    for name in files:
        (category / name).parent.mkdir(exist_ok=True)
        (category / name).write_bytes(b"content")
    with pytest.raises(UserError) as caught:
        lay_out(folder, ["Original"] + ["Fakes"] * (not unseen), tmp_path / "raw", unseen=["Fakes"] * unseen)
    assert str(caught.value).startswith(f"{category}: {found}")
    assert "005_f4.jpg (an original) or 005_010_f4.jpg (a fake)" in str(caught.value)
    assert not (tmp_path / "raw").exists()


def test_folders_beside_the_pictures_are_not_left_out_in_silence(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / FRAMES / "Original" / "more").mkdir()
    (folder / FRAMES / "Original" / "more" / "006_f0.jpg").write_bytes(b"frame")
    lay_out(folder, ["Original"], tmp_path / "raw")
    assert "Original: 1 folders such as more/, with 1 pictures, are not read" in capsys.readouterr().out


def test_categories_beside_the_folder_of_frames_are_found(tmp_path: Path) -> None:
    (tmp_path / "mine" / "Original").mkdir(parents=True)
    with pytest.raises(UserError, match=r"no category Original \(the folders in .* are Original: .* into FF\+\+C32-"):
        lay_out(tmp_path / "mine", ["Original"], tmp_path / "raw")


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
