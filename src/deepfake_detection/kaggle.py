"""Fetches a data set from Kaggle.

kagglehub does the work but for unpacking, which archives.py does: its cache under KAGGLEHUB_CACHE
(~/.cache/kagglehub) keeps what has arrived, continues a partial archive and skips a finished one. Added
here: every failure that a user can mend in one line, and no broken leftover in that cache that would fail
every later call as well.

kagglehub 1.0 reports nothing home beyond the download's own requests, whose user agent names its version,
and writes a log file only if KAGGLE_LOGGING_ENABLED is set: there is nothing to turn off.
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

from deepfake_detection.archives import unpack
from deepfake_detection.errors import UserError

CREDENTIALS = (
    "a token from https://www.kaggle.com/settings in the environment variable KAGGLE_API_TOKEN "
    "or in the file ~/.kaggle/access_token"
)
# What a wrong checksum, bytes that are no archive and a damaged zip raise (found by damaging some):
# kagglehub has a type of its own only for the checksum.
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

    Returns the folder in kagglehub's cache where it lies, and its version. What is complete in the cache
    is not downloaded again, and an interrupted download goes on where it stopped.

    Raises UserError, in one line, for a malformed handle, unreadable credentials, a refusal by Kaggle
    (401, 403, 404 and the rest), a connection that fails or breaks off, an archive that is broken, differs
    from its checksum or holds what ``archives.unpack`` refuses, and a disk that is full or cannot be
    written. The same call again is then safe: it continues a partial archive and starts a broken one afresh.
    """
    try:
        dataset = parse_dataset_handle(handle)
    except ValueError:
        raise UserError(f"data.kaggle: {handle!r} is neither owner/name nor owner/name/versions/3") from None
    try:
        get_kaggle_credentials()
    except (ValueError, OSError) as error:
        # An OSError's text holds the file name, which is the token itself when kagglehub takes a long one for a path.
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"cannot read the Kaggle credentials ({reason}): give {CREDENTIALS}") from None

    cached = Path(get_cached_archive_path(dataset)).parent
    _unmark_missing(cached)
    try:
        with _unpacking_with_care():
            path = Path(kagglehub.dataset_download(handle))
    except json.JSONDecodeError:
        raise UserError(
            f"what answers in place of Kaggle for {handle} is not its API: look for a proxy or a login page in between"
        ) from None
    except requests.HTTPError as error:
        raise UserError(_refusal(handle, dataset.to_url().partition("/versions/")[0], error)) from None
    except requests.RequestException as error:
        raise UserError(
            f"the connection to Kaggle failed for {handle} ({_cause(error)}): check the network and its proxy, "
            "then run this again, it keeps what has arrived"
        ) from None
    except UserError as error:
        _discard_unfinished(cached)
        raise UserError(
            f"the archive that came for {handle} is not safe to unpack and was deleted ({error}): set data.kaggle to "
            "another version, and tell the data set's owner"
        ) from None
    except (*BROKEN_ARCHIVE, OSError) as error:
        # A damaged archive also shows as a seek to a negative place, or as gzip's and bz2's OSError without a number.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise UserError(
                f"cannot write {handle} under {cached} ({error.strerror}): make room for the archive and its "
                "contents there, or set KAGGLEHUB_CACHE to a folder on another disk, then run this again"
            ) from None
        _discard_unfinished(cached)
        raise UserError(
            f"the archive that came for {handle} is broken and was deleted ({_one_line(error)}): "
            "run this again to download it afresh; if it stays so, set data.kaggle to another version"
        ) from None
    return path, get_accessed_datasources()[dataset]


@contextmanager
def _unpacking_with_care() -> Iterator[None]:
    # kagglehub 1.0 unpacks within its download and has no place for a look into the archive before that: it stops
    # none that grows without bounds. Should it lose this function, the next line fails and nothing is unpacked.
    theirs = kagglehub.http_resolver._extract_archive
    kagglehub.http_resolver._extract_archive = lambda archive, folder: unpack(Path(archive), Path(folder))
    try:
        yield
    finally:
        kagglehub.http_resolver._extract_archive = theirs


def _unmark_missing(cached: Path) -> None:
    # kagglehub goes by the marker and the folder's existence, and keeps the marker of a folder that was deleted
    # by hand: an extraction killed after that would count as complete.
    for marker in cached.glob("*.complete"):
        if not (cached / "versions" / marker.stem).is_dir():
            marker.unlink()


def _discard_unfinished(cached: Path) -> None:
    # kagglehub would take the broken archive for a finished download, or append to it; and it unpacks over
    # whatever lies there. An archive is deleted before its version is marked complete, so none of these is.
    for archive in cached.glob("*.archive"):
        shutil.rmtree(cached / "versions" / archive.stem, ignore_errors=True)
        archive.unlink()


def _refusal(handle: str, url: str, error: requests.HTTPError) -> str:
    status = None if error.response is None else error.response.status_code
    if status == 401:
        return f"Kaggle does not accept your credentials for {handle} (401): give {CREDENTIALS}"
    if status == 403:
        return (
            f"Kaggle refuses {handle} (403): open {url}, check that it is the data set that data.kaggle means, "
            f"accept its licence there, and give {CREDENTIALS}"
        )
    if status == 404:
        return f"Kaggle has no {handle} (404): set data.kaggle to an owner/name and a version that {url} shows"
    answer = _one_line(error).partition(" for url: ")[0]  # the rest is the address, which is signed
    return f"Kaggle does not serve {handle} ({answer}): run this again later, it keeps what has arrived"


def _cause(error: requests.RequestException) -> str:
    # urllib3's reason (refused, no such host, certificate) without the address, which is signed.
    cause = error.args[0] if error.args else error
    return _one_line(getattr(cause, "reason", cause))


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
