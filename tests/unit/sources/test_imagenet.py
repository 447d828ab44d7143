"""Weights to start from: fetched and checked, or one line that says which file to put where."""

import hashlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.sources import imagenet
from deepfake_detection.sources.imagenet import fetch_weights, weights_file

B7 = "efficientnet_b7_lukemelas-c5b4e57e.pth"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens on the discard port
    monkeypatch.delenv("no_proxy", raising=False)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def note(folder: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((folder / "source.json").read_text())
    return content


def test_none_needs_no_file(tmp_path: Path) -> None:
    fetch_weights("efficientnet_b7", "none", tmp_path)
    assert names(tmp_path) == {"source.json"}
    assert note(tmp_path) == {"arch": "efficientnet_b7", "weights": "none"}
    assert weights_file("efficientnet_b7", "none", tmp_path) is None


def test_what_the_user_put_there_stays(tmp_path: Path) -> None:
    mine, folder = tmp_path / "mine.pth", tmp_path / "weights"
    mine.write_bytes(b"weights")
    (folder / "notes").mkdir(parents=True)
    (folder / B7).write_bytes(b"of another architecture, put there by hand")
    (folder / "notes" / "readme.txt").write_bytes(b"text")
    users = {B7, "notes"}
    fetch_weights("efficientnet_b0", "none", folder)
    assert names(folder) == users | {"source.json"}
    fetch_weights("efficientnet_b0", str(mine), folder)
    assert names(folder) == users | {"source.json", "mine.pth"}
    fetch_weights("efficientnet_b0", "none", folder)
    assert names(folder) == users | {"source.json"}
    assert (folder / B7).read_bytes() == b"of another architecture, put there by hand"
    assert (folder / "notes" / "readme.txt").exists()


def test_a_path_is_copied_and_followed(tmp_path: Path) -> None:
    mine, other, folder = tmp_path / "mine.pth", tmp_path / "elsewhere" / "other.pth", tmp_path / "weights"
    other.parent.mkdir()
    other.write_bytes(b"other")
    mine.write_bytes(b"first")
    fetch_weights("efficientnet_b0", str(mine), folder)
    copied = weights_file("efficientnet_b0", str(mine), folder)
    assert copied == folder / "mine.pth"
    assert copied.read_bytes() == b"first"
    digest = hashlib.sha256(b"first").hexdigest()
    expected = {"arch": "efficientnet_b0", "weights": "mine.pth", "file": "mine.pth", "sha256": digest, "written": True}
    assert note(folder) == expected  # and no path, which would depend on the machine

    mine.write_bytes(b"second")
    fetch_weights("efficientnet_b0", str(mine), folder)
    assert copied.read_bytes() == b"second"
    fetch_weights("efficientnet_b0", str(mine), folder)  # nothing to do, and still known as a copy
    assert note(folder)["written"] is True
    fetch_weights("efficientnet_b0", str(other), folder)
    assert names(folder) == {"source.json", "other.pth"}
    assert mine.read_bytes() == b"second"


def test_a_copy_that_the_user_changed_is_the_users(tmp_path: Path) -> None:
    mine, folder = tmp_path / "mine.pth", tmp_path / "weights"
    mine.write_bytes(b"weights")
    fetch_weights("efficientnet_b0", str(mine), folder)
    (folder / "mine.pth").write_bytes(b"changed by hand")
    fetch_weights("efficientnet_b0", "none", folder)
    assert (folder / "mine.pth").read_bytes() == b"changed by hand"


def test_a_file_of_the_user_is_not_overwritten_by_a_copy(tmp_path: Path) -> None:
    mine, folder = tmp_path / "mine.pth", tmp_path / "weights"
    mine.write_bytes(b"weights")
    folder.mkdir()
    (folder / "mine.pth").write_bytes(b"another file of this name")
    with pytest.raises(UserError, match=r"weights/mine\.pth is there and is not a copy of .*mine\.pth: move it away"):
        fetch_weights("efficientnet_b0", str(mine), folder)
    assert (folder / "mine.pth").read_bytes() == b"another file of this name"
    mine.rename(tmp_path / "source.json")
    with pytest.raises(UserError, match=r"source\.json: rename it"):
        fetch_weights("efficientnet_b0", str(tmp_path / "source.json"), folder)


def test_a_path_within_the_folder_is_used_where_it_is_and_stays(tmp_path: Path) -> None:
    (tmp_path / "mine.pth").write_bytes(b"weights")
    fetch_weights("efficientnet_b0", str(tmp_path / "mine.pth"), tmp_path)
    assert note(tmp_path)["written"] is False
    fetch_weights("efficientnet_b0", "none", tmp_path)
    assert names(tmp_path) == {"source.json", "mine.pth"}


@pytest.mark.parametrize("text", ["", "[]", '{"file": 1, "written": true}', '{"arch": "b7", "weights": "/old.pth"}'])
def test_a_note_of_another_form_removes_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "old.pth").write_bytes(b"old")
    (tmp_path / "source.json").write_text(text)
    fetch_weights("efficientnet_b7", "none", tmp_path)
    assert names(tmp_path) == {"source.json", "old.pth"}


