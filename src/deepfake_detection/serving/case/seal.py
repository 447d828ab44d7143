"""Seals a case file: SHA-256 sums of all that it rests on, and a signature of them by ssh-keygen."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing
from deepfake_detection.common.text import one_line, printable

SUMS, SIGNATURE = ".sha256", ".sha256.sig"  # in place of the page's .html
NAMESPACE = "deepfake-detect"  # a signature for another purpose is not valid for this one
_SUM = re.compile(r"(\\?)([0-9a-f]{64})  (.+)")


class Signature(NamedTuple):
    """Whether the sums are as they were signed, and by whom.

    "unknown" is a valid signature by a key that nobody vouches for; "none" is no signature.
    """

    state: Literal["good", "unknown", "bad", "none"]
    words: str


def write_sums(path: Path, sums: Iterable[tuple[Path, str]]) -> None:
    """Writes files and their SHA-256 digests as `sha256sum -c` reads them in the folder of ``path``.

    What is below that folder has a name relative to it, so that the folder can be moved. A signature of what was there
    before is removed. Raises OSError if that fails.
    """
    folder = Path(os.path.abspath(path.parent))  # noqa: PTH100  resolve would follow links
    path.with_suffix(SIGNATURE).unlink(missing_ok=True)
    with replacing(path) as (part,):
        lines = [_line(digest, folder, file) for file, digest in sums]
        part.write_bytes(b"".join(map(os.fsencode, lines)))


def read_sums(path: Path) -> list[tuple[Path, str]]:
    """What ``write_sums`` wrote. Raises UserError if it is not there, or not written so."""
    try:
        lines = os.fsdecode(path.read_bytes()).split("\n")
    except FileNotFoundError:
        raise UserError(f"{path}: not there; `deepfake-detect report` writes it beside a case file") from None
    sums = []
    for number, line in enumerate(filter(None, lines), 1):
        if not (found := _SUM.fullmatch(line)):
            raise UserError(f"{path}: line {number} is not a SHA-256 sum and a name: the file was changed")
        name = found[3] if not found[1] else re.sub(r"\\(.)", lambda each: _unescaped(each[1]), found[3])
        sums.append((path.parent / name, found[2]))
    return sums


def require_signer(key: Path) -> None:
    """Raises UserError if nothing can be signed with ``key``, before minutes of work."""
    if not shutil.which("ssh-keygen"):
        raise UserError(
            "--sign: ssh-keygen is not there; install OpenSSH, or sign the file of sums with another program"
        )
    if not key.is_file():
        raise UserError(f"--sign {key}: no such file; `ssh-keygen -t ed25519` makes a key")


def sign(sums: Path, key: Path) -> None:
    """Writes the signature beside the sums. Raises UserError if ssh-keygen refuses the key, which it may ask for."""
    done = _ssh_keygen(sums, "sign", "-n", NAMESPACE, "-f", str(key))
    if done.returncode:
        raise UserError(f"--sign {key}: the case file is there and not signed: {_said(done)}")
    with replacing(sums.with_suffix(SIGNATURE)) as (part,):
        part.write_bytes(done.stdout)


def signature_of(sums: Path, allowed: Path | None) -> Signature:
    """The signature of the sums. ``allowed`` is a file of keys and names, as `man ssh-keygen` has it."""
    path = sums.with_suffix(SIGNATURE)
    if not path.exists():
        return Signature("none", "whoever changes a file can write its sum anew")
    if not shutil.which("ssh-keygen"):
        raise UserError(f"{path}: ssh-keygen checks it, and is not there; install OpenSSH")
    done = _ssh_keygen(sums, "check-novalidate", "-n", NAMESPACE, "-s", str(path))
    if done.returncode:
        return Signature("bad", _said(done))
    key = os.fsdecode(done.stdout).strip().rpartition(" with ")[2]
    if allowed is None:
        return Signature("unknown", f"valid, by {key}; --allowed-signers says whose it is")
    names = os.fsdecode(_ssh_keygen(sums, "find-principals", "-f", str(allowed), "-s", str(path)).stdout).split("\n")
    done = _ssh_keygen(sums, "verify", "-n", NAMESPACE, "-f", str(allowed), "-I", names[0], "-s", str(path))
    if done.returncode:
        return Signature("bad", f"valid, by {key}, whom {allowed} does not name")
    return Signature("good", f"by {printable(names[0])}, {key}")


def _line(digest: str, folder: Path, file: Path) -> str:
    whole = Path(os.path.abspath(file))  # noqa: PTH100
    name = str(whole.relative_to(folder) if whole.is_relative_to(folder) else whole)
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return "\\" * (escaped != name) + f"{digest}  {escaped}\n"


def _unescaped(letter: str) -> str:
    return {"n": "\n", "r": "\r"}.get(letter, letter)


def _ssh_keygen(sums: Path, action: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    with sums.open("rb") as content:
        return subprocess.run(["ssh-keygen", "-Y", action, *options], stdin=content, capture_output=True, check=False)  # noqa: S603, S607


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    return printable(one_line(os.fsdecode(done.stderr).replace("@", "")))[-300:]
