"""The authors' lists are taken whole and right, from the network or a folder, or not at all."""

import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.sources.ffpp import ADDRESS, fetch_official, read_official

PAIRS = {"train": [["000", "003"], ["001", "870"]], "val": [["720", "672"]], "test": [["953", "974"]]}
SIDES = {"000": "train", "003": "train", "001": "train", "870": "train"} | {
    "720": "val",
    "672": "val",
    "953": "test",
    "974": "test",
}


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    folder = tmp_path / "lists"
    folder.mkdir()
    for name, pairs in PAIRS.items():
        (folder / f"{name}.json").write_text(json.dumps(pairs, indent=2))
    return folder


@pytest.fixture
def address(lists: Path) -> Iterator[str]:
    """Where a server of our own gives out ``lists``."""

    def handler(*args: Any) -> Handler:
        return Handler(*args, directory=str(lists))

    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_lists_are_downloaded(address: str, lists: Path, tmp_path: Path) -> None:
    fetch_official("", tmp_path / "here" / "official", address)
    assert read_official(tmp_path / "here" / "official") == SIDES
    for name in PAIRS:
        copy = tmp_path / "here" / "official" / f"{name}.json"
        assert copy.read_bytes() == (lists / f"{name}.json").read_bytes()


def test_lists_are_taken_from_a_folder_of_the_users(lists: Path, tmp_path: Path) -> None:
    fetch_official(str(lists), tmp_path / "official", "http://127.0.0.1:9")  # nobody is asked there
    assert read_official(tmp_path / "official") == SIDES


def test_the_address_is_pinned_to_a_commit() -> None:
    assert ADDRESS.startswith("https://raw.githubusercontent.com/ondyari/FaceForensics/")
    assert len(ADDRESS.split("/")[5]) == 40


WRONG = [
    ("val", "<html>", "val.json is not JSON"),
    ("val", "[" * 100_000, "val.json is not JSON"),
    ("test", "[]", "test.json is not a list of pairs"),
    ("test", '{"953": "974"}', "test.json is not a list of pairs"),
    ("test", '["953", "974"]', "test.json is not a list of pairs"),
    ("test", '[["953", "974", "975"]]', "test.json is not a list of pairs"),
    ("test", '[["953", 974]]', "test.json is not a list of pairs"),
    ("test", '[["953", "0974"]]', "test.json is not a list of pairs"),
    ("test", '[["953", "974\\n"]]', "test.json is not a list of pairs"),
    ("train", '[["000", "720"]]', "720 is in train.json and in val.json"),
    ("test", '[["001", "953"]]', "001 is in train.json and in test.json"),
]


@pytest.mark.parametrize(("name", "text", "message"), WRONG)
def test_wrong_lists_are_refused_and_none_is_written(
    name: str, text: str, message: str, address: str, lists: Path, tmp_path: Path
) -> None:
    (lists / f"{name}.json").write_text(text)
    for source in ("", str(lists)):
        with pytest.raises(UserError) as caught:
            fetch_official(source, tmp_path / "official", address)
        assert message in str(caught.value)
        assert "put them into one folder and name it in split.official_dir" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "official").exists()
    with pytest.raises(UserError, match="run the download stage again"):
        read_official(lists)


def test_missing_file_on_the_server_is_one_line(address: str, lists: Path, tmp_path: Path) -> None:
    (lists / "test.json").unlink()
    with pytest.raises(UserError) as caught:
        fetch_official("", tmp_path / "official", address)
    assert str(caught.value) == (
        f"official split: test.json cannot be downloaded (status 404): get train.json, val.json, test.json from "
        f"{address}/, put them into one folder and name it in split.official_dir"
    )
    assert not (tmp_path / "official").exists()


def test_offline_says_what_to_get_by_hand(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
    with pytest.raises(UserError) as caught:
        fetch_official("", tmp_path / "official", address)
    message = str(caught.value)
    assert message.startswith("official split: train.json cannot be downloaded (")
    assert "refused" in message
    assert f"get train.json, val.json, test.json from {address}/, put them" in message
    assert "\n" not in message


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_folder_without_a_readable_list_is_one_line(content: bytes | None, lists: Path, tmp_path: Path) -> None:
    (lists / "val.json").unlink()
    if content:
        (lists / "val.json").write_bytes(content)
    with pytest.raises(UserError, match=r"^split\.official_dir: .*(val\.json cannot be read|not UTF-8).*get train"):
        fetch_official(str(lists), tmp_path / "official")
    with pytest.raises(UserError, match="run the download stage again"):
        read_official(lists)
    assert not (tmp_path / "official").exists()
