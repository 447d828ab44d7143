"""The page as it is served: a real server, real uploads, by requests and by a browser."""

import io
import os
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import requests
import torch
from PIL import Image

from deepfake_detection.common.text import clock
from deepfake_detection.network.model import Network, build_model
from deepfake_detection.network.sidecar import Calibration
from deepfake_detection.serving import view
from deepfake_detection.serving.detector import Detector
from deepfake_detection.serving.people import NoSpaceError
from deepfake_detection.serving.results import Face, Moment, Person, Prediction, Stretch, Verdict, VideoPrediction
from deepfake_detection.serving.view import shown
from deepfake_detection.serving.web.guard import host_allowed
from deepfake_detection.serving.web.server import MOST_IN_CASE, WAITING
from deepfake_detection.serving.web.uploads import no_room
from deepfake_detection.serving.words import (
    UNCERTAIN_HEADLINE,
    Wording,
    certainty,
    false_alarms,
    frames_above,
    not_meant,
    rounded_percent,
    unseen_words,
)
from deepfake_detection.sources.drawn.drawing import film
from tests.support.browser import CHROMIUM, Browser, browsing
from tests.support.checkpoints import save_checkpoint, sidecar
from tests.support.commands import command
from tests.support.films import write_film
from tests.support.pages import page_of
from tests.support.processors import every_processor
from tests.support.tested import save_tested
from tests.unit.pictures.test_images import encode
from tests.unit.videos.test_damaged_videos import textured, zeroed
from tests.unit.videos.test_video import film as write_video

JUDGED = "document.querySelector('.outcome') && document.getElementById('busy').hidden"
HOSTILE = '"><script>alert(1)</script>.png'
GREY = encode(Image.new("RGB", (200, 200), "grey"), "PNG")
ANIMATED = encode(
    Image.new("RGB", (64, 64), "red"), "WEBP", save_all=True, append_images=[Image.new("RGB", (64, 64), "blue")]
)


class Running(NamedTuple):
    address: str
    port: int
    process: "subprocess.Popen[str]"
    temporary: Path

    def post(self, content: bytes, name: str = "a.png", **headers: str) -> requests.Response:
        return requests.post(self.address, files={"file": (name, content)}, headers=headers, timeout=120)

    def left(self) -> list[Path]:
        return list(self.temporary.glob("deepfake-detect-*"))


