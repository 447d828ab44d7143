"""The server of ``deepfake-detect serve``: one page that judges an uploaded picture or video and keeps nothing."""

import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from importlib.resources import files
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import uvicorn
from anyio import BrokenWorkerProcess, to_process, to_thread
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders, UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.text import printable
from deepfake_detection.media.images import UnreadableImageError
from deepfake_detection.network.sidecar import Sidecar, read_sidecar
from deepfake_detection.reporting.html import template_environment
from deepfake_detection.serving.web.view import judge, load, rounded_percent

PACKAGE = "deepfake_detection.serving.web"
WAITING = 4  # uploads that may wait while another is judged
UPLOAD_SECONDS = 120.0
LINGER_SECONDS = 10.0
OVERHEAD = 2**16  # bytes of a form besides its file

HEADERS = {
    # Style, script and form target must be of this origin. Pictures are inside the page, as data: URIs.
    "content-security-policy": "default-src 'none'; img-src data:; style-src 'self'; script-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",  # with no-referrer, a browser sends "null" as the origin even for this page
    "x-content-type-options": "nosniff",
}
REASONS = {
    "not a video in a known format": "It is no video that can be read.",
    "empty file": "The file is empty.",
    "truncated": "It breaks off: the file is not whole.",
    "damaged": "The file is damaged.",
    "too much work to decode": "It is built so that decoding it would take too long.",
}


class _TooLargeError(Exception):
    pass


class _EarlyResponse(HTMLResponse):
    """An answer that is sent while the upload is still arriving. The rest of the upload is read and discarded.

    If the connection were closed earlier, a browser would show a connection error instead of the answer.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers["connection"] = "close"
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with anyio.move_on_after(LINGER_SECONDS):
            while (await receive()).get("more_body"):
                pass
        await send({"type": "http.response.body", "body": b""})


class _OriginGuard:
    """Refuses requests to a name that is not this server's (DNS rebinding), and forms from other sites."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self.app, self.host = app, host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        answer: ASGIApp = self.app
        if not host_allowed(headers.get("host", ""), self.host):
            answer = _EarlyResponse("This address is not one of this server's names.", 421, media_type="text/plain")
        elif scope["method"] not in ("GET", "HEAD") and not _own_origin(headers):
            answer = _EarlyResponse("A form of another site cannot be sent here.", 403, media_type="text/plain")
        await answer(scope, receive, send_with_headers)


def host_allowed(header: str, bound: str) -> bool:
    """Whether a Host header names the server that listens on ``bound``.

    The names of loopback do, and so does ``bound`` itself. If the server listens on all addresses (0.0.0.0, ::), so do
    any IP address and the machine's name. Only a name can be rebound by an attacker, so an IP address is safe.
    """
    try:
        name = urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return False
    everywhere = bound in ("0.0.0.0", "::")  # noqa: S104  compared, not bound
    address = _address(name)
    if address is None:
        return name in ("localhost", bound.lower()) or (everywhere and name == socket.gethostname().lower())
    return address.is_loopback or everywhere or address == _address(bound)


