"""The real kagglehub client against a Kaggle of our own on the loopback."""

import io
import shutil
import stat
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.sources import kaggle_download
from tests.support.disks import file_size_limit
from tests.support.kaggle_server import Kaggle, zipped

MIB = 1 << 20
# Larger than the 1 MiB chunks in which kagglehub writes: less than one is lost when the connection breaks.
NOISE = np.random.default_rng(0)
LAYOUT = {
    f"FF++C32-Frames/{category}/{video}_f{frame}.jpg": NOISE.bytes(350_000)
    for category, video in (("Original", "000"), ("Deepfakes", "000_003"))
    for frame in range(3)
} | {f"CSVs/{category}.csv": b"filename,label\n" for category in ("Original", "Deepfakes")}


ARCHIVE = zipped(LAYOUT)
DAMAGED = zipped({"stray.txt": b"not of this data set"} | LAYOUT).replace(next(iter(LAYOUT.values()))[:100], bytes(100))


def download_kaggle(handle: str) -> tuple[Path, int]:
    """In a thread of its own, whose stack is short: kagglehub looks up the module of each frame of the stack."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(kaggle_download.download_kaggle, handle).result()


@pytest.fixture
def kaggle(kaggle_server: Kaggle) -> Kaggle:
    kaggle_server.archive = kaggle_server.md5_of = ARCHIVE
    return kaggle_server


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def failure(*parts: str, handle: str = "owner/name") -> str:
    """The one line that a download ends with, which has all of ``parts``."""
    with pytest.raises(UserError) as caught:
        download_kaggle(handle)
    message = str(caught.value)
    assert "\n" not in message
    assert [part for part in parts if part not in message] == []
    return message


@pytest.mark.parametrize(("handle", "wanted"), [("owner/name", 7), ("owner/name/versions/3", 3)])
def test_takes_the_pinned_version_or_the_newest(kaggle: Kaggle, tmp_path: Path, handle: str, wanted: int) -> None:
    folder, version = download_kaggle(handle)
    assert kaggle.versions == [version] == [wanted]
    assert folder.is_relative_to(tmp_path / "cache")
    assert files_in(folder) == LAYOUT


def test_downloads_once_and_needs_no_network_when_pinned(kaggle: Kaggle, monkeypatch: pytest.MonkeyPatch) -> None:
    first = download_kaggle("owner/name")
    assert download_kaggle("owner/name") == download_kaggle("owner/name/versions/7") == first
    assert len(kaggle.downloads) == 1
    kaggle.newest = 8
    assert download_kaggle("owner/name")[1] == 8
    assert len(kaggle.downloads) == 2
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert download_kaggle("owner/name/versions/7") == first
    assert "/api/" not in failure("check the network", handle="owner/name/versions/3")


def test_sends_the_token_and_never_shows_it(kaggle: Kaggle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", "secret")
    download_kaggle("owner/name")
    assert kaggle.authorizations == {"Bearer secret"}
    monkeypatch.setenv("KAGGLE_API_TOKEN", "secret" * 100)
    assert "secret" not in failure(handle="owner/name/versions/3")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, ["owner/name", "credentials", "KAGGLE_API_TOKEN", "~/.kaggle"]),
        (403, ["owner/name", "/datasets/owner/name,", "licence", "KAGGLE_API_TOKEN", "~/.kaggle"]),
        (404, ["owner/name/versions/3", "set kaggle", "/datasets/owner/name "]),
        (503, ["owner/name", "later", "refused"]),
    ],
)
def test_refusals_say_what_to_do(kaggle: Kaggle, status: int, expected: list[str]) -> None:
    kaggle.refuses = status
    failure(*expected, handle="owner/name/versions/3")
    kaggle.refuses = None
    assert files_in(download_kaggle("owner/name/versions/3")[0]) == LAYOUT


def test_a_signed_address_is_never_shown(kaggle: Kaggle) -> None:
    kaggle.storage_refuses = 503
    assert "hidden" not in failure("503")


@pytest.mark.parametrize("handle", ["owner/nmae", "name", "owner/name/versions/newest"])
def test_a_handle_that_is_none_names_the_key(kaggle: Kaggle, handle: str) -> None:
    failure(handle, "kaggle", handle=handle)


@pytest.mark.parametrize("content", ["{", '{"username": "owner"}'])
def test_an_unreadable_credentials_file(kaggle: Kaggle, tmp_path: Path, content: str) -> None:
    path = tmp_path / "home" / ".kaggle" / "kaggle.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    failure(str(path), "KAGGLE_API_TOKEN")


def test_a_login_page_instead_of_kaggle(kaggle: Kaggle) -> None:
    kaggle.page = b"<html>Log in</html>"
    failure("login page")


@pytest.mark.parametrize(("resumable", "asked"), [(True, [None, None, f"bytes={MIB}-"]), (False, [None, None])])
def test_a_truncated_archive_is_continued(kaggle: Kaggle, resumable: bool, asked: list[str | None]) -> None:
    kaggle.resumable = resumable
    kaggle.sends = MIB + MIB // 2
    failure("connection")
    kaggle.sends = None
    assert files_in(download_kaggle("owner/name")[0]) == LAYOUT
    assert kaggle.downloads == asked


@pytest.mark.parametrize("md5_of", [ARCHIVE, None])
def test_a_refused_continuation_does_not_stay(kaggle: Kaggle, md5_of: bytes | None) -> None:
    # kagglehub appends whatever answers its Range request, here an error page, to the archive.
    kaggle.md5_of = md5_of
    kaggle.sends = MIB + MIB // 2
    failure()
    kaggle.sends = None
    kaggle.resumes_with = b"try again later"
    failure("broken")
    assert files_in(download_kaggle("owner/name")[0]) == LAYOUT


def test_a_wrong_checksum_is_refused(kaggle: Kaggle) -> None:
    kaggle.archive = zipped(LAYOUT | {"CSVs/Original.csv": b"altered\n"})
    failure("owner/name", "checksum")
    kaggle.archive = ARCHIVE
    assert files_in(download_kaggle("owner/name")[0]) == LAYOUT


@pytest.mark.parametrize(("archive", "reason"), [(b"<html>busy</html>", "not a zip file"), (DAMAGED, "Bad CRC-32")])
def test_a_broken_archive_leaves_nothing(kaggle: Kaggle, archive: bytes, reason: str) -> None:
    kaggle.archive = archive
    kaggle.md5_of = None
    failure("owner/name", reason)
    kaggle.archive = ARCHIVE
    assert files_in(download_kaggle("owner/name")[0]) == LAYOUT


def test_a_half_unpacked_folder_is_not_complete(kaggle: Kaggle) -> None:
    folder, _ = download_kaggle("owner/name")
    shutil.rmtree(folder)
    kaggle.sends = MIB
    failure()
    folder.mkdir()  # as an unpacking that was killed leaves it
    kaggle.sends = None
    assert files_in(download_kaggle("owner/name")[0]) == LAYOUT


def test_a_full_disk(kaggle: Kaggle, tmp_path: Path) -> None:
    with file_size_limit(MIB // 2):
        failure(str(tmp_path / "cache"), "KAGGLEHUB_CACHE")
    assert files_in(download_kaggle("owner/name")[0]) == LAYOUT


def with_member(name: str, kind: int = stat.S_IFREG, content: bytes = b"x", declared: int | None = None) -> bytes:
    """The data set with one more member, that its list of members may say to be ``declared`` bytes long."""
    buffer = io.BytesIO(ARCHIVE)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        member = zipfile.ZipInfo(name)
        member.filename = name  # ZipInfo cleans it on some systems
        member.external_attr = (kind | 0o644) << 16
        archive.writestr(member, content, zipfile.ZIP_DEFLATED)
        if declared is not None:
            member.file_size = declared
    return buffer.getvalue()


def tarred(member: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    return buffer.getvalue()


OUTSIDE, LINK, BOMB = "would lie outside the folder", "is a link or a device", "more than 100 times its size"


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (with_member("../../../../../evil"), OUTSIDE),
        (with_member("/tmp/evil"), OUTSIDE),  # noqa: S108, refused
        (with_member(r"..\..\evil"), OUTSIDE),
        (with_member(r"C:\evil"), OUTSIDE),
        (with_member("evil", stat.S_IFLNK, b"/etc/passwd"), LINK),
        (with_member("evil", stat.S_IFIFO), LINK),
        (with_member("evil", content=bytes(MIB), declared=1 << 40), BOMB),
        (with_member("evil", content=bytes(16 * MIB), declared=10), "is broken"),  # more than it says
        pytest.param(tarred(tarfile.TarInfo("../../../../../evil")), "is broken", id="tar"),  # its bytes hold the time
    ],
)
def test_an_unsafe_archive_is_refused_and_leaves_nothing(
    kaggle: Kaggle, tmp_path: Path, archive: bytes, reason: str
) -> None:
    kaggle.archive = kaggle.md5_of = archive
    failure("owner/name", reason, "deleted")
    assert files_in(tmp_path) == {}
    kaggle.archive = kaggle.md5_of = ARCHIVE
    assert files_in(download_kaggle("owner/name")[0]) == LAYOUT


def test_an_archive_that_does_not_fit_unpacked_stays_until_there_is_room(
    kaggle: Kaggle, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(small_disk))
    kaggle.archive = kaggle.md5_of = zipped({"a": bytes(MIB // 2), "b": bytes(MIB // 4)})
    failure("make room")
    (kept,) = files_in(small_disk).values()
    assert kept == kaggle.archive
