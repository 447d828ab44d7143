"""Fetches a data set from Kaggle.

kagglehub does everything except unpacking, which archives.py does. Its cache under KAGGLEHUB_CACHE
(~/.cache/kagglehub) keeps what has arrived, resumes a partial archive and skips a complete one. This module
adds two things. Every failure that a user can fix becomes a one-line error. No broken file stays in the
cache, where it would make every later call fail too.

kagglehub 1.0 sends nothing except the requests of the download, whose user agent names its version. It
writes a log file only if KAGGLE_LOGGING_ENABLED is set. So there is nothing to turn off.
"""

import errno
import json
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import kagglehub
import kagglehub.http_resolver
import requests
from kagglehub.cache import get_cached_archive_path
from kagglehub.config import get_kaggle_credentials
from kagglehub.exceptions import DataCorruptionError
from kagglehub.handle import parse_dataset_handle
from kagglehub.tracker import get_accessed_datasources

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.text import one_line
from deepfake_detection.sources.archives import unpack

CREDENTIALS = (
    "a token from https://www.kaggle.com/settings in the environment variable KAGGLE_API_TOKEN "
    "or in the file ~/.kaggle/access_token"
)
# Raised for a wrong checksum, for bytes that are not an archive, and for a damaged zip (found by damaging some).
# kagglehub has its own exception type only for the checksum.
BROKEN_ARCHIVE = (
    DataCorruptionError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,
    ValueError,
)


def download_kaggle(handle: str) -> tuple[Path, int]:
    """Downloads a data set, `owner/name` (its newest version) or `owner/name/versions/3`.

    Returns its folder in kagglehub's cache, and its version. What is complete in the cache is not
    downloaded again, and an interrupted download continues where it stopped.

    Raises UserError, in one line, for a malformed handle, unreadable credentials, an HTTP error from Kaggle
    (401, 403, 404 and others), and a connection that fails or breaks off. Also raises it for an archive that is
    broken, does not match its checksum or holds what ``archives.unpack`` rejects, and for a disk that is full or
    not writable. It is then safe to repeat the call: a partial archive is resumed, a broken one downloaded again.
    """
    try:
        dataset = parse_dataset_handle(handle)
    except ValueError:
        raise UserError(f"kaggle: {handle!r} is neither owner/name nor owner/name/versions/3") from None
    try:
        get_kaggle_credentials()
    except (ValueError, OSError) as error:
        # An OSError's text contains the file name: the token itself, if kagglehub takes a long one for a path.
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"cannot read the Kaggle credentials ({reason}): give {CREDENTIALS}") from None

    cached = Path(get_cached_archive_path(dataset)).parent
    _remove_stale_markers(cached)
    try:
        with _safe_unpacking():
            path = Path(kagglehub.dataset_download(handle))
    except json.JSONDecodeError:
        raise UserError(
            f"what answers in place of Kaggle for {handle} is not its API: look for a proxy or a login page in between"
        ) from None
    except requests.HTTPError as error:
        raise UserError(_http_error_message(handle, dataset.to_url().partition("/versions/")[0], error)) from None
    except requests.RequestException as error:
        raise UserError(
            f"the connection to Kaggle failed for {handle} ({_cause(error)}): check the network and its proxy, "
            "then run this again, it keeps what has arrived"
        ) from None
    except UserError as error:
        _discard_unfinished(cached)
        raise UserError(
            f"the archive that came for {handle} is not safe to unpack and was deleted ({error}): set kaggle to "
            "another version, and tell the data set's owner"
        ) from None
    except (*BROKEN_ARCHIVE, OSError) as error:
        # A damaged archive can also raise OSError: EINVAL for a seek to a negative position, no errno from gzip or bz2.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise UserError(
                f"cannot write {handle} under {cached} ({error.strerror}): make room for the archive and its "
                "contents there, or set KAGGLEHUB_CACHE to a folder on another disk, then run this again"
            ) from None
        _discard_unfinished(cached)
        raise UserError(
            f"the archive that came for {handle} is broken and was deleted ({one_line(error)}): "
            "run this again to download it afresh; if it stays so, set kaggle to another version"
        ) from None
    return path, get_accessed_datasources()[dataset]


@contextmanager
def _safe_unpacking() -> Iterator[None]:
    # kagglehub 1.0 unpacks as part of its download, with no way to check the archive first. It would not stop an
    # archive that grows without limit. If a later version lacks this function, the next line fails before unpacking.
    original = kagglehub.http_resolver._extract_archive
    kagglehub.http_resolver._extract_archive = lambda archive, folder: unpack(Path(archive), Path(folder))
    try:
        yield
    finally:
        kagglehub.http_resolver._extract_archive = original


def _remove_stale_markers(cached: Path) -> None:
    # kagglehub takes a version as complete if its marker and its folder exist. The marker stays when the folder is
    # deleted by hand. If a later extraction is killed, its partial folder would then count as complete.
    for marker in cached.glob("*.complete"):
        if not (cached / "versions" / marker.stem).is_dir():
            marker.unlink()


def _discard_unfinished(cached: Path) -> None:
    # kagglehub would take the broken archive for a complete download, or append to it. It also unpacks over
    # existing files. It deletes an archive before it marks the version as complete, so no version here is complete.
    for archive in cached.glob("*.archive"):
        shutil.rmtree(cached / "versions" / archive.stem, ignore_errors=True)
        archive.unlink()


def _http_error_message(handle: str, url: str, error: requests.HTTPError) -> str:
    status = None if error.response is None else error.response.status_code
    if status == 401:
        return f"Kaggle does not accept your credentials for {handle} (401): give {CREDENTIALS}"
    if status == 403:
        return (
            f"Kaggle refuses {handle} (403): open {url}, check that it is the data set that is meant, "
            f"accept its licence there, and give {CREDENTIALS}"
        )
    if status == 404:
        return f"Kaggle has no {handle} (404): set kaggle to an owner/name and a version that {url} shows"
    answer = one_line(error).partition(" for url: ")[0]  # the rest is the URL, which is signed
    return f"Kaggle does not serve {handle} ({answer}): run this again later, it keeps what has arrived"


def _cause(error: requests.RequestException) -> str:
    # urllib3's reason (refused, no such host, certificate) without the URL, which is signed.
    cause = error.args[0] if error.args else error
    return one_line(getattr(cause, "reason", cause))
