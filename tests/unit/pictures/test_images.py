import io
import resource
import struct
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from deepfake_detection.pictures.images import (
    MAX_BYTES,
    MAX_PIXELS,
    MAX_SCANNED_PIXELS,
    NOT_READ,
    UnreadableImageError,
    opened_picture,
    read_picture,
    read_rgb,
)
from tests.support.permissions import open_folder, unprivileged

NOISE = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return start + struct.pack(">I", 10) + b"IDAT"


def read(path: Path, image: Image.Image, kind: str = "PNG", **options: Any) -> NDArray[np.uint8]:
    """The pixels of a picture's file. They must be those of the opened image too, which stays as it is."""
    path.write_bytes(encode(image, kind, **options))
    pixels = read_rgb(path)
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable
    with Image.open(path) as opened, warnings.catch_warnings(action="error"):
        for _ in range(2):
            np.testing.assert_array_equal(opened_picture(opened).pixels, pixels)
            opened.load()
    return pixels


GREY = NOISE[..., 0]
COLOURS = np.random.default_rng(2).integers(0, 256, (256, 3), dtype=np.uint8)
PALETTE = Image.fromarray(GREY)
PALETTE.putpalette(COLOURS.tobytes())
UPRIGHT = {
    1: NOISE,
    2: NOISE[:, ::-1],
    3: NOISE[::-1, ::-1],
    4: NOISE[::-1],
    5: NOISE.swapaxes(0, 1),
    6: np.rot90(NOISE, -1),
    7: NOISE[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90(NOISE),
    9: NOISE,  # not an orientation
}


@pytest.mark.parametrize(
    ("stored", "kind", "options", "expected"),
    [
        *((NOISE, kind, {}, NOISE) for kind in ("PNG", "BMP")),
        *((NOISE, "PNG", {"exif": exif(number)}, upright) for number, upright in UPRIGHT.items()),
        (NOISE, "PNG", {"exif": b"Exif\0\0broken"}, NOISE),
        (GREY, "PNG", {}, np.dstack([GREY] * 3)),
        (GREY > 127, "PNG", {}, np.dstack([GREY > 127] * 3) * np.uint8(255)),
        (GREY.astype(np.uint16) * 257, "PNG", {"exif": exif(6)}, np.rot90(np.dstack([GREY] * 3), -1)),
        # alpha is dropped, not blended
        (np.dstack([GREY, NOISE[..., 1]]), "PNG", {}, np.dstack([GREY] * 3)),
        (np.dstack([NOISE, GREY]), "PNG", {}, NOISE),
        (np.dstack([NOISE, GREY]), "WEBP", {"lossless": True, "exact": True, "exif": exif(5)}, UPRIGHT[5]),
        (PALETTE, "GIF", {"transparency": 3}, COLOURS[GREY]),
        *((PALETTE, "PNG", each, COLOURS[GREY]) for each in ({}, {"transparency": 3}, {"transparency": bytes(256)})),
    ],
)
def test_pixels_come_out_upright_as_stored(
    tmp_path: Path, stored: Any, kind: str, options: dict[str, Any], expected: NDArray[np.uint8]
) -> None:
    image = stored if isinstance(stored, Image.Image) else Image.fromarray(stored)
    np.testing.assert_array_equal(read(tmp_path / "a.jpg", image, kind, **options), expected)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {}), ("JPEG", {"icc_profile": b"profile"}), ("AVIF", {}), ("GIF", {})],
    ids=["JPEG", "profile", "AVIF", "GIF"],
)
def test_smooth_pixels_come_out_upright_nearly_as_stored(tmp_path: Path, kind: str, options: dict[str, Any]) -> None:
    smooth = Image.linear_gradient("L").resize((40, 24)).convert("RGB")
    np.testing.assert_allclose(read(tmp_path / "a", smooth, kind, **options), np.asarray(smooth), atol=4)
    if kind != "GIF":
        turned = read(tmp_path / "a", smooth, kind, exif=exif(6), **options)
        np.testing.assert_allclose(turned, np.rot90(np.asarray(smooth), -1), atol=4)


@pytest.mark.parametrize("colour", [(0, 255, 255), (255, 0, 0), (0, 0, 0)])
def test_cmyk_jpeg_becomes_rgb(tmp_path: Path, colour: tuple[int, ...]) -> None:
    ink = (*(255 - each for each in colour), 0) if any(colour) else (0, 0, 0, 255)
    pixels = read(tmp_path / "a.jpg", Image.new("CMYK", (40, 24), ink), "JPEG")
    np.testing.assert_allclose(pixels, np.broadcast_to(colour, (24, 40, 3)), atol=4)


