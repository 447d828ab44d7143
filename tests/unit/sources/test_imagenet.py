"""Weights to start from: fetched and checked, or one line that says which file to put where."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

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


def test_none_leaves_no_weights_behind(tmp_path: Path) -> None:
    (tmp_path / "old.pth").write_bytes(b"old")
    fetch_weights("efficientnet_b7", "none", tmp_path)
    assert names(tmp_path) == {"source.json"}
    assert weights_file("efficientnet_b7", "none", tmp_path) is None


def test_a_path_is_copied(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "mine.pth")
    fetch_weights("efficientnet_b0", str(tmp_path / "mine.pth"), tmp_path / "weights")
    copied = weights_file("efficientnet_b0", str(tmp_path / "mine.pth"), tmp_path / "weights")
    assert copied is not None
    assert copied.read_bytes() == (tmp_path / "mine.pth").read_bytes()


@pytest.mark.usefixtures("offline")
def test_offline_says_which_file_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"get {B7} from https://\S+{B7}, put it into {tmp_path}/") as caught:
        fetch_weights("efficientnet_b7", "imagenet", tmp_path)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == {"source.json"}


@pytest.mark.usefixtures("offline")
def test_a_file_put_there_by_hand_is_checked(tmp_path: Path) -> None:
    (tmp_path / B7).write_bytes(b"not these weights")
    with pytest.raises(UserError, match=r"SHA-256 begins with .{8}, not c5b4e57e"):
        fetch_weights("efficientnet_b7", "imagenet", tmp_path)
    assert (tmp_path / B7).exists()


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
