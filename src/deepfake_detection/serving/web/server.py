"""The server of ``deepfake-detect serve``: a page and an API that judge an uploaded file and keep nothing."""

import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Collection
from contextlib import closing
from importlib.metadata import version
from importlib.resources import files as package_files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from anyio import BrokenWorkerProcess
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.text import printable
from deepfake_detection.network.sidecar import UNCALIBRATED, Sidecar, read_sidecar
from deepfake_detection.pictures.images import UnreadableImageError
from deepfake_detection.reporting.html import template_environment
from deepfake_detection.serving.credentials import Anchors
from deepfake_detection.serving.people import NoSpaceError
from deepfake_detection.serving.validation import alarms_by_kind, with_alarms_in_use
from deepfake_detection.serving.view import load, values_of
from deepfake_detection.serving.web import api
from deepfake_detection.serving.web.connections import ImpatientProtocol
from deepfake_detection.serving.web.download import case_page
from deepfake_detection.serving.web.guard import Guard, is_loopback, server_name
from deepfake_detection.serving.web.uploads import RefusedError, early, no_room, receive_upload
from deepfake_detection.serving.web.workers import Workers
from deepfake_detection.serving.words import is_calibrated, not_meant, rounded_percent, unseen_words, usable_results

PACKAGE = "deepfake_detection.serving"
WAITING = 4  # uploads that may wait while another is judged
MOST_IN_CASE = 20  # files of one case file

REASONS = {
    "not a video in a known format": "It is no video that can be read.",
    "empty file": "The file is empty.",
    "truncated": "It breaks off: the file is not whole.",
    "damaged": "The file is damaged.",
    "too much work to decode": "It is built so that decoding it would take too long.",
}


