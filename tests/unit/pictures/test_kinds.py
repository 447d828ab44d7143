"""What a file is, its first bytes say, whatever its name; what is not read is named for what it is."""

import io
import os
import socket
import struct
import wave
import zipfile
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from PIL import Image

from deepfake_detection.pictures.images import UnreadableImageError, read_rgb
from deepfake_detection.pictures.kinds import HEAD, file_kind, is_clutter, is_video, kind_of
from deepfake_detection.videos.video import Video
from tests.support.films import level, write_film

GREY = Image.new("RGB", (64, 64), "grey")
CONVERT = "which is not read: convert it to JPEG or PNG"


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def brands(major: bytes, *others: bytes) -> bytes:
    """How a file of the family of MP4, HEIC and AVIF begins."""
    return box(b"ftyp", major + b"\0\0\0\0" + b"".join(others)) + box(b"meta", bytes(100))


HEIC = brands(b"heic", b"mif1", b"heic")


def saved(kind: str) -> bytes:
    file = io.BytesIO()
    GREY.save(file, kind)
    return file.getvalue()


def film(form: str, codec: str = "libx264") -> bytes:
    pictures = [level(grey, 64, 64) for grey in range(0, 200, 20)]
    return cast(bytes, write_film(io.BytesIO(), pictures, codec, form=form).getvalue())


def sound() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(8000)
        written.writeframes(bytes(1000))
    return file.getvalue()


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        written.writestr("a.jpg", b"hello")
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP", "AVIF", "GIF"])
@pytest.mark.parametrize("name", ["a.mp4", "a"])
def test_a_picture_is_one_under_any_name(tmp_path: Path, kind: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(saved(kind))
    assert (file_kind(path).read_as, file_kind(path).name, is_video(path)) == ("picture", kind, False)
    np.testing.assert_allclose(read_rgb(path), np.full((64, 64, 3), 128), atol=3)


@pytest.mark.parametrize("form", ["mp4", "mov", "3gp", "matroska", "avi", "mpegts", "vob"])
@pytest.mark.parametrize("name", ["a.jpg", "a"])
def test_a_film_is_one_under_any_name(tmp_path: Path, form: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(film(form, "mpeg2video" if form == "vob" else "libx264"))
    assert is_video(path)
    (frame,) = Video(path, 1).frames()
    assert frame.pixels.shape == (64, 64, 3)
    with pytest.raises(UnreadableImageError, match=r"^a video, not a picture$"):
        read_rgb(path)


def test_a_camcorders_film_has_a_time_before_each_packet() -> None:
    packets = film("mpegts")
    timed = b"".join(bytes(4) + packets[at : at + 188] for at in range(0, len(packets), 188))
    damaged = bytes(400) + packets[400:]
    assert {kind_of(each[:HEAD]).read_as for each in (timed, packets[100:], damaged)} == {"video"}
    assert kind_of(bytes(HEAD)).read_as == "nothing"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\4CgBI\x50\0\x20\2", f"a PNG of Xcode, changed for iPhones, {CONVERT}"),
        (HEIC, f"an HEIC picture, {CONVERT}"),
        (brands(b"msf1", b"hevc"), f"an HEIC picture, {CONVERT}"),
        (brands(b"crx ", b"isom"), f"a camera's raw picture, {CONVERT}"),
        (b"\xff\x0a" + bytes(50), f"a JPEG XL picture, {CONVERT}"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50), f"a JPEG XL picture, {CONVERT}"),
        (saved("JPEG2000"), f"a JPEG 2000 picture, {CONVERT}"),
        (saved("TIFF"), f"a TIFF or a camera's raw picture, {CONVERT}"),
        (saved("ICO"), f"an icon, {CONVERT}"),
        (b'<?xml version="1.0"?><svg width="1"/>', f"an SVG drawing, {CONVERT}"),
        (film("flv", "flv"), "an FLV video, which is not read: convert it to MP4"),
        (film("asf", "wmv2"), "a Windows Media file, which is not read: convert it to MP4"),
        (sound(), "a sound file without pictures"),
        (brands(b"M4A ", b"mp42"), "a sound file without pictures"),
        (b"ID3\4" + bytes(50), "a sound file without pictures"),
        (b"\xff\xfb\x90\x64" + bytes(50), "a sound file without pictures"),
        (b"OggS\0\2" + bytes(22) + b"\1\x13OpusHead" + bytes(50), "a sound file without pictures"),
        (saved("PDF"), "a PDF file, neither a picture nor a video"),
        (archive(), "an archive or an Office document, neither a picture nor a video"),
        ("größe".encode("utf-16"), "a text file, neither a picture nor a video"),
        (b"BM is no bitmap\n", "a text file, neither a picture nor a video"),
        (b"The free film \xe2\x80\x9cmoov\xe2\x80\x9d" * 300, "a text file, neither a picture nor a video"),
        (b"\n<!DOCTYPE html><html>not found</html>", "a web page (HTML), neither a picture nor a video"),
        (b"\0\5\x16\7\0\2\0\0Mac OS X", "a Mac's companion of another file, neither a picture nor a video"),
        (b"", "empty file"),
        (bytes(1000), "neither a picture nor a video that can be read"),
        (np.random.default_rng(0).bytes(9000), "neither a picture nor a video that can be read"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_what_is_not_read_is_named_and_never_called_damaged(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    assert not is_video(path)
    with pytest.raises(UnreadableImageError) as caught:
        read_rgb(path)
    assert str(caught.value) == words


def test_brands_tell_an_avif_picture_from_a_film() -> None:
    assert kind_of(brands(b"mif1", b"miaf", b"avif")).name == "AVIF"
    assert kind_of(brands(b"mp42", b"isom", b"mif1")).read_as == "video"
    assert kind_of(box(b"moov", bytes(100))).read_as == "video"  # without brands, as in films of old


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
    link.symlink_to(tmp_path / "nowhere")
    for path, words in (
        (pipe, "a pipe, not a file"),
        (tmp_path / "socket", "a socket, not a file"),
        (Path("/dev/null"), "a device, not a file"),
        (link, "no such file or directory"),
        (tmp_path, "is a directory"),
    ):
        assert not is_video(path)
        with pytest.raises(UnreadableImageError) as caught:
            read_rgb(path)
        assert str(caught.value) == words


def test_names_that_systems_leave_beside_pictures() -> None:
    names = ["._IMG_1.jpg", ".DS_Store", "__MACOSX", "Thumbs.db", "desktop.ini", "Desktop.ini", ".hidden.jpg"]
    assert all(map(is_clutter, names))
    assert not any(map(is_clutter, ["IMG_1.jpg", "_IMG_1.jpg", "thumbs.jpg", "MACOSX"]))