def create_app(
    checkpoint: Path,
    sidecar: Sidecar,
    host: str,
    max_bytes: int,
    max_seconds: float,
    device: str | None = None,
    threshold: float | str | None = None,
) -> Starlette:
    """The page on ``/`` and the two files that it needs, for the checkpoint with this sidecar, judged on ``device``.

    A file of more than ``max_bytes`` is refused while it arrives. A judgement that takes longer than
    ``max_seconds`` is stopped. One file is judged at a time, WAITING more may wait, and others are refused.
    """
    template = template_environment(PACKAGE, autoescape=True).get_template("page.html.jinja")
    about = {
        "checkpoint": printable(checkpoint.name),
        "sidecar": sidecar,
        "max_mb": max_bytes // 10**6,
        "max_bytes": max_bytes,
    }
    about |= {"max_seconds": max_seconds, "threshold": rounded_percent(sidecar.threshold)}
    about |= {"prior": rounded_percent(sidecar.prior)}
    judging, active = anyio.Lock(), set[object]()

    def page(status: int = 200, error: str = "", early: bool = False, **shown: Any) -> Response:
        kind = _EarlyResponse if early else HTMLResponse
        return kind(template.render(about, error=error, **({"result": None, "name": ""} | shown)), status)

    async def form(_: Request) -> Response:
        return page()

    async def post(request: Request) -> Response:
        if len(active) > WAITING:
            busy = page(503, "Too many files are waiting to be judged. Try again in a minute.", early=True)
            busy.headers["retry-after"] = "60"
            return busy
        active.add(request)
        try:
            return await receive_upload(request)
        except ClientDisconnect:
            return Response()
        except anyio.get_cancelled_exc_class():  # only uvicorn cancels, and nothing is awaited after this
            return page(503, "The server is being ended.")
        finally:
            active.remove(request)

    async def receive_upload(request: Request) -> Response:
        too_large = f"The file is larger than {about['max_mb']} MB, which is this server's limit (--max-mb)."
        announced = request.headers.get("content-length", "0")
        if announced.isdecimal() and int(announced) > max_bytes + OVERHEAD:
            return page(413, too_large, early=True)
        counted = Request(request.scope, _limited(request.receive, max_bytes + OVERHEAD))
        try:
            with anyio.fail_after(UPLOAD_SECONDS):
                sent = await counted.form(max_files=1, max_fields=1, max_part_size=OVERHEAD)
        except _TooLargeError:
            return page(413, too_large, early=True)
        except TimeoutError:
            return page(408, "The file did not arrive in two minutes.", early=True)
        except HTTPException:
            return page(400, "What was sent is not this page's form with one file.", early=True)
        try:
            upload = sent.get("file")
            if not isinstance(upload, UploadFile) or not (upload.filename or upload.size):
                return page(400, "No file was chosen. Choose a picture or a video first.")
            if (upload.size or 0) > max_bytes:
                return page(413, too_large)
            with tempfile.TemporaryDirectory(prefix="deepfake-detect-") as folder:
                path = Path(folder) / "upload"
                await to_thread.run_sync(_copy, upload, path)
                return await judge_while_connected(request, path, _shortened(upload.filename or ""))
        finally:
            await sent.close()

    async def judge_while_connected(request: Request, path: Path, name: str) -> Response:
        """The answer of ``judged``, which is stopped if the client disconnects."""
        answer = Response()
        async with anyio.create_task_group() as group:

            async def stop_when_gone() -> None:
                while (await request.receive())["type"] != "http.disconnect":
                    pass
                group.cancel_scope.cancel()

            group.start_soon(stop_when_gone)
            answer = await judged(path, name)
            group.cancel_scope.cancel()
        return answer

    async def judged(path: Path, name: str) -> Response:
        async with judging:
            try:
                await to_process.run_sync(load, checkpoint, device, threshold)  # loads again if the process was killed
                with anyio.fail_after(max_seconds):
                    found = await to_process.run_sync(judge, checkpoint, path, device, threshold, cancellable=True)
            except UnreadableImageError as error:
                return page(422, _sentence(str(error)), name=name)
            except UserError as error:
                return page(500, f"The checkpoint cannot be used: {error}")
            except TimeoutError:
                words = f"It took longer than {max_seconds:g} seconds and was stopped. Try a shorter or smaller file."
                return page(422, words, name=name)
            except BrokenWorkerProcess:
                return page(422, "The program that reads it broke off, perhaps for lack of memory.", name=name)
        return page(result=found, name=name)

    assets = {name: files(PACKAGE).joinpath("templates", name).read_bytes() for name in STATIC}

    def asset(name: str) -> Callable[[Request], Response]:
        return lambda _: Response(assets[name], media_type=STATIC[name])

    routes = [Route("/", form, methods=["GET"]), Route("/", post, methods=["POST"])]
    routes += [Route(f"/{name}", asset(name)) for name in STATIC]
    return Starlette(routes=routes, middleware=[Middleware(_OriginGuard, host=host)])


STATIC = {"page.css": "text/css", "page.js": "text/javascript"}


def serve(
    checkpoint: Path,
    host: str,
    port: int,
    max_bytes: int,
    max_seconds: float,
    device: str | None = None,
    threshold: float | str | None = None,
) -> None:
    """Serves until SIGINT or SIGTERM.

    Raises UserError if the checkpoint, host, port, device or threshold cannot be used.
    """
    sidecar = read_sidecar(checkpoint.with_suffix(".json"))  # reports errors before the slow import of torch
    if threshold is not None:
        sidecar = sidecar.at_threshold(threshold)
    listening = _listen(host, port)
    name = f"[{host}]" if ":" in host else host
    if not _is_loopback(host):
        print(f"warning: {host} is not loopback: others can reach this page, unencrypted", file=sys.stderr)
    # uvicorn raises the signal again when it has ended. sys.exit then lets temporary files be removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    async def run() -> None:
        print(f"loading {checkpoint}", file=sys.stderr)
        await to_process.run_sync(load, checkpoint, device, threshold)
        app = create_app(checkpoint, sidecar, host, max_bytes, max_seconds, device, threshold)
        config = uvicorn.Config(
            app,
            access_log=False,
            log_level="warning",
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        print(f"http://{name}:{listening.getsockname()[1]}/ is ready; Ctrl+C ends it", flush=True)
        await uvicorn.Server(config).serve(sockets=[listening])

    with listening:
        try:
            anyio.run(run)
        except KeyboardInterrupt:
            pass
        except BrokenWorkerProcess:
            raise UserError(f"{checkpoint}: loading it broke off; is there enough memory?") from None


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        # create_server adds the address to the message, so the text comes from the error number. Errors of name lookup
        # have negative numbers, which os.strerror does not know.
        number = error.errno or 0
        reason = (os.strerror(number) if number > 0 else error.strerror or str(error)).lower()
        raise UserError(f"{host}:{port}: cannot listen there ({reason}); choose another --port or --host") from None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return address.is_loopback if address else host.lower() == "localhost"


def _address(name: str) -> Any:
    try:
        return ip_address(name)
    except ValueError:
        return None


def _own_origin(headers: Headers) -> bool:
    """Browsers say which page sent a form. Other programs do not, but no web page can control them."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


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


def _sentence(reason: str) -> str:
    """Why a file cannot be read, in a whole sentence."""
    if reason.startswith("too many "):
        return f"It has {reason}."
    start = "It is" if reason.startswith(("a ", "an ", "neither ")) else "The file cannot be read:"
    return REASONS.get(reason, f"{start} {reason}.")


def _shortened(name: str) -> str:
    """A file's name, at most one line long, without characters that change the text direction or break the line."""
    plain = printable(name)
    return plain if len(plain) <= 80 else f"{plain[:50]} ... {plain[-20:]}"