def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    stored = np.linspace(0, 65535, 24 * 40).astype(np.uint16).reshape(24, 40)
    pixels = read(tmp_path / "a.png", Image.fromarray(stored))
    np.testing.assert_allclose(pixels, np.dstack([stored] * 3) / 257, atol=1)
    assert (pixels.min(), pixels.max(), len(np.unique(pixels))) == (0, 255, 256)


JPEG = encode(Image.fromarray(NOISE), "JPEG")
PNG = encode(Image.fromarray(NOISE), "PNG")
WEBP = encode(Image.fromarray(NOISE), "WEBP")
BMP = encode(Image.fromarray(NOISE), "BMP")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (JPEG[: len(JPEG) // 2], "truncated"),
        (JPEG[:-4], "truncated"),
        (JPEG[:100], "truncated"),
        (PNG[: len(PNG) // 2], "truncated"),
        (BMP[:-9], "truncated"),
        (WEBP[: len(WEBP) // 2], "damaged"),  # libwebp does not say what is wrong
        (PNG[:200] + bytes(500) + PNG[700:], "damaged"),
        (JPEG.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"), f"a JPEG, 12 bits a colour, {NOT_READ}"),
        (JPEG.replace(b"\xff\xc0", b"\xff\xc3"), f"a JPEG, lossless, {NOT_READ}"),
        (JPEG.replace(b"\xff\xc0", b"\xff\xcb"), f"a JPEG, lossless, {NOT_READ}"),
        (JPEG.replace(b"\xff\xc0", b"\xff\xf7"), f"a JPEG, JPEG-LS, {NOT_READ}"),
        (BMP[:30] + b"\4" + BMP[31:], NOT_READ),  # a JPEG in a BMP
        (png_header(8193, 8192), "too many pixels: at most 67 million are read"),
        (png_header(10_000, 10_000), "too many pixels: at most 67 million are read"),  # Pillow would warn
        (png_header(60_000, 60_000), "too many pixels: at most 67 million are read"),  # Pillow would raise
    ],
)
def test_bad_content_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with warnings.catch_warnings(action="error"), pytest.raises(UnreadableImageError) as caught:
        read_rgb(path)
    assert str(caught.value) == reason


def test_unreadable_file_is_named() -> None:
    with open_folder() as folder:
        path = folder / "a.jpg"
        path.write_bytes(JPEG)
        path.chmod(0)
        with unprivileged(), pytest.raises(UnreadableImageError, match=r"^permission denied$"):
            read_rgb(path)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def many_scans_jpeg(side: int, scans: int) -> bytes:
    """A grey square of ``side`` pixels in a few kB, whose coefficients are refined ``scans`` times, by nothing."""
    blocks = (side // 8) ** 2
    runs = "".join("0" + "1" * 13 + "0" for _ in range(-(-blocks // 32_766)))  # each ends as many blocks
    bits = runs + "1" * (-len(runs) % 8)
    nothing = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)).replace(b"\xff", b"\xff\0")
    tables = segment(0xDB, bytes([0] + [1] * 64))
    tables += segment(0xC4, bytes([0x00, 1] + [0] * 15 + [0])) + segment(0xC4, bytes([0x10, 1] + [0] * 15 + [0xE0]))
    frame = segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + bytes([1, 0x11, 0]))
    dc = segment(0xDA, bytes([1, 1, 0, 0, 0, 0])) + bytes(blocks // 8)
    first, refined = (segment(0xDA, bytes([1, 1, 0, 1, 63, bit])) + nothing for bit in (1, 0x10))
    return b"\xff\xd8" + tables + frame + dc + first + refined * scans + b"\xff\xd9"


def refused(path: Path, content: bytes) -> tuple[str, float]:
    """Why, and after how many seconds."""
    path.write_bytes(content)
    start = time.process_time()
    with pytest.raises(UnreadableImageError) as caught:
        read_rgb(path)
    return str(caught.value), time.process_time() - start


def test_a_jpeg_of_very_many_scans_is_refused(tmp_path: Path) -> None:
    path, side = tmp_path / "a.jpg", 1024
    within = MAX_SCANNED_PIXELS // side**2
    path.write_bytes(many_scans_jpeg(side, within - 2))
    start = time.process_time()
    assert read_rgb(path).shape == (side, side, 3)
    assert time.process_time() - start < 10  # 0.9 s on two busy cores
    content = many_scans_jpeg(side, 100 * within)  # would take minutes
    assert len(content) < 3 * 2**20
    reason, seconds = refused(path, content)
    assert reason == "too much work to decode"
    assert seconds < 0.5


def test_a_camera_jpeg_in_scans_is_within_bounds() -> None:
    picture = io.BytesIO(encode(Image.fromarray(NOISE), "JPEG", progressive=True))
    scans = picture.getvalue().count(b"\xff\xda")
    assert 5 < scans <= MAX_SCANNED_PIXELS // MAX_PIXELS


def test_a_file_of_very_many_pieces_is_refused(tmp_path: Path) -> None:
    content = JPEG[:2] + segment(0xFE, b"") * 600_000 + JPEG[2:]
    reason, seconds = refused(tmp_path / "a.jpg", content)
    assert reason == "too much work to decode"
    assert seconds < 10  # 1 s on two busy cores


def test_a_file_of_very_many_bytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    with path.open("wb") as file:
        file.write(BMP)
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(UnreadableImageError, match=r"^too many bytes: at most 134 million are read$"):
        read_rgb(path)


PALETTE.putpalette(np.random.default_rng(2).integers(0, 256, (256, 3), dtype=np.uint8).tobytes())


def test_32_bit_grey_is_taken_for_16_bit() -> None:
    stored = np.array([[-1, 0, 256, 65535, 70_000]], np.int32)
    np.testing.assert_array_equal(opened_picture(Image.fromarray(stored)).pixels[..., 0], [[0, 0, 1, 255, 255]])


def test_an_opened_image_that_gives_no_pixels_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(JPEG[: len(JPEG) // 2])
    modes = {mode: f"an image of mode {mode}: convert it to RGB first" for mode in ("F", "La", "LAB")}
    large = (Image.new("1", (8193, 8192)), "too many pixels: at most 67 million are read")
    with Image.open(tmp_path / "a.jpg") as broken:
        others = [(Image.new(mode, (40, 40)), reason) for mode, reason in modes.items()]
        for image, reason in ((broken, "truncated"), large, *others):
            with pytest.raises(UnreadableImageError) as caught:
                opened_picture(image)
            assert str(caught.value) == reason


def test_threads_may_give_the_same_opened_image(tmp_path: Path) -> None:
    Image.fromarray(np.tile(NOISE, (20, 20, 1))).save(tmp_path / "a.png")
    expected = read_rgb(tmp_path / "a.png")
    for _ in range(5):
        with Image.open(tmp_path / "a.png") as opened, ThreadPoolExecutor(4) as pool:
            for found in pool.map(opened_picture, [opened] * 8):
                np.testing.assert_array_equal(found.pixels, expected)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WebP", "AVIF"])
def test_of_an_animation_no_picture_is_taken_for_the_whole(tmp_path: Path, kind: str) -> None:
    later = [Image.new("RGB", (40, 24), (80 * number, 0, 0)) for number in range(2)]
    path = tmp_path / "a"
    path.write_bytes(encode(Image.fromarray(NOISE), kind, save_all=True, append_images=later, quality=100))
    with Image.open(path) as opened:
        for read_it in (lambda: read_rgb(path), lambda: read_picture(path), lambda: opened_picture(opened)):
            with pytest.raises(UnreadableImageError) as caught:
                read_it()
            assert str(caught.value).startswith(f"an animated {kind} of 3 pictures: save one of them")
        opened.seek(2)
        np.testing.assert_allclose(opened_picture(opened.copy()).pixels, np.asarray(later[1]), atol=4)


def test_pages_are_not_taken_for_the_whole_either() -> None:
    pages = encode(Image.fromarray(NOISE), "TIFF", save_all=True, append_images=[Image.new("RGB", (40, 24))])
    with Image.open(io.BytesIO(pages)) as opened, pytest.raises(UnreadableImageError, match=r"^a TIFF file of 2 pict"):
        opened_picture(opened)


FILM = b"\0\0\0\x18ftypmp42" + b"\xff\xda" * 5000 + np.random.default_rng(1).bytes(2**20)  # of what looks like scans


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_motion_photo_is_its_picture(tmp_path: Path, options: dict[str, Any]) -> None:
    photo = Image.fromarray(NOISE).resize((640, 480), Image.Resampling.NEAREST)
    assert photo.width * photo.height * FILM.count(b"\xff\xda") > MAX_SCANNED_PIXELS
    content = encode(photo, "JPEG", **options)
    (tmp_path / "a.jpg").write_bytes(content + FILM)
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.jpg"), np.asarray(Image.open(io.BytesIO(content))))


def test_of_several_pictures_in_a_jpeg_the_main_one_is_read(tmp_path: Path) -> None:
    second = Image.new("RGB", (40, 24))
    pixels = read(tmp_path / "a.jpg", Image.fromarray(NOISE), "MPO", save_all=True, append_images=[second])
    np.testing.assert_array_equal(pixels, np.asarray(Image.open(io.BytesIO(encode(Image.fromarray(NOISE), "JPEG")))))


@pytest.mark.parametrize("said", ["profile", "compressed profile", "compressed text", "text"])
def test_what_a_png_says_besides_its_pixels_may_be_large(tmp_path: Path, said: str) -> None:
    options: dict[str, Any] = {"pnginfo": PngInfo()}
    if "profile" in said:
        options = {"icc_profile": np.random.default_rng(1).bytes(1_500_000) if said == "profile" else bytes(1_500_000)}
    else:
        options["pnginfo"].add_text("note", "x" * 1_500_000, zip="compressed" in said)
    (tmp_path / "a.png").write_bytes(encode(Image.fromarray(NOISE), "PNG", exif=exif(6), **options))
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), np.rot90(NOISE, -1))


def test_what_a_file_says_besides_its_pixels_may_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a"
    broken = chunk(b"tEXt", b"note\0hello")[:-1] + b"?"
    jpegs = (segment(marker, data) for marker, data in ((0xE0, b"JFIF\0"), (0xEE, b"Adobe"), (0xE2, b"ICC_PROFILE\0")))
    expected = np.asarray(Image.open(io.BytesIO(JPEG)))
    made = Image.Exif()
    made[0x010F] = "maker"
    avif = encode(Image.fromarray(NOISE), "AVIF", exif=made)
    at = avif.index(b"MM\0*")
    for content, pixels in (
        (avif[:at] + b"XXXX" + avif[at + 4 :], np.asarray(Image.open(io.BytesIO(avif)))),
        (PNG[:33] + broken + PNG[33:], NOISE),
        (PNG + b"behind the end", NOISE),
        (PNG[:-12], NOISE),  # without its end mark
        *((JPEG[:2] + each + JPEG[2:], expected) for each in jpegs),
    ):
        path.write_bytes(content)
        np.testing.assert_array_equal(read_rgb(path), pixels)


@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_blocks": 2}],
    ids=["plain", "in passes", "full colour", "with restarts"],
)
def test_a_jpeg_that_lacks_only_its_end_mark_is_read_and_one_that_lacks_pixels_is_not(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    path = tmp_path / "a.jpg"
    content = encode(Image.fromarray(NOISE), "JPEG", **options)
    expected = np.asarray(Image.open(io.BytesIO(content)))
    for missing in (1, 2):
        path.write_bytes(content[:-missing])
        np.testing.assert_array_equal(read_rgb(path), expected)
        with Image.open(path) as opened:
            np.testing.assert_array_equal(opened_picture(opened).pixels, expected)
    for missing in (*range(3, 12), *range(12, len(content) - 20, 31)):
        assert refused(path, content[:-missing])[0] == "truncated", missing


@pytest.fixture(scope="module")
def phone_photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """108 megapixels, on its side, with a red corner."""
    path = tmp_path_factory.mktemp("phone") / "a.jpg"
    photo = Image.new("RGB", (12_000, 9_000), (40, 60, 80))
    photo.paste((250, 10, 10), (0, 0, 3_000, 3_000))
    photo.save(path, exif=exif(6))
    return path


def test_a_phones_108_megapixels_are_read_reduced(phone_photo: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = read_picture(phone_photo)
    assert found[1:] == (2, 9_000, 12_000)
    assert found.pixels.shape == (6_000, 4_500, 3)
    np.testing.assert_allclose(found.pixels[100, -100], (250, 10, 10), atol=6)
    np.testing.assert_allclose(found.pixels[-100, 100], (40, 60, 80), atol=6)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**19  # KiB; in full it takes 0.6 GB and more
    with warnings.catch_warnings(action="ignore"), Image.open(phone_photo) as opened:
        assert opened_picture(opened)[1:] == found[1:]
        assert opened.size == (12_000, 9_000)
    with pytest.raises(UnreadableImageError, match=r"^too many pixels: at most 67 million are read$"):
        read_rgb(phone_photo)  # frames to train on keep their size


def test_the_limits_of_large_jpegs(tmp_path: Path) -> None:
    """The headers of larger ones: a decoder would fail on what follows, if it came to that."""
    content = encode(Image.fromarray(NOISE), "JPEG")
    at = content.index(b"\xff\xc0") + 5
    in_passes = encode(Image.fromarray(NOISE), "JPEG", progressive=True)
    progressive = in_passes.index(b"\xff\xc2") + 5
    for plain, place, (height, width), words in (
        (content, at, (16_384, 16_385), "too many pixels: at most 268 million are read"),
        (in_passes, progressive, (12_240, 16_320), "too many pixels: at most 134 million are read"),
    ):
        large = plain[:place] + struct.pack(">HH", height, width) + plain[place + 4 :]
        (tmp_path / "a.jpg").write_bytes(large)
        with pytest.raises(UnreadableImageError) as caught:
            read_picture(tmp_path / "a.jpg")
        assert str(caught.value) == words


def test_an_image_that_was_closed_says_so(tmp_path: Path) -> None:
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as left:
        pass
    closed = Image.open(tmp_path / "a.png")
    closed.close()
    for image in (left, closed):
        with pytest.raises(UnreadableImageError, match=r"^an image that was closed: give it while it is open"):
            opened_picture(image)
