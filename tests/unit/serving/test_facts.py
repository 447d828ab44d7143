"""The facts of a file, and what it claims of itself."""

import hashlib
from pathlib import Path

import av
import pytest
from PIL import ExifTags, Image, PngImagePlugin

from deepfake_detection.serving.case.facts import MOST_CLAIMS, Claim, facts_of
from deepfake_detection.serving.credentials import LONGEST
from tests.unit.videos.test_video import film


def test_a_jpeg(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = "Photo Editor 3.1"
    exif[ExifTags.Base.Make] = "Works\x1b[31m"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:01:01 12:00:00"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    xmp = b'<x:xmpmeta><rdf:Description xmp:CreatorTool="Another Editor"/></x:xmpmeta>'
    path = tmp_path / "a.jpg"
    Image.new("RGB", (64, 48), "red").save(path, exif=exif, comment=b"made up", xmp=xmp, progressive=True)
    found = facts_of(path)
    assert (found.kind, found.container, found.codec) == ("picture", "JPEG", "progressive, RGB, 4:2:0")
    assert (found.width, found.height, found.bytes) == (64, 48, path.stat().st_size)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.seconds, found.frame_rate, found.sound) == (None, None, None)
    assert set(found.claims) == {
        Claim("EXIF", "Software", "Photo Editor 3.1"),
        Claim("EXIF", "Make", "Works [31m"),  # what would control a terminal is gone
        Claim("EXIF", "DateTimeOriginal", "2026:01:01 12:00:00"),
        Claim("EXIF", "GPSLatitudeRef", "N"),
        Claim("XMP", "CreatorTool", "Another Editor"),
        Claim("JPEG comment", "comment", "made up"),
    }


def test_what_a_generator_writes_into_a_png(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a portrait, " * 100)
    path = tmp_path / "a.png"
    Image.new("RGB", (20, 10)).save(path, pnginfo=info)
    (claim,) = facts_of(path).claims
    assert (claim.source, claim.name, len(claim.value)) == ("PNG text", "parameters", LONGEST)
    for number in range(3 * MOST_CLAIMS):
        info.add_text(f"name {number}", "value")
    Image.new("RGB", (20, 10)).save(path, pnginfo=info)
    assert len(facts_of(path).claims) == MOST_CLAIMS


def test_a_video(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 20)
    found = facts_of(path)
    with av.open(str(path)) as container:
        (stream,) = container.streams.video
        size, rate = (stream.codec_context.width, stream.codec_context.height), stream.average_rate
    assert (found.kind, found.container, found.frames, found.sound) == ("video", "QuickTime / MOV", 20, "none")
    assert (found.width, found.height) == size
    assert rate is not None
    assert found.frame_rate == pytest.approx(float(rate), abs=1e-3)
    assert found.seconds == pytest.approx(20 / float(rate), abs=0.05)
    assert found.codec
    assert any(claim.name == "encoder" and claim.source == "container" for claim in found.claims)


@pytest.mark.parametrize(
    "content", [b"", b"words", b"\xff\xd8\xff\xe1\xff\xff", b"\x89PNG\r\n\x1a\n", b"\0\0\0\x18ftypisom"]
)
def test_what_is_damaged_or_nothing_has_a_size_and_a_digest(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    found = facts_of(tmp_path / "a")
    assert (found.bytes, found.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert (found.width, found.claims) == (None, ())
    assert found.container