@contextmanager
def serving(checkpoint: Path, temporary: Path, *options: object) -> Iterator[Running]:
    """``deepfake-detect serve`` on a free port, with its temporary files in a folder of its own."""
    temporary.mkdir()
    words = [str(Path(sys.executable).parent / "deepfake-detect"), "serve", "--port", "0"]
    words += ["--checkpoint", str(checkpoint), *map(str, options)]
    with every_processor():
        started = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={"TMPDIR": str(temporary)}
        )
    with started as process:
        try:
            assert process.stdout
            assert process.stderr
            ready = process.stdout.readline()
            match = re.match(r"(http://127\.0\.0\.1:(\d+)/) is ready", ready)
            assert match, ready + process.stderr.read()
            yield Running(match[1], int(match[2]), process, temporary)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A B0 of 32 px with random weights, for crops of faces."""
    path = tmp_path_factory.mktemp("checkpoint") / "best.pth"
    torch.manual_seed(1)
    calibration = {"temperature": 2.0, "thresholds": {"youden": 0.4, "fpr@0.01": 0.9}}
    written = sidecar(frame=calibration, crop="face", margin=0.3)
    save_checkpoint(path, build_model("efficientnet_b0", 0.2), written)
    return path


@pytest.fixture(scope="module")
def server(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(checkpoint, tmp_path_factory.mktemp("server") / "tmp", "--max-mb", 2) as running:
        yield running


@pytest.fixture(scope="module")
def face() -> bytes:
    file = io.BytesIO()
    Image.fromarray(drawn(256)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """30 seconds, of a face that brightens."""
    still = drawn(128)
    pictures = (np.round(still * (0.7 + 0.001 * number)).astype(np.uint8) for number in range(300))
    path = tmp_path_factory.mktemp("video") / "a.mp4"
    write_film(path, pictures, preset="ultrafast", g="20")
    return path.read_bytes()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser")) as started:
        yield started


def drawn(size: int) -> Any:
    return np.round(film(0, 0, size, 42).filmed * 255).astype(np.uint8)


def test_a_picture_is_judged_and_nothing_of_it_is_kept(server: Running, face: bytes) -> None:
    found = server.post(face)
    assert found.status_code == 200
    assert "The face found, boxed" in found.text
    assert found.text.count('class="box ') == 1
    assert re.search(r"<strong>[\d.]+%</strong> calibrated probability of a deepfake", found.text)
    assert "threshold 50%" in found.text
    assert "At most 1 in 100 original validation frames scored 90% or more." in found.text
    assert "What this score does not mean" in found.text
    assert "What spoke for a deepfake" in found.text
    assert found.headers["cache-control"] == "no-store"
    assert server.left() == []


def test_two_at_once_are_judged_in_turn_and_a_video_shows_its_most_suspicious_frames(
    server: Running, face: bytes, video: bytes
) -> None:
    with ThreadPoolExecutor(2) as pool:
        of_video, of_face = pool.map(server.post, (video, face))
    assert (of_video.status_code, of_face.status_code) == (200, 200)
    assert "The face found, boxed" in of_face.text
    assert "of 32 frames reach the threshold of a frame by themselves" in of_video.text
    assert "of 100 such" not in of_video.text  # the films of the calibration are made, not found
    assert "of 100 such frames" in of_face.text
    times = re.findall(r"<figcaption><strong>0:(\d\d\.\d)</strong>", of_video.text)
    assert len(times) == 4
    assert all(0 <= float(each) <= 30 for each in times)
    assert server.left() == []


@pytest.mark.parametrize(
    ("content", "name", "status", "words"),
    [
        (b"hello", "text.jpg", 422, "It is a text file, neither a picture nor a video."),
        (ANIMATED, "a.webp", 422, "It is an animated WebP of 2 pictures: save one of them by itself, or all of"),
        (GREY, "grey.png", 200, "There is no score: no face found."),
        (b"", "empty.png", 422, "The file is empty."),
        (b"", "", 400, "No file was chosen"),
        (b"\0" * (2 * 10**6 + 1), "large.png", 413, "larger than 2 MB"),
    ],
)
def test_what_cannot_be_judged_says_so(server: Running, content: bytes, name: str, status: int, words: str) -> None:
    found = server.post(content, name)
    assert found.status_code == status
    assert words in found.text
    assert 'type="file"' in found.text  # for another try
    assert server.left() == []


def test_a_case_file_of_what_is_sent_is_an_attachment_and_holds_no_path_of_the_server(
    server: Running, face: bytes, video: bytes
) -> None:
    def sent(*files: tuple[str, bytes], **headers: str) -> requests.Response:
        form = [("file", each) for each in files]
        return requests.post(f"{server.address}case", files=form, headers=headers, timeout=120)

    found = sent(("a.png", face), ("film.mp4", video), ("../notes.txt", b"hello"), (HOSTILE, face))
    assert found.status_code == 200
    assert found.headers["content-disposition"] == 'attachment; filename="case.html"'
    assert re.findall(r'<h2 id="file\d">([^<]+)', found.text)[:3] == ["a.png", "film.mp4", "../notes.txt"]
    assert "Not judged</strong>: a text file, neither a picture nor a video" in found.text
    assert re.search(r"deepfake-detect report --checkpoint best\.pth -- a\.png film\.mp4 \.\./notes\.txt", found.text)
    assert not re.search(rf"{server.temporary}|/tmp|deepfake-detect-|upload\d|JSON file beside", found.text)
    assert "<script>alert" not in found.text
    for refused, status, words in (
        (sent(("a.png", face), Origin="http://example.org"), 403, "another site"),
        (sent(("a.png", b"\0" * 1_100_000), ("b.png", b"\0" * 1_100_000)), 413, "together larger than 2 MB"),
        (sent(*[("a.png", b"")] * (MOST_IN_CASE + 1)), 400, f"one to {MOST_IN_CASE} files"),
        (sent(("", b"")), 400, "No file was chosen"),
    ):
        assert (refused.status_code, words in refused.text) == (status, True)
        assert "content-disposition" not in refused.headers
    assert requests.get(f"{server.address}case", timeout=60).status_code == 405
    assert server.left() == []


def begun(server: Running, header: str, part: bytes) -> socket.socket:
    """A connection over which an upload has begun."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    start = f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    connection.sendall(f"{start}{header}\r\n\r\n".encode() + part)
    return connection


PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


