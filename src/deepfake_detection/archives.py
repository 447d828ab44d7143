"""Unpacks an archive from elsewhere, after a look into it."""

import errno
import os
import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath

from deepfake_detection.errors import UserError
from deepfake_detection.files import replacing

MAX_MEMBERS = 1_000_000
# pictures hardly shrink, lists of their names no more than this; below HARMLESS bytes it does not matter
MAX_RATIO, HARMLESS = 100, 1 << 30


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks a zip archive of plain files and folders into ``folder``, all of it or nothing.

    Raises UserError for a member that lies outside ``folder``, is a link or a device, for more than MAX_MEMBERS,
    and for more than HARMLESS bytes at more than MAX_RATIO times the size of the archive; OSError (ENOSPC) for
    more than the disk has room for; BadZipFile and others for what is no sound zip archive. No tar: Kaggle serves
    data sets as zip, and Python 3.11's tarfile can be made to loop for ever or to fill the memory.
    """
    with zipfile.ZipFile(archive) as content:
        members = content.infolist()
        # no more than its declared size is unpacked of a member
        total = sum(member.file_size for member in members)
        for member in members:
            if problem := _problem(member):
                raise UserError(f"{problem}: {member.filename!r}")
        if len(members) > MAX_MEMBERS:
            raise UserError(f"{len(members):,} members, more than {MAX_MEMBERS:,}")
        if total > max(HARMLESS, MAX_RATIO * archive.stat().st_size):
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
    kind = stat.S_IFMT(member.external_attr >> 16)  # 0 where the archive was made without
    return "" if kind in (0, stat.S_IFREG, stat.S_IFDIR) else "a member is a link or a device"
