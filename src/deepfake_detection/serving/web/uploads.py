"""Receives uploaded files, within limits, and says in one sentence why they are refused."""

import shutil
from pathlib import Path

import anyio
from anyio import to_thread
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from deepfake_detection.serving.words import shortened

UPLOAD_SECONDS = 120.0
OVERHEAD = 2**16  # bytes of a form besides its file
OTHERS = 100  # fields of a form besides its file, which are passed over
FEW = 5  # fields that a message names
FORM = "multipart/form-data"


class RefusedError(Exception):
    """Why an upload gets no result: an HTTP status, a sentence, and the name of the file if that is known.

    ``early`` is true if the upload may still be arriving.
    """

    def __init__(self, status: int, words: str, name: str = "", early: bool = False) -> None:
        super().__init__(words)
        self.status, self.words, self.name, self.early = status, words, name, early


class _TooLargeError(Exception):
    pass


async def receive_upload(
    request: Request, folder: Path, max_bytes: int, most: int, raw: bool
) -> list[tuple[Path, str]]:
    """Writes up to ``most`` files that come in a form, or if ``raw`` may be one as the body itself, to ``folder``.

    Returns their paths there and their names, shortened. Raises RefusedError if they are together larger than
    ``max_bytes``, too slow, or not there. They are never in memory as a whole.
    """
    what = "The file is" if most == 1 else "The files are together"
    too_large = f"{what} larger than {max_bytes // 10**6} MB, which is this server's limit (--max-mb)."
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > max_bytes + OVERHEAD:
        raise RefusedError(413, too_large, early=True)
    form = request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM
    counted = Request(request.scope, _limited(request.receive, max_bytes + OVERHEAD))
    try:
        with anyio.fail_after(UPLOAD_SECONDS):
            files = await (_from_form(counted, folder, most) if form or not raw else _from_body(counted, folder))
    except _TooLargeError:
        raise RefusedError(413, too_large, early=True) from None
    except TimeoutError:
        raise RefusedError(408, "The file did not arrive in two minutes.", early=True) from None
    except HTTPException as error:  # from Starlette, about the form
        raise RefusedError(400, f"The form cannot be read: {error.detail.rstrip('.')}.", early=True) from None
    if sum(path.stat().st_size for path, _ in files) > max_bytes:
        raise RefusedError(413, too_large)
    return [(path, shortened(name)) for path, name in files]


async def _from_form(request: Request, folder: Path, most: int) -> list[tuple[Path, str]]:
    sent = await request.form(max_files=most + OTHERS, max_fields=OTHERS, max_part_size=OVERHEAD)
    try:
        fields = sent.getlist("file")
        chosen = [each for each in fields if isinstance(each, UploadFile) and (each.filename or each.size)]
        if not chosen:
            raise RefusedError(400, _what_is_missing(sent, fields))
        if len(chosen) > most:
            count = "one file" if most == 1 else f"one to {most} files"
            raise RefusedError(400, f"The field named file has {len(chosen)} files. Send {count}.")
        paths = [folder / f"upload{number}" for number in range(len(chosen))]
        for upload, path in zip(chosen, paths, strict=True):
            await to_thread.run_sync(_copy, upload, path)
        return [(path, upload.filename or "") for upload, path in zip(chosen, paths, strict=True)]
    finally:
        await sent.close()


def _what_is_missing(sent: FormData, fields: list[UploadFile | str]) -> str:
    if "file" not in sent:
        names = ", ".join(shortened(name) or '""' for name in list(sent)[:FEW]) or "no field"
        return f"The form has no field named file. It has {names}."
    if any(isinstance(each, str) and each for each in fields):
        return "The field named file holds text. Send the picture or video with a file name, as forms send files."
    return "No file was chosen. Choose a picture or a video first."


async def _from_body(request: Request, folder: Path) -> list[tuple[Path, str]]:
    path = folder / "upload"
    async with await anyio.open_file(path, "wb") as file:
        async for part in request.stream():
            await file.write(part)
    if not path.stat().st_size:
        raise RefusedError(400, "Nothing was sent. Send a picture or a video as the body, or in a form.")
    return [(path, "")]


def _limited(receive: Receive, most: int) -> Receive:
    left = most

    async def counted() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise _TooLargeError
        return message

    return counted


def _copy(upload: UploadFile, path: Path) -> None:
    with path.open("wb") as file:
        shutil.copyfileobj(upload.file, file)
