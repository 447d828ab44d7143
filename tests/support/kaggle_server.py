"""A local stand-in for Kaggle's server, used with the real kagglehub client."""

import base64
import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@dataclass
class Kaggle:
    """What the server sends, which tests may change, and what it was asked for."""

    newest: int = 7
    archive: bytes = b""
    md5_of: bytes | None = None
    refuses: int | None = None
    storage_refuses: int | None = None
    page: bytes | None = None
    sends: int | None = None
    resumable: bool = True
    resumes_with: bytes | None = None
    versions: list[int] = field(default_factory=list)
    downloads: list[str | None] = field(default_factory=list)
    authorizations: set[str | None] = field(default_factory=set)


def handler_of(kaggle: Kaggle) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def answer(self, status: int, body: bytes, headers: dict[str, str], sends: int | None = None) -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[:sends])

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            kaggle.authorizations.add(self.headers["Authorization"])
            method = urlsplit(self.path).path.rpartition("/")[2]
            if kaggle.refuses:
                body = json.dumps({"code": kaggle.refuses, "message": "refused"}).encode()
                self.answer(kaggle.refuses, body, {"Content-Type": "application/json"})
            elif kaggle.page:
                self.answer(200, kaggle.page, {"Content-Type": "text/html"})
            elif (asked["ownerSlug"], asked["datasetSlug"]) != ("owner", "name"):
                self.answer(404, b"", {})
            elif method == "GetDataset":
                body = json.dumps({"currentVersionNumber": kaggle.newest}).encode()
                self.answer(200, body, {"Content-Type": "application/json"})
            else:
                kaggle.versions.append(asked["datasetVersionNumber"])
                self.answer(302, b"", {"Location": "/storage/archive.zip?signature=hidden"})

        def do_GET(self) -> None:
            wanted = self.headers["Range"]
            kaggle.downloads.append(wanted)
            headers = {"Content-Type": "application/zip"}
            if kaggle.resumable:
                headers["Accept-Ranges"] = "bytes"
            if kaggle.md5_of is not None:
                md5 = base64.b64encode(hashlib.md5(kaggle.md5_of, usedforsecurity=False).digest()).decode()
                headers["x-goog-hash"] = f"crc32c=AAAAAA==,md5={md5}"
            if kaggle.storage_refuses:
                self.answer(kaggle.storage_refuses, b"", {})
            elif wanted is None:
                self.answer(200, kaggle.archive, headers, kaggle.sends)
            elif kaggle.resumes_with is not None:
                self.answer(503, kaggle.resumes_with, {})
            else:
                self.answer(206, kaggle.archive[int(wanted.removeprefix("bytes=").rstrip("-")) :], headers)

    return Handler


@pytest.fixture
def kaggle_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kaggle]:
    kaggle = Kaggle()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(kaggle))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    # The client only knows fixed addresses. This server acts as its proxy for http://localhost, so any port will do.
    for name in ("NO_PROXY", "no_proxy", "KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_KERNEL_RUN_TYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "home" / ".kaggle"))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    yield kaggle
    server.shutdown()
    thread.join()
    server.server_close()
