"""Checks the contents of a downloaded archive, then unpacks it."""

import errno
import os
import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing

MAX_MEMBERS = 1_000_000
# Pictures hardly shrink, and lists of their names no more than this. Below UNCHECKED_BYTES the ratio is ignored.
MAX_RATIO, UNCHECKED_BYTES = 100, 1 << 30


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks a zip archive of plain files and folders into ``folder``, all of it or nothing.

    Raises UserError for a member that would be outside ``folder`` or is a link or a device, for more than
    MAX_MEMBERS members, and for contents of more than UNCHECKED_BYTES and more than MAX_RATIO times the archive's
    size. Raises OSError (ENOSPC) if the disk has too little room, and BadZipFile and others if the file is not a
    valid zip archive. Tar is not supported: Kaggle serves data sets as zip, and a malicious tar file can make
    Python 3.11's tarfile loop forever or fill the memory.
    """
    with zipfile.ZipFile(archive) as content:
        members = content.infolist()
        # zipfile never unpacks more than the declared size of a member
        total = sum(member.file_size for member in members)
        for member in members:
            if problem := _problem(member):
                raise UserError(f"{problem}: {member.filename!r}")
        if len(members) > MAX_MEMBERS:
            raise UserError(f"{len(members):,} members, more than {MAX_MEMBERS:,}")
        if total > max(UNCHECKED_BYTES, MAX_RATIO * archive.stat().st_size):
            raise UserError(f"it would grow to {total:,} bytes, more than {MAX_RATIO} times its size")
        if total > shutil.disk_usage(archive.parent).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
        with replacing(folder) as (part,):
            part.mkdir()
            content.extractall(part)


def _problem(member: zipfile.ZipInfo) -> str:
    for path in (PurePosixPath(member.filename), PureWindowsPath(member.filename)):
        if path.anchor or ".." in path.parts:
            return "a member would lie outside the folder"
    kind = stat.S_IFMT(member.external_attr >> 16)  # 0 if the archive does not store the file type
    return "" if kind in (0, stat.S_IFREG, stat.S_IFDIR) else "a member is a link or a device"
