"""Content Credentials: files that are signed here, with certificates of an authority that is made here."""

import io
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import c2pa
import numpy as np
import pytest
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import sha256_of
from deepfake_detection.serving import credentials
from deepfake_detection.serving.credentials import Credentials, Ingredient, credentials_of, read_anchors
from tests.support.commands import command
from tests.support.credentials import Authority, authority, created, signed
from tests.support.modules import ROOT
from tests.unit.serving.test_cli import Run
from tests.unit.serving.test_cli import run as run
from tests.unit.serving.test_server import checkpoint as checkpoint
from tests.unit.videos.test_video import film

GUIDE = (ROOT / "docs" / "guides" / "content-credentials.md").read_text()
KINDS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "mp4": "video/mp4", "mov": "video/quicktime"}


@pytest.fixture(scope="module")
def known() -> Authority:
    return authority()


@pytest.fixture(scope="module")
def anchors(known: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("anchors") / "anchors.pem"
    path.write_bytes(known.root)
    return path


def picture(kind: str = "JPEG") -> bytes:
    pixels = np.random.default_rng(1).integers(0, 255, (96, 96, 3), np.uint8)
    Image.fromarray(pixels).save(file := io.BytesIO(), kind)
    return file.getvalue()


def checked(content: bytes, at: Path, anchors: Path | None = None) -> Credentials | None:
    at.write_bytes(content)
    return credentials_of(at, read_anchors(anchors) if anchors else None)


def changed(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize("kind", KINDS)
def test_who_signed_it_is_known_and_a_change_breaks_it(
    kind: str, known: Authority, anchors: Path, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    video = kind.islower()
    content = film(tmp_path / f"a.{kind}", 20).read_bytes() if video else picture(kind)
    content = signed(content, KINDS[kind], known, created("digitalCapture"))
    found = checked(content, path, anchors)
    assert found
    assert (found.status, found.signer, found.generator) == ("trusted", "Camera 1 of Test", "Test program 1")
    assert (found.source_types, found.actions) == (("digitalCapture",), ("created, with Painter 2",))
    assert (found.failures, found.model_claim, found.time) == ((), "", "")
    pixels = content.find({"JPEG": b"\xff\xda", "PNG": b"IDAT", "WEBP": b"VP8 "}.get(kind, b"mdat")) + 100
    broken = checked(changed(content, pixels), path, anchors)
    assert broken
    assert broken.status == "invalid"
    assert broken.failures == (f"assertion.{'bmff' if video else 'data'}Hash.mismatch",)
    assert broken.said.startswith("invalid: the file was changed after it was signed")
    assert kind != "JPEG" or broken.said in GUIDE


def test_a_signer_who_leads_to_no_anchor_is_not_known(known: Authority, anchors: Path, tmp_path: Path) -> None:
    content = signed(picture(), "image/jpeg", authority("Camera 1"), created("trainedAlgorithmicMedia"))
    for given, sha256 in ((anchors, sha256_of(anchors)), (None, None)):
        found = checked(content, tmp_path / "a", given)
        assert found
        assert (found.status, found.failures, found.model_claim) == ("unknown signer", (), "made by a model")
        words, _, claim = found.said.partition(". ")
        assert words in GUIDE
        assert claim == "The signer says: made by a model. The score does not count this"
        assert found.anchors_sha256 == sha256


def test_what_is_changed_in_the_manifest_is_named(known: Authority, anchors: Path, tmp_path: Path) -> None:
    content = signed(picture(), "image/jpeg", known, created("trainedAlgorithmicMedia"))
    signature = content.find(b"\x58\x40", content.rfind(b"c2pa.signature"))  # in CBOR, 64 bytes follow
    for bad, code, words in (
        (content.replace(b"Painter", b"Printer"), "assertion.hashedURI.mismatch", "a claim was changed after"),
        (changed(content, signature + 20), "claimSignature.mismatch", "the signature is wrong"),
    ):
        found = checked(bad, tmp_path / "a", anchors)
        assert found
        assert (found.status, found.model_claim) == ("invalid", "")
        assert code in found.failures
        assert found.said.startswith(f"invalid: {words}")


def test_what_was_removed_is_not_there_and_traces_are_named(known: Authority, tmp_path: Path) -> None:
    content = signed(picture("PNG"), "image/png", known, created("digitalCapture"))
    Image.open(io.BytesIO(content)).save(again := io.BytesIO(), "PNG")
    assert checked(again.getvalue(), tmp_path / "a") is None
    assert checked(b"", tmp_path / "a") is None
    at = content.find(b"jumd")
    for left in (content[: at + 200], content.replace(b"caBX", b"caXX"), content[:at] + b"\xff" * 9 + content[at:]):
        found = checked(left, tmp_path / "a")
        assert found
        assert found.status == "unread"
        assert found.said.startswith("cannot be read: ")
        assert "\n" not in found.said


@pytest.mark.parametrize(
    ("kind", "claim"),
    [
        ("compositeWithTrainedAlgorithmicMedia", "made in part by a model"),
        ("algorithmicMedia", "made by an algorithm"),
    ],
)
def test_a_claim_on_a_model(kind: str, claim: str, known: Authority, tmp_path: Path) -> None:
    found = checked(signed(picture(), "image/jpeg", known, created(kind)), tmp_path / "a")
    assert found
    assert (found.model_claim, found.source_types) == (claim, (kind,))


def test_ingredients_have_a_status_of_their_own(known: Authority, anchors: Path, tmp_path: Path) -> None:
    parent = signed(picture(), "image/jpeg", authority("Model"), created("trainedAlgorithmicMedia"))
    ours = signed(picture(), "image/jpeg", known, created("digitalCapture"))
    for ingredient, judged_by, status, types in (
        (parent, None, "unknown signer", ("trainedAlgorithmicMedia",)),
        (ours, None, "trusted", ("digitalCapture",)),
        (ours, known.root, "trusted", ("digitalCapture",)),
        (parent[:-40] + b"\1" + parent[-39:], None, "invalid", ("trainedAlgorithmicMedia",)),
        (picture(), None, "none", ()),
    ):
        content = signed(picture("PNG"), "image/png", known, ingredient=ingredient, anchors=judged_by)
        found = checked(content, tmp_path / "a", anchors)
        assert found
        assert found.status == "trusted"
        assert found.ingredients == (Ingredient("parent.jpg", "parentOf", status, types),)  # type: ignore[arg-type]
        claims = status == "unknown signer"
        assert found.model_claim == "made from what was made by a model" * claims
        assert "opened" in found.actions
    # whoever edited it trusted the signer of what it was made from; without anchors nobody does
    found = checked(signed(picture(), "image/jpeg", known, ingredient=ours, anchors=known.root), tmp_path / "a")
    assert found
    assert (found.status, found.ingredients[0].status) == ("unknown signer", "unknown signer")
    # a claim comes through an edit of an edit
    edited = signed(picture(), "image/jpeg", known, ingredient=parent)
    found = checked(signed(picture(), "image/jpeg", known, ingredient=edited), tmp_path / "a", anchors)
    assert found
    assert found.model_claim == "made from what was made by a model"
    assert found.ingredients[0].status == "trusted"


@contextmanager
def listening() -> Iterator[tuple[str, list[object]]]:
    """An address, and who has connected to it."""
    visitors: list[object] = []

    def accept() -> None:
        while True:
            try:
                connection, visitor = server.accept()
            except OSError:
                return
            visitors.append(visitor)
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        waiting = threading.Thread(target=accept, daemon=True)
        waiting.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/manifest", visitors
        server.shutdown(socket.SHUT_RDWR)
        waiting.join()


def test_nobody_is_asked(tmp_path: Path) -> None:
    with listening() as (address, visitors):
        remote = signed(picture(), "image/jpeg", authority(), remote=address, embedded=False)
        by = authority(status_at=address)
        asking = signed(picture(), "image/jpeg", by, created("digitalCapture"))
        (tmp_path / "anchors.pem").write_bytes(by.root)
        found = checked(remote, tmp_path / "remote", tmp_path / "anchors.pem")
        assert found
        assert checked(asking, tmp_path / "asking", tmp_path / "anchors.pem")
        assert visitors == []
        assert (found.status, found.said) == ("elsewhere", f"kept elsewhere, not fetched: {address}")
        # the same files, by the library as it comes and by one that may ask for certificates: both connect
        for path, verify in (("remote", {}), ("asking", {"ocsp_fetch": True})):
            before = len(visitors)
            trusting = {"trust": {"user_anchors": by.root.decode()}, "verify": verify}
            with suppress(c2pa.C2paError), (tmp_path / path).open("rb") as file:
                c2pa.Reader(None, file, context=c2pa.Context.from_dict(trusting))
            assert len(visitors) > before, path


OPENSSL = shutil.which("openssl")
STAMPING = """
[tsa]
default_tsa = one
[one]
serial = serial
signer_digest = sha256
default_policy = 1.2.3
digests = sha256, sha384, sha512
[stamps]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
"""


@contextmanager
def stamping(place: Path) -> Iterator[str]:
    """The address of an authority for time stamps (RFC 3161), whose root is ``stamps.pem`` in ``place``."""

    def openssl(words: str) -> None:
        subprocess.run(["openssl", *words.split()], cwd=place, check=True, capture_output=True)

    class Stamper(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            (place / "query").write_bytes(self.rfile.read(int(self.headers["content-length"])))
            openssl("ts -reply -config stamping.cnf -queryfile query -signer one.pem -inkey one.key -out reply")
            self.send_response(200)
            self.send_header("content-type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write((place / "reply").read_bytes())

    (place / "stamping.cnf").write_text(STAMPING)
    (place / "serial").write_text("01")
    new = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    openssl(f"{new} -x509 -keyout stamps.key -out stamps.pem -subj /O=Test/CN=Stamps")
    openssl(f"{new} -keyout one.key -out one.csr -subj /O=Test/CN=One")
    known = "-CA stamps.pem -CAkey stamps.key -CAcreateserial"
    openssl(f"x509 -req -in one.csr {known} -out one.pem -extfile stamping.cnf -extensions stamps")
    with HTTPServer(("127.0.0.1", 0), Stamper) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.slow
@pytest.mark.skipif(OPENSSL is None, reason="no openssl on PATH: install it to see time stamps checked")
def test_an_expired_certificate_needs_a_time_stamp_of_a_trusted_authority(tmp_path: Path) -> None:
    by = authority(seconds=3)
    with stamping(tmp_path) as address:
        content = signed(picture(), "image/jpeg", by, created("digitalCapture"), stamped_at=address)
    time.sleep(4)
    (tmp_path / "anchors.pem").write_bytes(by.root)
    found = checked(content, tmp_path / "a", tmp_path / "anchors.pem")
    assert found
    assert (found.status, found.failures, found.time) == ("invalid", ("signingCredential.expired",), "")
    (tmp_path / "anchors.pem").write_bytes(by.root + (tmp_path / "stamps.pem").read_bytes())
    found = checked(content, tmp_path / "a", tmp_path / "anchors.pem")
    assert found
    assert found.status == "trusted"
    assert datetime.fromisoformat(found.time) < datetime.now(UTC)


def test_time_and_memory_have_limits(known: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [{"label": f"org.test.a{number}", "data": {"a": number}} for number in range(2000)]
    for limit, value, content, words in (
        ("SECONDS", 0.3, signed(picture(), "image/jpeg", known, created("empty"), *many), "it takes longer than 0.3"),
        ("MEMORY", 60 * 10**6, signed(picture(), "image/jpeg", known, thumbnail=bytes(10**7)), "what reads it broke"),
    ):
        with monkeypatch.context() as changing:
            changing.setattr(credentials, limit, value)
            found = checked(content, tmp_path / "a")
        assert found
        assert found.said.startswith(f"cannot be read: {words}")


@pytest.mark.slow
def test_a_manifest_of_50_megabytes(
    known: Authority, anchors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = signed(picture(), "image/jpeg", known, created("empty"), thumbnail=bytes(50 * 10**6))
    monkeypatch.setattr(credentials, "MEMORY", 500 * 10**6)
    found = checked(content, tmp_path / "a", anchors)
    assert found
    assert found.status == "trusted"


def test_a_long_list_of_claims_is_cut(known: Authority, tmp_path: Path) -> None:
    action = {"action": "c2pa.edited", "softwareAgent": "\x1b[31m" + "long" * 100}
    first = created("empty")
    first["data"]["actions"] += [action] * 1000
    found = checked(signed(picture(), "image/jpeg", known, first), tmp_path / "a")
    assert found
    assert len(found.actions) == credentials.MOST
    assert len(found.actions[1]) == credentials.LONGEST
    assert found.actions[1].isprintable()


def test_without_the_extra_it_is_named(
    known: Authority, anchors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = signed(picture(), "image/jpeg", known, created("digitalCapture"))
    monkeypatch.setattr(credentials, "find_spec", lambda name: None)
    found = checked(content, tmp_path / "a")
    assert found
    assert found.status == "unchecked"
    assert found.said == "there; not checked: c2pa-python is not installed; run make env, or pip install c2pa-python"
    assert found.said.rpartition(";")[0] in GUIDE
    with pytest.raises(UserError, match=r"^--trust-anchors: c2pa-python is not installed"):
        read_anchors(anchors)


def test_the_library_is_not_loaded_here(known: Authority, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(signed(picture(), "image/jpeg", known, created("digitalCapture")))
    (tmp_path / "c2pa.py").write_text("raise SystemExit('evidence was run')")  # the folder may be a suspect's
    code = "import sys, deepfake_detection.serving.cli\nfrom pathlib import Path\n"
    code += "from deepfake_detection.serving.credentials import credentials_of\n"
    code += "print(credentials_of(Path('a.jpg')).status, 'c2pa' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("unknown signer False\n", "")


def test_predict_and_a_case_file_say_it_above_the_score_and_score_as_without(
    run: Run, known: Authority, anchors: Path, checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "plain.jpg").write_bytes(picture())
    (tmp_path / "model.jpg").write_bytes(
        signed(picture(), "image/jpeg", known, created("trainedAlgorithmicMedia", "<b>Painter</b>"))
    )
    words = (tmp_path / "plain.jpg", tmp_path / "model.jpg", "--checkpoint", checkpoint, "--trust-anchors", anchors)
    plain, model = map(json.loads, run("predict", *words, "--json").out.splitlines())
    assert plain.pop("credentials") is None
    found = model.pop("credentials")
    assert (found["status"], found["model_claim"]) == ("trusted", "made by a model")
    assert model.pop("path") != plain.pop("path")
    assert model == plain
    lines = run("predict", *words).out.splitlines()
    assert lines[2] == f"Content Credentials of {tmp_path / 'model.jpg'}: {found['said']}"
    assert lines[2].replace(str(tmp_path / "model.jpg"), "portrait.jpg") in GUIDE
    assert len(lines) == 4
    assert "credential" not in run("predict", *words, "--csv").out.partition("\n")[0]
    assert command("report", *words, "--out", tmp_path / "case.html") == 0
    case, page = json.loads((tmp_path / "case.json").read_text()), (tmp_path / "case.html").read_text()
    assert [each["facts"]["credentials"] for each in case["files"]] == [None, found]
    assert case["files"][1]["prediction"]["verdict"] == model["verdict"]
    assert page.count(found["said"]) == 2  # above all results, and above that of the file
    assert page.find(found["said"]) < page.find('<table class="words">')
    assert page.rfind(found["said"]) < page.find('<div class="result', page.find('id="file2"'))
    assert page.count("SynthID): not checked, no offline detector exists") == 2
    assert "created, with &lt;b&gt;Painter&lt;/b&gt; 2" in page
    assert "There are none. Anyone can remove them" in page


def test_what_are_no_trust_anchors_is_one_line(run: Run, known: Authority, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(picture())
    (tmp_path / "key.pem").write_bytes(known.key)
    for name, words in (("key.pem", "no certificates that can be read; it must be PEM"), ("gone.pem", "No such file")):
        done = run("predict", tmp_path / "a.jpg", "--checkpoint", checkpoint, "--trust-anchors", tmp_path / name)
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
        assert words in done.err
