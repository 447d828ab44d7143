"""Receives uploaded files, within limits, and says in one sentence why they are refused."""

import shutil
import sys
import tempfile
from pathlib import Path

import anyio
from anyio import to_thread
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Message, Receive, Scope, Send

from deepfake_detection.common.text import system_words
from deepfake_detection.serving.people import NoSpaceError
from deepfake_detection.serving.words import shortened

UPLOAD_SECONDS = 120.0
LINGER_SECONDS, QUIET_SECONDS = 10.0, 1.0  # while a refused upload is read: in all, and without a byte
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


def early(response: Response) -> "_EarlyResponse":
    """The same response, for sending while the upload is still arriving."""
    sent = _EarlyResponse(response.body, response.status_code, media_type=response.media_type)
    sent.headers.update(response.headers)
    return sent


class _EarlyResponse(HTMLResponse):
    """An answer that is sent while the upload is still arriving. The rest of the upload is read and discarded.

    If the connection were closed earlier, a browser would show a connection error instead of the answer. The answer has
    no length, so that it ends when the upload does: a proxy such as Traefik stops sending when it has an answer whole,
    and its browser would see an error, too. nginx stops at once, and waits for QUIET_SECONDS.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers["connection"] = "close"
        del self.headers["content-length"]
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with anyio.move_on_after(LINGER_SECONDS):
            more = True
            while more:
                more = False
                with anyio.move_on_after(QUIET_SECONDS):
                    more = bool((await receive()).get("more_body"))
        await send({"type": "http.response.body", "body": b""})


def no_room(error: OSError | NoSpaceError) -> RefusedError:
    """Why a file cannot be kept while it is judged. The folder is in the log alone, because it is not the sender's."""
    reason = system_words(error) if isinstance(error, OSError) else "no space for the frames of a video"
    print(f"error: a file was refused: {tempfile.gettempdir()}: {reason}", file=sys.stderr, flush=True)
    return RefusedError(
        507, f"This server cannot keep the file while it is judged: {reason}. Try again later.", early=True
    )


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