def create_app(
    checkpoint: Path,
    sidecar: Sidecar,
    workers: Workers,
    host: str,
    max_bytes: int,
    max_seconds: float,
    device: str | None = None,
    threshold: float | str | None = None,
    token: str | None = None,
    names: Collection[str] = (),
    anchors: Anchors | None = None,
) -> Starlette:
    """The page on ``/``, the two files that it needs, case files on ``/case``, and the API, for this checkpoint.

    ``workers`` have loaded it and judge on ``device``. With a ``token``, only who sends it gets an answer. ``names``
    are others than ``host`` under which the server is asked. ``anchors`` are those for Content Credentials.

    An upload of more than ``max_bytes`` is refused while it arrives. A judgement that takes longer than
    ``max_seconds`` is stopped. One upload is judged at a time, WAITING more may wait, and others are refused.
    """
    template = template_environment(PACKAGE, autoescape=True).get_template("page.html.jinja")
    about = {
        "checkpoint": printable(checkpoint.name),
        "sidecar": sidecar,
        "max_mb": max_bytes // 10**6,
        "max_bytes": max_bytes,
    }
    about |= {"threshold": rounded_percent(sidecar.frame.threshold)}
    tested = usable_results(checkpoint)
    guessing = tested.test.guessing() if tested else ""
    about |= {"guessing": guessing, "unseen": unseen_words(tested), "not_meant": not_meant(sidecar, tested)}
    about |= {"prior": rounded_percent(sidecar.prior), "calibrated": is_calibrated(sidecar)}
    in_use = with_alarms_in_use(tested, checkpoint, sidecar) if tested else None
    about |= {"uncalibrated": UNCALIBRATED, "alarms": alarms_by_kind(in_use)}
    about |= {"case_files": find_spec("matplotlib") is not None}  # of the extra explain
    turn, active = anyio.Lock(), set[object]()

    def page(status: int = 200, error: str = "", **shown: Any) -> Response:
        return HTMLResponse(template.render(about, error=error, **({"result": None, "name": ""} | shown)), status)

    async def form(_: Request) -> Response:
        return page()

    def refused_page(refused: RefusedError) -> Response:
        return page(refused.status, refused.words, name=refused.name)

    async def post(request: Request) -> Response:
        return await answer_upload(request, values_of, lambda found, name: page(result=found, name=name), refused_page)

    async def post_for_case(request: Request) -> Response:
        attachment = {"content-disposition": 'attachment; filename="case.html"'}
        return await answer_upload(
            request, case_page, lambda found, _: HTMLResponse(found, headers=attachment), refused_page, MOST_IN_CASE
        )

    async def post_for_program(request: Request) -> Response:
        return await answer_upload(
            request,
            api.predict,
            lambda found, name: JSONResponse(found | {"path": name}),
            lambda refused: api.problem(refused.status, refused.words),
        )

    async def answer_upload(
        request: Request,
        judge: Callable[..., Any],
        answer: Callable[[Any, str], Response],
        refuse: Callable[[RefusedError], Response],
        most: int = 1,
    ) -> Response:
        """What ``answer`` makes of what ``judge`` finds, or ``refuse`` of the reason why there is no result.

        ``judge`` gets the path of the file, or if there may be ``most`` of them, all paths with the names.
        """
        try:
            if len(active) > WAITING:
                words = "Too many files are waiting to be judged. Try again in a minute."
                raise RefusedError(503, words, early=True)
            active.add(request)
            try:
                with tempfile.TemporaryDirectory(prefix="deepfake-detect-") as folder:
                    files = await receive_upload(request, Path(folder), max_bytes, most, raw=judge is api.predict)
                    path, name = files[0]
                    name = name if len(files) == 1 else ""
                    work = (judge, checkpoint, path if most == 1 else files, device, threshold, anchors)
                    return answer(await judge_while_connected(request, work, name), name)
            finally:
                active.remove(request)
        except OSError as error:  # the disk of temporary files is full, or not there
            return early(refuse(no_room(error)))
        except RefusedError as refused:
            response = refuse(refused)
            if refused.status == 503:
                response.headers["retry-after"] = "60"
            return early(response) if refused.early else response
        except ClientDisconnect:
            return Response()
        except anyio.get_cancelled_exc_class():  # only uvicorn cancels, and nothing is awaited after this
            return refuse(RefusedError(503, "The server is being ended."))

    async def judge_while_connected(request: Request, work: tuple[Any, ...], name: str) -> Any:
        """What judge_in_turn finds. It is stopped if the client disconnects."""
        found: Any = None
        refused: RefusedError | None = None
        async with anyio.create_task_group() as group:

            async def stop_when_gone() -> None:
                while (await request.receive())["type"] != "http.disconnect":
                    pass
                group.cancel_scope.cancel()

            group.start_soon(stop_when_gone)
            try:
                found = await judge_in_turn(work, name)
            except RefusedError as error:  # the group would wrap it
                refused = error
            group.cancel_scope.cancel()
        if refused:
            raise refused
        if found is None:
            raise ClientDisconnect
        return found

    async def judge_in_turn(work: tuple[Any, ...], name: str) -> Any:
        """What a function finds, the first in ``work``, in front of its arguments."""
        async with turn:
            try:
                await workers.ready()  # not part of the time for one file
                with anyio.fail_after(max_seconds):
                    return await workers.run(*work)
            except UnreadableImageError as error:
                raise RefusedError(422, _sentence(str(error)), name) from None
            except NoSpaceError as error:
                raise no_room(error) from None
            except UserError as error:
                raise RefusedError(500, f"The checkpoint cannot be used: {error}") from None
            except TimeoutError:
                words = f"It took longer than {max_seconds:g} seconds and was stopped. Try a shorter or smaller file."
                raise RefusedError(422, words, name) from None
            except MemoryError:
                words = "It takes more memory than this server allows (--max-memory-mb). Try a smaller file."
                raise RefusedError(422, words, name) from None
            except BrokenWorkerProcess:
                words = "The program that reads it broke off, perhaps for lack of memory."
                raise RefusedError(422, words, name) from None

    def failed(request: Request, error: Exception) -> Response:
        """An address or method that is not there, or a fault of this program, which uvicorn writes to the log."""
        status, words = 500, "This server failed. Its log says why."
        if isinstance(error, HTTPException):
            status, words = error.status_code, error.detail
        if request.url.path.startswith((api.PREFIX, api.HEALTH)):
            response = api.problem(status, words)
        else:
            response = PlainTextResponse(words, status)
        response.headers.update(getattr(error, "headers", None) or {})
        return response

    described = api.openapi(version("deepfake-detection"), max_bytes // 10**6, token is not None)
    assets = {name: package_files(PACKAGE).joinpath("templates", name).read_bytes() for name in STATIC}

    def asset(name: str) -> Callable[[Request], Response]:
        return lambda _: Response(assets[name], media_type=STATIC[name])

    routes = [Route("/", form, methods=["GET"]), Route("/", post, methods=["POST"])]
    routes += [Route("/case", post_for_case, methods=["POST"])] if about["case_files"] else []
    routes += [Route(f"/{name}", asset(name)) for name in STATIC]
    routes += [
        Route(api.PREDICT, post_for_program, methods=["POST"]),
        Route(api.OPENAPI, lambda _: JSONResponse(described), methods=["GET"]),
        Route(api.HEALTH, lambda _: JSONResponse({"status": "ok"}), methods=["GET"]),
    ]
    guard = Middleware(Guard, host=host, names=names, token=token)
    app = Starlette(routes=routes, middleware=[guard], exception_handlers={HTTPException: failed, Exception: failed})
    app.router.redirect_slashes = False  # behind a proxy that speaks TLS it would lead to http://
    return app


STATIC = {"page.css": "text/css", "page.js": "text/javascript"}


def serve(
    checkpoint: Path,
    host: str,
    port: int,
    max_bytes: int,
    max_seconds: float,
    device: str | None = None,
    threshold: float | str | None = None,
    token: str | None = None,
    max_memory: int = 4 * 10**9,
    names: Collection[str] = (),
    anchors: Anchors | None = None,
) -> None:
    """Serves until SIGINT or SIGTERM. A judgement may take ``max_memory`` bytes besides the network.

    Raises UserError if the checkpoint, host, port, device, threshold or one of ``names`` cannot be used.
    """
    names = {server_name(each) for each in names}
    sidecar = read_sidecar(checkpoint.with_suffix(".json"))  # reports errors before the slow import of torch
    if threshold is not None:
        sidecar = sidecar.at_threshold(threshold)
    listening = _listen(host, port)
    name = f"[{host}]" if ":" in host else host
    if not is_loopback(host):
        print(f"warning: {host} is not loopback: others can reach this page, unencrypted", file=sys.stderr)
    # uvicorn raises the signal again when it has ended. sys.exit then lets temporary files be removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    async def run() -> None:
        print(f"loading {checkpoint}", file=sys.stderr)
        await workers.ready()
        app = create_app(
            checkpoint, sidecar, workers, host, max_bytes, max_seconds, device, threshold, token, names, anchors
        )
        config = uvicorn.Config(
            app,
            http=ImpatientProtocol,
            access_log=False,
            log_level="error",  # what a client does wrong, it is told; a warning for each would fill the log
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        print(f"http://{name}:{listening.getsockname()[1]}/ is ready; Ctrl+C ends it", flush=True)
        await uvicorn.Server(config).serve(sockets=[listening])

    with listening, closing(Workers(load, (checkpoint, device, threshold), max_memory)) as workers:
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


def _sentence(reason: str) -> str:
    """Why a file cannot be read, in a whole sentence."""
    if reason.startswith("too many "):
        return f"It has {reason}."
    start = "It is" if reason.startswith(("a ", "an ", "neither ")) else "The file cannot be read:"
    return REASONS.get(reason, f"{start} {reason}.")