def test_what_is_too_large_is_refused_before_it_has_come(server: Running) -> None:
    with begun(server, f"Content-Length: {10**12}", PART) as connection:
        answer = connection.recv(2000)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"content-length" not in answer.lower()  # or a proxy would stop sending, and its browser see an error
        connection.sendall(bytes(2**16))
    with begun(server, "Transfer-Encoding: chunked", b"%x\r\n%s\r\n" % (len(PART), PART)) as connection:
        for _ in range(1000):
            connection.sendall(b"10000\r\n" + bytes(2**16) + b"\r\n")
            if select.select([connection], [], [], 0)[0]:
                break
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
    assert server.left() == []


def test_a_name_is_text_never_markup(server: Running, face: bytes) -> None:
    for content in (face, b"hello"):
        text = server.post(content, HOSTILE).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_names_of_the_server() -> None:
    for header in ("localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000"):
        assert host_allowed(header, "127.0.0.1")
    for header in ("example.org", "127.0.0.1.example.org:80", "10.0.0.1", "[::1", "localhost@a.org", ""):
        assert not host_allowed(header, "127.0.0.1")
    assert host_allowed("pictures.lan:8000", "pictures.lan")
    assert host_allowed("10.0.0.1:8000", "::")
    assert not host_allowed("example.org", "::")
    assert not host_allowed("10.0.0.2", "10.0.0.1")
    for header in ("detector:8000", "Detector", "detector.:80"):  # of Docker Compose and Kubernetes
        assert host_allowed(header, "0.0.0.0", {"detector"})  # noqa: S104
        assert not host_allowed(header, "0.0.0.0")  # noqa: S104
    assert not host_allowed("detector.example.org", "127.0.0.1", {"detector"})


@pytest.mark.parametrize("name", ["detector:8000", "http://detector", "", "*.example.org", "a b", "faces..org"])
def test_what_is_no_name_of_a_host_is_one_line(name: str, checkpoint: Path) -> None:
    assert f"error: --name {name}: give the name of a host, without a port" in str(
        command("serve", "--checkpoint", checkpoint, "--name", "detector", "--name", name)
    )


def test_another_sites_form_is_refused(server: Running, face: bytes) -> None:
    port = server.port
    for headers in (
        {"Origin": "http://example.org"},
        {"Origin": "null"},
        {"Origin": f"http://localhost:{port + 1}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": f"http://127.0.0.1:{port}"},
    ):
        assert server.post(face, **headers).status_code == 403, headers
    assert server.post(face, Host="example.org").status_code == 421
    own = {"Origin": f"http://localhost:{port}", "Host": f"localhost:{port}"}
    assert server.post(face, **own).status_code == 200
    # behind a proxy that has changed the Host
    proxied = {"Origin": "https://faces.example.org", "Sec-Fetch-Site": "same-origin"}
    assert server.post(face, **proxied).status_code == 200


def test_more_than_can_wait_are_turned_away_and_who_leaves_makes_room(server: Running, face: bytes) -> None:
    stalled = [begun(server, "Content-Length: 1000", b"--x\r\n") for _ in range(WAITING + 1)]
    try:
        status = _until(lambda: server.post(face), 503)
        assert "Too many files are waiting" in status.text
        assert status.headers["retry-after"] == "60"
    finally:
        for connection in stalled:
            connection.close()
    _until(lambda: server.post(face), 200)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of another process's files is Linux's")
def test_on_a_full_disk_an_upload_costs_a_line_of_the_log_and_the_next_good_one_is_judged(
    server: Running, face: bytes, video: bytes
) -> None:
    def resident() -> int:
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0])

    def log() -> list[str]:
        return ((server.process.stderr and server.process.stderr.read()) or "").splitlines()

    large = face + bytes(1_500_000)
    assert server.post(large).status_code == 200
    assert server.process.stderr
    os.set_blocking(server.process.stderr.fileno(), False)
    log()
    before = resident()
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (2**19, resource.RLIM_INFINITY))
    try:
        refused = [server.post(large) for _ in range(25)]
        refused += [requests.post(f"{server.address}api/v1/predict", data=large, timeout=60) for _ in range(25)]
        assert {each.status_code for each in refused} == {507}
        assert "This server cannot keep the file while it is judged: file too large." in refused[0].text
        assert 'type="file"' in refused[0].text
        assert refused[-1].headers["content-type"] == "application/problem+json"
        assert server.post(face).status_code == 200  # small enough
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limits)
    assert log() == [f"error: a file was refused: {server.temporary}: file too large"] * 50
    assert resident() < before + 20_000
    assert server.left() == []
    assert server.post(large).status_code == 200


