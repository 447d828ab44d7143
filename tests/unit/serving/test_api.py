"""The API as a program meets it: a real server, real requests, errors as problems, and a description that holds."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import jsonschema_rs
import pytest
import requests
import uvicorn
from PIL import Image
from starlette.responses import JSONResponse

from deepfake_detection.common.errors import UserError
from deepfake_detection.network.sidecar import read_sidecar
from deepfake_detection.serving.detector import Detector
from deepfake_detection.serving.results import fields_of
from deepfake_detection.serving.web import connections
from deepfake_detection.serving.web.guard import read_token
from deepfake_detection.serving.web.workers import PROCESSES, Workers
from tests.support.credentials import Authority, authority, created, signed
from tests.unit.pictures.test_images import encode, png_header
from tests.unit.serving.test_server import Running, serving
from tests.unit.serving.test_server import checkpoint as checkpoint
from tests.unit.serving.test_server import face as face
from tests.unit.videos.test_video import film as write_video

TOKEN = "a-token-of-many-letters"  # noqa: S105  of a server of the tests
PREDICT = "api/v1/predict"


@pytest.fixture(scope="module")
def signers() -> Authority:
    return authority()


@pytest.fixture(scope="module")
def server(checkpoint: Path, signers: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    place = tmp_path_factory.mktemp("server")
    (place / "anchors.pem").write_bytes(signers.root)
    options = ("--max-mb", 1, "--trust-anchors", place / "anchors.pem")
    with serving(checkpoint, place / "tmp", *options) as running:
        yield running


def is_problem(found: requests.Response, status: int, words: str) -> bool:
    assert found.headers["content-type"] == "application/problem+json"
    content = found.json()
    assert content.keys() == {"type", "title", "status", "detail"}
    assert (found.status_code, content["status"]) == (status, status)
    assert words in content["detail"], content
    return True


def test_a_file_gets_what_predict_prints_as_a_form_and_as_the_body(
    server: Running, face: bytes, checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(face)
    write_video(tmp_path / "film.mp4", 30)
    detector = Detector.load(checkpoint)
    for name in ("a.png", "film.mp4"):
        content = (tmp_path / name).read_bytes()
        found = detector.predict(tmp_path / name)
        expected = json.loads(
            json.dumps(fields_of(found) | {"path": name, "credentials": None} | detector.about(found))
        )
        form = requests.post(server.address + PREDICT, files={"file": (name, content)}, timeout=60)
        assert form.status_code == 200, form.text
        assert form.json().keys() == expected.keys()
        for key in ("verdict", "model", "threshold", "version"):
            assert form.json()[key] == expected[key]
        body = requests.post(server.address + PREDICT, data=content, timeout=60)
        assert body.json() == form.json() | {"path": ""}
    assert form.headers["cache-control"] == "no-store"
    assert not server.left()


def test_a_signed_file_gets_what_its_signer_claims_from_the_api_the_page_and_a_case_file(
    server: Running, face: bytes, signers: Authority
) -> None:
    content = signed(face, "image/png", signers, created("trainedAlgorithmicMedia"))
    plain, found = (requests.post(server.address + PREDICT, data=each, timeout=60).json() for each in (face, content))
    claims = found.pop("credentials")
    assert plain.pop("credentials") is None
    assert found == plain
    assert (claims["status"], claims["model_claim"]) == ("trusted", "made by a model")
    described = requests.get(server.address + "api/v1/openapi.json", timeout=60).json()
    schema = {"$ref": "#/components/schemas/Credentials", "components": described["components"]}
    jsonschema_rs.validator_for(schema).validate(claims)
    page = server.post(content).text
    assert page.find(claims["said"]) < page.find('<div class="result')
    case = requests.post(server.address + "case", files={"file": ("a.png", content)}, timeout=60).text
    assert case.count(claims["said"]) == 2
    assert "--trust-anchors anchors.pem -- a.png" in case


def test_what_gets_no_result_is_a_problem(server: Running, face: bytes) -> None:
    def sent(content: Any, **headers: str) -> requests.Response:
        return requests.post(server.address + PREDICT, data=content, headers=headers, timeout=60)

    assert is_problem(sent(b"just text"), 422, "a text file, neither a picture nor a video")
    assert is_problem(sent(b""), 400, "Nothing was sent")
    assert is_problem(sent(b"x" * 1_500_000), 413, "larger than 1 MB")
    assert is_problem(sent(iter([b"x" * 800_000] * 2)), 413, "larger than 1 MB")  # in pieces, without a length
    assert sent(iter([face])).json()["verdict"] in ("original", "fake")
    assert is_problem(sent(png_header(20_000, 20_000)), 422, "too many pixels")
    assert is_problem(sent(face, Host="evil.example"), 421, "names")
    assert is_problem(sent(face, Origin="https://evil.example"), 403, "another site")
    assert is_problem(
        sent(b"--x", **{"Content-Type": "multipart/form-data; boundary=y"}), 400, "Invalid multipart data"
    )
    assert is_problem(requests.get(server.address + PREDICT, timeout=60), 405, "Method Not Allowed")
    assert requests.get(server.address + PREDICT, timeout=60).headers["allow"] == "POST"
    assert is_problem(requests.get(server.address + "api/v2", timeout=60), 404, "Not Found")
    assert requests.get(server.address + "favicon.ico", timeout=60).text == "Not Found"
    assert requests.get(server.address + "healthz", timeout=60).json() == {"status": "ok"}
    assert not server.left()


def test_of_a_form_the_file_counts_and_what_is_missing_is_named(server: Running, face: bytes) -> None:
    def sent(*parts: tuple[str, Any]) -> requests.Response:
        return requests.post(server.address + PREDICT, files=list(parts), timeout=60)

    note, file = ("note", (None, "of Monday")), ("file", ("a.png", face))
    assert sent(note, ("csrf", (None, "x")), file, ("thumbnail", ("b.png", face))).json()["path"] == "a.png"
    assert is_problem(sent(note, ("image", ("a.png", face))), 400, "no field named file. It has note, image.")
    assert is_problem(sent(note, ("file", (None, "a.png"))), 400, "The field named file holds text")
    assert is_problem(sent(("file", (None, "")), note), 400, "No file was chosen")
    assert is_problem(sent(file, file), 400, "The field named file has 2 files. Send one file.")
    assert is_problem(
        sent(file, ("note", (None, "x" * 70_000))), 400, "cannot be read: Part exceeded maximum size of 64KB"
    )
    assert is_problem(sent(file, *[note] * 101), 400, "Too many fields. Maximum number of fields is 100.")
    assert not server.left()


def test_health_checkers_and_old_clients_need_no_host(server: Running) -> None:
    def answer(request: str) -> bytes:
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(request.encode())
            return b"".join(iter(lambda: connection.recv(2**16), b""))

    assert answer("GET /healthz HTTP/1.0\r\n\r\n").endswith(b'{"status":"ok"}')
    assert answer("HEAD / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    for refused, status in (("1.0\r\nHost: evil.example", 421), ("1.0\r\nHost:", 421), ("1.1", 400)):
        assert answer(f"GET /healthz HTTP/{refused}\r\n\r\n").startswith(f"HTTP/1.1 {status} ".encode())
    # behind TLS, a redirect of this server would lead away from it
    slash = requests.get(server.address + "healthz/", timeout=60, allow_redirects=False)
    assert is_problem(slash, 404, "Not Found")


def test_a_connection_over_which_no_request_comes_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.3)
    ok = JSONResponse({"status": "ok"})
    server = uvicorn.Server(uvicorn.Config(ok, http=connections.ImpatientProtocol, lifespan="off", log_level="error"))
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for sent in ((), (request[:-4],), (request, request, request[:-4])):
            with socket.create_connection(listening.getsockname(), timeout=60) as connection:
                for each in sent:
                    connection.sendall(each)
                    if each == request:
                        time.sleep(0.5)  # between requests a connection stays for longer
                        assert connection.recv(2**16).endswith(b'{"status":"ok"}')
                start = time.monotonic()
                assert connection.recv(2**16) == b""
                assert 0.1 < time.monotonic() - start < 3
    finally:
        server.should_exit = True
        thread.join(60)
        listening.close()


def test_without_the_token_nothing_is_answered_but_that_the_server_is_there(
    checkpoint: Path, face: bytes, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    with serving(checkpoint, tmp_path / "tmp", "--token-file", tmp_path / "token") as running:

        def sent(authorization: str | None) -> requests.Response:
            headers = {"Authorization": authorization} if authorization else {}
            return requests.post(running.address + PREDICT, data=face, headers=headers, timeout=60)

        for wrong in (None, "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN):
            assert is_problem(refused := sent(wrong), 401, "Authorization: Bearer TOKEN")
            assert refused.headers["www-authenticate"] == "Bearer"
        assert requests.get(running.address, timeout=60).status_code == 401
        assert requests.get(running.address + "healthz", timeout=60).status_code == 200
        assert sent(f"Bearer {TOKEN}").status_code == 200
        described = requests.get(
            running.address + "api/v1/openapi.json", headers={"Authorization": f"bearer {TOKEN}"}, timeout=60
        ).json()
        assert described["security"] == [{"token": []}]


def test_a_token_that_keeps_nobody_out_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"short\n", b"two words of some length", "schlüsselschlüssel".encode()):
        (tmp_path / "token").write_bytes(content)
        with pytest.raises(UserError, match="--token-file"):
            read_token(tmp_path / "token")


@pytest.mark.slow
def test_the_description_holds(server: Running, tmp_path: Path) -> None:
    """Schemathesis sends what the description allows and what it does not, and compares the answers with it.

    One of its checks is left out: that what fits the schema is accepted. No schema says that bytes are a picture.
    """
    described = requests.get(server.address + "api/v1/openapi.json", timeout=60).json()
    assert described["components"]["schemas"]["Box"]["properties"].keys() == {"left", "top", "right", "bottom", "score"}
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", server.address + "api/v1/openapi.json"]
    command += ["--checks", "all", "--exclude-checks", "positive_data_acceptance", "--max-examples", "40"]
    command += ["--seed", "1", "--no-color", "--generation-database", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "No issues found" in done.stdout, done.stdout[-4000:]


@pytest.mark.slow
def test_a_judgement_without_enough_memory_is_a_problem_and_the_next_one_does_not_wait(
    checkpoint: Path, face: bytes, tmp_path: Path
) -> None:
    """The spare process takes over at once. A process that is killed from outside is replaced in the same way."""
    large = encode(Image.new("RGB", (9000, 9000)), "JPEG")
    with serving(checkpoint, tmp_path / "tmp", "--max-memory-mb", 200) as running:

        def sent(content: bytes) -> tuple[requests.Response, float]:
            start = time.perf_counter()
            found = requests.post(running.address + PREDICT, data=content, timeout=60)
            return found, time.perf_counter() - start

        assert sent(face)[0].status_code == 200
        time.sleep(10)  # the spare process loads
        refused, _ = sent(large)
        assert is_problem(refused, 422, "--max-memory-mb")
        answered, seconds = sent(face)
        assert answered.status_code == 200
        assert seconds < 2, "importing torch alone takes longer"
        time.sleep(10)
        workers = [child for child in children(running.process.pid) if "spawn_main" in child[1]]
        assert len(workers) == PROCESSES
        for pid, _ in workers:
            os.kill(pid, signal.SIGKILL)
        assert is_problem(sent(face)[0], 422, "broke off")
        assert {sent(face)[0].status_code for _ in range(2)} <= {200, 422}
        assert sent(face)[0].status_code == 200


def children(pid: int) -> list[tuple[int, str]]:
    """The processes below one, each with its command."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    return [(int(own), args) for own, parent, args in rows if int(parent) == pid]


def test_a_process_that_could_not_load_is_replaced_and_nobody_waits_for_it(tmp_path: Path) -> None:
    workers = Workers(read_sidecar, (tmp_path / "gone.json",), 10**9)
    try:
        for _ in range(PROCESSES + 1):
            with pytest.raises(UserError, match=r"gone\.json: not there"):
                anyio.run(workers.ready)
    finally:
        workers.close()
