"""Who may ask the server: by its own names, from its own page, and with its token."""

import hmac
import re
import socket
from collections.abc import Collection
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deepfake_detection.common.errors import UserError
from deepfake_detection.serving.web import api
from deepfake_detection.serving.web.uploads import early

LEAST_TOKEN = 16

HEADERS = {
    # Style, script, and what forms and scripts send to must be of this origin. Pictures are inside the page, as data:
    # URIs. A video is the user's own file, which the browser has as a blob.
    "content-security-policy": "default-src 'none'; img-src data:; media-src blob:; style-src 'self'; "
    "script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",  # with no-referrer, a browser sends "null" as the origin even for this page
    "x-content-type-options": "nosniff",
}


class Guard:
    """Refuses requests to a name that is not this server's (DNS rebinding), forms from other sites, and, if there is a
    ``token``, requests without it. Only whether the server is alive may be asked without.
    """

    def __init__(self, app: ASGIApp, host: str, names: Collection[str], token: str | None) -> None:
        self.app, self.host, self.names, self.token = app, host, names, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        answer: ASGIApp = self.app
        # health checkers and old clients speak HTTP/1.0, where a request needs no Host; every browser sends one
        named = "host" in headers or scope["http_version"] != "1.0"
        if named and not host_allowed(headers.get("host", ""), self.host, self.names):
            answer = self.refusal(scope, 421, "This address is not one of this server's names (--name adds one).")
        elif scope["method"] not in ("GET", "HEAD") and not _own_origin(headers):
            words = "A form of another site cannot be sent here. A proxy in front must pass the Host header on."
            answer = self.refusal(scope, 403, words)
        elif self.token is not None and scope["path"] != api.HEALTH and not _has_token(headers, self.token):
            refused = self.refusal(scope, 401, "Send the server's token, as Authorization: Bearer TOKEN.")
            refused.headers["www-authenticate"] = "Bearer"
            answer = refused
        await answer(scope, receive, send_with_headers)

    def refusal(self, scope: Scope, status: int, words: str) -> Response:
        if scope["path"].startswith((api.PREFIX, api.HEALTH)):
            return early(api.problem(status, words))
        return early(PlainTextResponse(words, status))


def host_allowed(header: str, bound: str, names: Collection[str] = ()) -> bool:
    """Whether a Host header names the server that listens on ``bound``.

    The names of loopback do, and so do ``bound`` itself and ``names``, which are in lower case. If the server listens
    on all addresses (0.0.0.0, ::), so do any IP address and the machine's name. Only a name can be rebound by an
    attacker, so an IP address is safe.
    """
    try:
        name = (urlsplit(f"//{header}").hostname or "").removesuffix(".")
    except ValueError:
        return False
    everywhere = bound in ("0.0.0.0", "::")  # noqa: S104  compared, not bound
    address = _address(name)
    if address is None:
        known = name in ("localhost", bound.lower()) or name in names
        return known or (everywhere and name == socket.gethostname().lower())
    return address.is_loopback or everywhere or address == _address(bound)


def server_name(name: str) -> str:
    """A name as a Host header has it, without port. Raises UserError if it is none."""
    if not re.fullmatch(r"[\w-]+(\.[\w-]+)*\.?", name, re.ASCII):
        raise UserError(
            f"--name {name}: give the name of a host, without a port, such as detector or faces.example.org"
        )
    return name.lower().removesuffix(".")


def is_loopback(host: str) -> bool:
    address = _address(host)
    return address.is_loopback if address else host.lower() == "localhost"


def _address(name: str) -> Any:
    try:
        return ip_address(name)
    except ValueError:
        return None


def read_token(file: Path) -> str:
    """The token in a file, without the line's end. Raises UserError if it is too short to keep anybody out."""
    try:
        token = file.read_text(encoding="ascii").strip()
    except UnicodeDecodeError:
        raise UserError(f"--token-file {file}: not plain text") from None
    if len(token) < LEAST_TOKEN or not token.isprintable() or " " in token:
        raise UserError(
            f"--token-file {file}: a token is one word of {LEAST_TOKEN} letters or more; try `openssl rand -hex 32`"
        )
    return token


def _has_token(headers: Headers, token: str) -> bool:
    scheme, _, sent = headers.get("authorization", "").partition(" ")
    same = hmac.compare_digest(sent.strip().encode(), token.encode())  # takes as long whatever is wrong
    return scheme.lower() == "bearer" and same


def _own_origin(headers: Headers) -> bool:
    """Browsers say which page sent a form. Other programs do not, but no web page can control them.

    Sec-Fetch-Site, which not every browser sends to every address, knows better than Origin: a proxy in front may have
    changed the Host that an Origin is compared with.
    """
    if site := headers.get("sec-fetch-site"):
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")