def test_without_space_for_the_frames_of_a_video_the_sender_learns_no_folder(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused = no_room(NoSpaceError("/srv/tmp: the frames of a video cannot be kept there"))
    assert (refused.status, "/" in refused.words) == (507, False)
    assert "no space for the frames of a video" in capsys.readouterr().err


def test_who_leaves_leaves_nothing_behind(server: Running, video: bytes, face: bytes) -> None:
    body = PART + video + b"\r\n--x--\r\n"
    with begun(server, f"Content-Length: {len(body)}", body):
        end = time.monotonic() + 60
        while not server.left():
            assert time.monotonic() < end
            time.sleep(0.002)
    while server.left():
        assert time.monotonic() < end
        time.sleep(0.01)
    assert server.post(face).status_code == 200  # in a new process


@pytest.mark.slow
def test_what_takes_too_long_is_stopped_and_the_page_goes_on(checkpoint: Path, video: bytes, tmp_path: Path) -> None:
    with serving(checkpoint, tmp_path / "tmp", "--max-seconds", 0.1) as running:
        found = running.post(video)
        assert found.status_code == 422
        assert "took longer than 0.1 seconds and was stopped" in found.text
        assert running.left() == []
        assert requests.get(running.address, timeout=60).status_code == 200
        running.process.send_signal(signal.SIGTERM)
        assert running.process.stderr
        errors = running.process.stderr.read()
        assert running.process.wait(60) == 143
    assert "Traceback" not in errors
    assert errors.splitlines() == [f"loading {checkpoint}"]


def test_a_port_in_use_is_one_line(server: Running, checkpoint: Path) -> None:
    assert str(command("serve", "--port", server.port, "--checkpoint", checkpoint)).startswith(
        f"error: 127.0.0.1:{server.port}: cannot listen there (address already in use); choose another --port"
    )


def test_the_page_may_load_nothing_from_elsewhere(server: Running) -> None:
    found = requests.get(server.address, timeout=60)
    assert found.headers["content-security-policy"].startswith("default-src 'none';")
    assert not re.search(r"unsafe|https?:|\*", found.headers["content-security-policy"])
    assert not re.search(r"https?:|//\w|\son\w+=|\sstyle=|<style|<script>", found.text)
    for name in ("page.css", "page.js"):
        asset = requests.get(f"{server.address}{name}", timeout=60)
        assert asset.status_code == 200
        assert not re.search(r"url\(|@import|https?:|innerHTML|eval\(", asset.text)
    assert requests.get(f"{server.address}docs", timeout=60).status_code == 404


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: install it to see the page used")
def test_a_browser_judges_a_file_by_the_keyboard(
    server: Running, face: bytes, browser: Browser, tmp_path: Path
) -> None:
    picture = tmp_path / "<img src=x onerror=alert(1)>.png"
    picture.write_bytes(face)
    browser.width(1280)
    browser.open(server.address)
    for focused in ("file", "submit"):
        browser.press("Tab", 9)
        assert browser.evaluate("document.activeElement.type") == focused
    assert browser.evaluate("document.activeElement.closest('form').file.labels[0].textContent")
    browser.choose("#file", picture)
    browser.enter("button")
    browser.until(JUDGED)
    assert picture.name in browser.evaluate("document.querySelector('.name').textContent")
    assert browser.evaluate("document.activeElement.id") == "verdict-0"
    assert browser.evaluate("document.title").startswith(browser.evaluate("document.activeElement.textContent"))
    for width in (360, 1280):
        browser.width(width)
        assert browser.too_wide("svg") == []
        assert browser.evaluate("document.documentElement.scrollWidth") == width
        box, frame = browser.evaluate(
            "['.box', '.frame img'].map(each => document.querySelector(each).getBoundingClientRect().toJSON())"
        )
        assert frame["width"] > 250
        assert frame["left"] < box["left"] < box["right"] < frame["right"]
        assert frame["top"] < box["top"] < box["bottom"] < frame["bottom"]
    assert all(browser.pictures())
    # what a file is dropped on
    dropped = """(() => {
        const files = new DataTransfer();
        files.items.add(new File([new Uint8Array(3e6)], "large.mp4"));
        const event = new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true});
        document.querySelector(".drop").dispatchEvent(event);
        return [event.defaultPrevented, document.getElementById("problem").textContent];
    })()"""
    assert browser.evaluate(dropped) == [True, "The file is larger than 2 MB."]
    browser.evaluate(dropped.replace("3e6", "3").replace("return", "return;"))
    browser.until(f"{JUDGED} && document.querySelector('.error')")
    assert "neither a picture" in browser.evaluate("document.querySelector('[role=alert]').textContent")
    proxy = (
        "said(new Response('', {status: 413, statusText: 'Too Large', headers: {'content-type': 'text/html'}}), '<p>')"
    )
    assert browser.evaluate(proxy) == "The server in front of this one answers 413 Too Large."
    failed = [words for words in browser.complaints if "422" not in words]
    assert failed == []
    assert {url.partition("?")[0] for url in browser.requests if not url.startswith("data:image/")} == {
        f"{server.address}{name}" for name in ("", "page.css", "page.js")
    }


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: install it to see the page used")
def test_a_browser_judges_several_files_seeks_in_a_video_and_gets_a_case_file(
    server: Running, face: bytes, video: bytes, browser: Browser, tmp_path: Path
) -> None:
    files = {"a.png": face, "notes <b>.jpg": b"hello", "large.png": b"\0" * (2 * 10**6 + 1), "film.mp4": video}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    browser.width(390)
    browser.open(server.address)
    browser.choose("#file", *(tmp_path / name for name in files))
    assert browser.evaluate("document.getElementById('problem').textContent") == "large.png is larger than 2 MB."
    browser.enter("button")
    browser.until(JUDGED)
    rows = browser.evaluate("[...document.querySelectorAll('.overview tbody tr')].map(r => r.innerText.split('\\t'))")
    assert [row[2] for row in rows] == list(files)
    assert [row[0] in ("fake", "original") for row in rows] == [True, False, False, True]
    assert rows[1][:2] == rows[2][:2] == ["none", "no score"]
    assert browser.evaluate("[...document.querySelectorAll('.overview a')].every(a => document.querySelector(a.hash))")
    blocks = browser.evaluate("[...document.querySelectorAll('.outcome')].map(each => each.innerText)")
    assert "neither a picture nor a video" in blocks[1]
    assert "The file is larger than 2 MB." in blocks[2]
    ids = browser.evaluate("[...document.querySelectorAll('[id]')].map(each => each.id)")
    assert len(ids) == len(set(ids))
    labels = (
        "[...document.querySelectorAll('[aria-labelledby]')].flatMap(e => e.getAttribute('aria-labelledby').split(' '))"
    )
    assert set(browser.evaluate(labels)) <= set(ids)
    levels = browser.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(e => Number(e.tagName[1]))")
    assert all(below <= above + 1 for above, below in pairwise(levels))
    assert browser.evaluate("document.querySelectorAll('.note').length") == 1
    assert browser.evaluate("document.documentElement.scrollWidth") == 390

    browser.until("document.querySelector('.lanes[role=slider]')")
    at = "document.querySelector('video').currentTime"
    browser.evaluate("document.querySelector('.lanes').focus()")
    for key, seconds in (("End", 29.5), ("ArrowLeft", 28.6), ("Home", 0.5), ("ArrowRight", 1.4)):
        browser.press(key, 0)
        browser.until(f"Math.abs({at} - {seconds}) < 0.11")
    browser.evaluate(
        "(() => { const box = document.querySelector('.lane').getBoundingClientRect(); document.querySelector('.lane')"
        ".dispatchEvent(new MouseEvent('click', {bubbles: true, clientX: box.left + box.width / 2})) })()"
    )
    browser.until(f"Math.abs({at} - 15) < 0.2")
    browser.until("Math.abs(parseFloat(document.querySelector('.now').getAttribute('x1')) - 50) < 1")
    assert re.match(r"0:1[45]\.\d: .+%", browser.evaluate("document.querySelector('.lanes').ariaValueText"))

    browser.download_to(tmp_path / "got")
    browser.enter("#outcome-3 .again button")
    browser.until("document.querySelector('#outcome-3 .again span').textContent.startsWith('Downloaded')")
    _until_there(tmp_path / "got" / "film-case.html")
    assert "film.mp4" in (tmp_path / "got" / "film-case.html").read_text()
    browser.enter("[formaction]")  # of all that are chosen, which is too much
    browser.until(
        "document.getElementById('problem').textContent.startsWith('The files are together larger than 2 MB')"
    )
    assert [words for words in browser.complaints if not re.search("422|413", words)] == []


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: install it to see the page used")
def test_a_browser_without_scripts_judges_too_and_prints(
    server: Running, face: bytes, browser: Browser, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(face)
    browser.send("Emulation.setScriptExecutionDisabled", value=True)  # for the rest of its life
    browser.open(server.address)
    browser.choose("#file", tmp_path / "a.png")
    browser.submit("button")
    assert browser.evaluate("document.querySelectorAll('.box').length") == 1
    assert browser.evaluate("document.querySelector('.script').hidden")  # nothing is offered that does not work
    browser.send("Emulation.setEmulatedMedia", media="print")
    assert browser.evaluate("getComputedStyle(document.querySelector('form')).display") == "none"


@pytest.mark.parametrize(
    ("probability", "threshold", "words", "level"),
    [
        (0.99, 0.5, "Fake: looks like a deepfake", "clear"),
        (0.85, 0.5, "Fake, with doubt", "leaning"),
        (0.6, 0.5, "Fake by a narrow margin", "uncertain"),
        (0.4, 0.5, "Original by a narrow margin", "uncertain"),
        (0.2, 0.5, "Original, with doubt", "leaning"),
        (0.01, 0.5, "Original: no sign of the deepfakes", "clear"),
        # a strict or lax threshold does not make an improbable thing clear
        (0.95, 0.999, "Original by a narrow margin", "uncertain"),
        (0.2, 0.01, "Fake by a narrow margin", "uncertain"),
        (1.0, 0.9, "Fake: looks like a deepfake", "clear"),
        (0.0, 0.1, "Original: no sign of the deepfakes", "clear"),
    ],
)
def test_words_by_distance(probability: float, threshold: float, words: str, level: str) -> None:
    said, found = certainty(probability, threshold)
    assert said.startswith(words)
    assert found == level


def test_it_says_how_the_network_does_on_what_it_was_not_trained_on(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "b0.pth", build_model("efficientnet_b0", 0.2), sidecar())
    tested = save_tested(tmp_path / "b0.pth")
    for result in tested.manipulations:
        assert (f"{result.name} {result.frame['auroc']}" in unseen_words(tested)) == (not result.trained_on)
    assert "no test results lie beside the checkpoint" in unseen_words(None)
    seen = tested.model_copy(update={"manipulations": [each for each in tested.manipulations if each.trained_on]})
    assert unseen_words(seen) == (
        "It was tested on no manipulation that it was not trained on. How it does on others is not known."
    )
    drawn, photographs, unknown = (
        not_meant(sidecar(), found)[-1].rest for found in (tested, tested.model_copy(update={"drawn": False}), None)
    )
    assert drawn.startswith("This network was trained on drawn faces")
    assert "drawn" not in photographs
    assert unknown.startswith("A checkpoint trained on drawn faces")


class Bright(torch.nn.Module):
    """Takes frames for fakes that are brighter than ``limit``, on the scale of normalised pixels."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return 4 * (pixels.mean((1, 2, 3))[:, None] - self.limit)


@pytest.mark.parametrize(
    ("limit", "headline", "verdict"),
    [
        (1.2, "Partly fake: 0:02.9 to 0:04.0 looks like a deepfake", "partly fake"),
        (1.6, "Partly fake by a narrow margin: 0:03.2 to 0:04.0 looks like a deepfake", "partly fake"),
        (2.6, "Original: no sign of the deepfakes it knows", "original"),
    ],
)
def test_a_video_of_which_a_part_is_fake_is_not_called_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: float, headline: str, verdict: str
) -> None:
    monkeypatch.setattr(view, "_look", lambda *_: {})  # no heat map of such a network
    detector = Detector(Network(Bright(limit)), sidecar())
    found, values = shown(detector, write_video(tmp_path / "a.mp4", 100))  # from black to white
    assert (values["said"].headline, found.verdict) == (headline, verdict)
    assert (frames_above(found)[1] >= 4) == (verdict != "original")
    time = values["timeline"]
    assert (time["stretch"] is None) == (verdict == "original")
    assert f"{clock(time['seconds'] / 2)}" in time["ticks"]
    (lane,) = time["lanes"]
    assert lane["lines"] == [lane["points"]]
    assert [each["y"] for each in lane["points"]] == sorted((each["y"] for each in lane["points"]), reverse=True)
    assert sum(each["side"] == "fake" for each in lane["points"]) == frames_above(found)[1]


def test_over_time_an_unfamiliar_frame_has_no_number_and_who_is_not_there_no_line() -> None:
    def face(probability: float, verdict: Verdict) -> Face:
        return Face(None, 0.0, probability, verdict)

    def person(number: int, verdict: Verdict) -> Person:
        return Person(number, verdict, 0.8, 1.0, None, 3, 0.0, 4.0, Stretch(1.0, 3.0, 3, 1.0, 0.9))

    moments = [Moment(float(at), face(0.9, "fake"), person=1) for at in (4, 1, 0)]  # not at 2 and 3
    moments += [Moment(2.0, face(0.7, "unfamiliar"), person=1), Moment(3.0, face(0.2, "original"), person=2)]
    people = (person(1, "partly fake"), person(2, "unfamiliar"))
    found = VideoPrediction("a.mp4", "partly fake", 0.8, moments=tuple(moments), seconds=5.0, people=people)
    first, second = view.timeline(found, sidecar())["lanes"]
    assert [(each["x"], each["y"]) for each in first["points"]] == [(0, 10), (20, 10), (40, None), (80, 10)]
    assert [[each["x"] for each in line] for line in first["lines"]] == [[0, 20], [80]]
    assert (second["said"], second["points"][0]["y"], second["points"][0]["said"]) == ("unfamiliar", None, "unfamiliar")
    assert view.timeline(found, sidecar())["stretch"] == {"x": 20, "width": 40, "times": "0:01.0 to 0:03.0"}
    assert view.timeline(replace(found, verdict="original"), sidecar())["stretch"] is None


def test_the_page_says_what_was_not_seen_of_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "_look", lambda *_: {})
    detector = Detector(Network(Bright(2.6)), sidecar())

    def seen(*damage: float) -> tuple[Wording, str]:
        _, found = shown(detector, zeroed(textured(tmp_path / "a.avi", 100), *damage))
        return found["said"], page_of(found, detector.sidecar)

    said, text = seen(4.0)
    assert (said.headline, said.side) == ("Original: no sign of the deepfakes it knows", "original")
    assert "Not all of it was seen</strong>: 0:01.0 of 0:10.0 damaged or missing." in text
    said, text = seen(1.0)
    assert (said.headline, said.side, said.level) == (UNCERTAIN_HEADLINE, "none", "uncertain")
    assert UNCERTAIN_HEADLINE in text
    assert "No verdict.</strong> 0:04.0 of 0:10.0 damaged or missing." in text
    assert not re.search("Clear, for|Leaning|Not all of it", text)
    assert said.percent in text
    _, text = seen()
    assert "damaged" not in text


def test_numbers_promise_no_more_than_they_hold() -> None:
    percents = {0.0: "under 1%", 0.004: "under 1%", 0.873: "87%", 0.996: "over 99%", 1.0: "over 99%"}
    assert {each: rounded_percent(each) for each in percents} == percents
    assert rounded_percent(0.4999, 0.5) == "49.99%"
    assert rounded_percent(0.4999999, 0.5) == "just below 50%"
    assert rounded_percent(0.5, 0.5) == "50%"
    assert clock(62.46) == "1:02.5"
    assert clock(59.96) == "1:00.0"
    rules = Calibration(thresholds={"youden": 0.4, "fpr@0.001": 0.9})
    above, below = (false_alarms(Prediction("a.png", "fake", each), rules) for each in (0.95, 0.5))
    assert above == ["At most 1 in 1000 original validation frames scored 90% or more. This score is in that range."]
    assert below[0].endswith("This score is below that range.")
    (known,) = false_alarms(Prediction("a.png", "fake", 0.95), rules.model_copy(update={"groups": 3000}))
    assert known.startswith("At most 1 in 1000 original frames like those of validation score 90% or more (3000 indep")
    (few,) = false_alarms(Prediction("a.png", "fake", 0.95), Calibration(thresholds={"youden": 0.4}, groups=9))
    assert few == "How rarely an original scores so high is not known: validation has too few originals."


def _until_there(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, list(path.parent.glob("*"))
        time.sleep(0.05)


def _until(attempt: Any, status: int) -> requests.Response:
    """An attempt's answer once it has the wanted status."""
    end = time.monotonic() + 60
    while True:
        found: requests.Response = attempt()
        if found.status_code == status:
            return found
        assert time.monotonic() < end, found.status_code
        time.sleep(0.05)