def test_a_note_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.pth").write_bytes(b"weights")
    about = {"file": "../mine.pth", "sha256": hashlib.sha256(b"weights").hexdigest(), "written": True}
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "source.json").write_text(json.dumps(about))
    fetch_weights("efficientnet_b7", "none", tmp_path / "weights")
    assert (tmp_path / "mine.pth").exists()


@pytest.mark.usefixtures("offline")
def test_offline_says_which_file_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"get {B7} from https://\S+{B7}, put it into {tmp_path}/") as caught:
        fetch_weights("efficientnet_b7", "imagenet", tmp_path)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == set()


@pytest.mark.usefixtures("offline")
def test_a_file_put_there_by_hand_is_checked(tmp_path: Path) -> None:
    (tmp_path / B7).write_bytes(b"not these weights")
    with pytest.raises(UserError, match=r"SHA-256 begins with .{8}, not c5b4e57e"):
        fetch_weights("efficientnet_b7", "imagenet", tmp_path)
    assert (tmp_path / B7).exists()


def test_downloaded_weights_go_when_they_are_no_longer_wanted(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = address.rpartition("/")[2]
    monkeypatch.setattr(imagenet, "_imagenet_address", lambda arch: address)
    fetch_weights("efficientnet_b0", "imagenet", tmp_path / "weights")
    fetch_weights("efficientnet_b0", "imagenet", tmp_path / "weights")
    assert names(tmp_path / "weights") == {"source.json", name}
    assert note(tmp_path / "weights")["written"] is True
    fetch_weights("efficientnet_b0", "none", tmp_path / "weights")
    assert names(tmp_path / "weights") == {"source.json"}

    (tmp_path / "weights" / name).write_bytes(b"weights")  # by hand
    fetch_weights("efficientnet_b0", "imagenet", tmp_path / "weights")
    fetch_weights("efficientnet_b0", "none", tmp_path / "weights")
    assert names(tmp_path / "weights") == {"source.json", name}


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A loopback server's address of a file whose name holds its hash, as torchvision's do."""
    served = tmp_path / "served"
    served.mkdir()
    name = f"net-{hashlib.sha256(b'weights').hexdigest()[:8]}.pth"
    (served / name).write_bytes(b"weights")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(served)))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield f"http://127.0.0.1:{server.server_port}/{name}"
    server.shutdown()
    server.server_close()


def test_downloaded_weights_are_checked_against_the_hash_in_their_name(tmp_path: Path, address: str) -> None:
    to = tmp_path / address.rpartition("/")[2]
    imagenet._fetch_imagenet(address, to)
    assert to.read_bytes() == b"weights"
    imagenet._fetch_imagenet("http://127.0.0.1:9/not-asked", to)  # what is there and right is not fetched again

    served = tmp_path / "served" / to.name
    served.write_bytes(b"altered")
    to.unlink()
    with pytest.raises(UserError, match="cannot be downloaded"):
        imagenet._fetch_imagenet(address, to)
    assert not to.exists()
