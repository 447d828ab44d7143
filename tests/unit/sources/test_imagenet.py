"""The file of weights to start from: empty, copied or downloaded and checked, or one line that says what to do."""

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.lite0 import LITE0, lite0_weights
from deepfake_detection.sources import imagenet
from deepfake_detection.sources.imagenet import fetch_weights
from tests.support.files_server import serving

B7 = "efficientnet_b7_lukemelas-c5b4e57e.pth"


def test_there_is_one_file_whatever_is_asked_for(tmp_path: Path) -> None:
    mine, to = tmp_path / "mine.pth", tmp_path / "data" / "weights.pth"
    mine.write_bytes(b"weights")
    for arch, weights, expected in (
        ("efficientnet_b7", "none", b""),
        ("efficientnet_b7", str(mine), b"weights"),
        (LITE0, "imagenet", lite0_weights().read_bytes()),
    ):
        fetch_weights(arch, weights, to)
        assert to.read_bytes() == expected
        assert list(to.parent.iterdir()) == [to]


@pytest.mark.parametrize("name", ["absent.pth", "empty.pth", "."])
def test_a_path_without_weights_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.pth").touch()
    to = tmp_path / "weights.pth"
    with pytest.raises(UserError, match=r"^model\.weights: .* is no file, or empty") as caught:
        fetch_weights("efficientnet_b0", str(tmp_path / name), to)
    assert "\n" not in str(caught.value)
    assert not to.exists()


def test_offline_says_which_file_to_get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens on the discard port
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(UserError, match=rf"get https://\S+{B7} .*set model\.weights") as caught:
        fetch_weights("efficientnet_b7", "imagenet", tmp_path / "weights.pth")
    assert "\n" not in str(caught.value)
    assert not any(tmp_path.iterdir())


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A loopback server's address of a file whose name holds its hash, as torchvision's do."""
    served = tmp_path / "served"
    served.mkdir()
    name = f"net-{hashlib.sha256(b'weights').hexdigest()[:8]}.pth"
    (served / name).write_bytes(b"weights")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(served) as root:
        yield f"{root}/{name}"


def test_downloaded_weights_are_checked_against_the_hash_in_their_name(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imagenet, "_imagenet_address", lambda arch: address)
    to = tmp_path / "weights.pth"
    fetch_weights("efficientnet_b0", "imagenet", to)
    assert to.read_bytes() == b"weights"
    (tmp_path / "served" / address.rpartition("/")[2]).write_bytes(b"altered")
    with pytest.raises(UserError, match="cannot be downloaded"):
        fetch_weights("efficientnet_b0", "imagenet", to)
    assert to.read_bytes() == b"weights", "the earlier file stays"


def test_a_server_that_says_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(imagenet, "SILENT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/net-00000000.pth"
        with pytest.raises(UserError, match=r"cannot be downloaded \(.*timed out"):
            imagenet.download(address, tmp_path / "weights.pth")
    assert socket.getdefaulttimeout() is None
