"""The authors' lists and recordings are taken whole and right, from the network or a folder, or not at all."""

import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.sources.official import (
    ADDRESS,
    CONVERSION,
    DATASET,
    fetch_official,
    fetch_recordings,
    read_official,
    read_recordings,
)
from tests.support.sequences import RECORDINGS, SEQUENCES, made_up_conversion

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


@pytest.mark.parametrize("pinned", [ADDRESS, DATASET])
def test_the_address_is_pinned_to_a_commit(pinned: str) -> None:
    assert pinned.startswith("https://raw.githubusercontent.com/ondyari/FaceForensics/")
    assert len(pinned.split("/")[5]) == 40


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


NOBODY = "http://127.0.0.1:9"  # the address of a test that must not ask


@pytest.fixture
def conversion(lists: Path) -> Path:
    """A file of the authors' form on the server."""
    path = lists / CONVERSION
    path.write_text(json.dumps(made_up_conversion(0), indent=4))
    return path


def one_recording(folder: Path, name: str) -> str:
    """Puts a file with one recording into a folder, and returns the folder."""
    folder.mkdir()
    (folder / CONVERSION).write_text(json.dumps({"331": f"{name} 0", "332": f"{name} 1"}))
    return str(folder)


@pytest.mark.parametrize(
    ("source", "official"), [("kaggle", False), ("kaggle", True), ("local", True)], ids=["kaggle", "both", "official"]
)
def test_recordings_are_downloaded(source: str, official: bool, address: str, conversion: Path, tmp_path: Path) -> None:
    fetch_recordings(tmp_path / "raw" / "recordings.json", source, "", official, "", address)
    recordings = read_recordings(tmp_path / "raw" / "recordings.json")
    assert recordings == {video: text[: len("made-up_000")] for video, text in made_up_conversion(0).items()}
    assert (len(recordings), len(set(recordings.values()))) == (SEQUENCES, RECORDINGS)


@pytest.mark.parametrize("source", ["kaggle", "local"])
@pytest.mark.parametrize("official", [False, True])
def test_recordings_of_official_dir_come_before_all_others(source: str, official: bool, tmp_path: Path) -> None:
    folder, data = one_recording(tmp_path / "lists here", "here"), one_recording(tmp_path / "data", "there")
    fetch_recordings(tmp_path / "recordings.json", source, data, official, folder, NOBODY)
    assert read_recordings(tmp_path / "recordings.json") == {"331": "here", "332": "here"}


@pytest.mark.parametrize("official_dir", [True, False])
def test_recordings_beside_local_frames(official_dir: bool, lists: Path, tmp_path: Path) -> None:
    data = one_recording(tmp_path / "data", "there")
    fetch_recordings(tmp_path / "recordings.json", "local", data, True, str(lists) if official_dir else "", NOBODY)
    assert read_recordings(tmp_path / "recordings.json") == {"331": "there", "332": "there"}


def test_local_dir_counts_for_local_frames_alone(address: str, conversion: Path, tmp_path: Path) -> None:
    data = one_recording(tmp_path / "data", "there")
    fetch_recordings(tmp_path / "recordings.json", "kaggle", data, False, "", address)
    assert len(read_recordings(tmp_path / "recordings.json")) == SEQUENCES


def test_without_a_file_recordings_are_unknown_and_nobody_is_asked(lists: Path, tmp_path: Path) -> None:
    for source, official, folder in (
        ("embedded", False, ""),
        ("embedded", True, "no/such/folder"),
        ("local", False, ""),
        ("local", True, str(lists)),
    ):
        fetch_recordings(tmp_path / "recordings.json", source, str(tmp_path), official, folder, NOBODY)
        assert read_recordings(tmp_path / "recordings.json") == {}


FORM = "does not map three-digit ids to sequences"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<html>", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("{}", FORM),
        ("[]", FORM),
        ('"331"', FORM),
        ('[["331", "R03Sko97IDE 0"]]', FORM),
        ('{"331": 0}', FORM),
        ('{"331": {"R03Sko97IDE": "0"}}', FORM),
        ('{"331": ["R03Sko97IDE", "0"]}', FORM),
        ('{"331": "R03Sko97IDE"}', FORM),
        ('{"331": "R03Sko97IDE 0\\n"}', FORM),
        ('{"331": "R03Sko97IDE  0"}', FORM),
        ('{"331": " 0"}', FORM),
        ('{"331": "https://youtu.be/R03Sko97IDE 0"}', FORM),
        ('{"0331": "R03Sko97IDE 0"}', FORM),
        ('{"\u0663\u0663\u0661": "R03Sko97IDE 0"}', FORM),
        ('{"331": "R03Sko97IDE 0", "331": "RBTDZo0IqmA 0"}', "names 331 twice"),
        ('{"331": "R03Sko97IDE 0", "332": "R03Sko97IDE 0"}', 'gives 331 and 332 the same sequence "R03Sko97IDE 0"'),
    ],
)
def test_wrong_recordings_are_refused_and_none_is_written(
    text: str, message: str, address: str, lists: Path, tmp_path: Path
) -> None:
    (lists / CONVERSION).write_text(text)
    for source, official_dir, where in (
        ("kaggle", "", f"{address}/{CONVERSION}"),
        ("local", str(lists), str(lists / CONVERSION)),
    ):
        with pytest.raises(UserError) as caught:
            fetch_recordings(tmp_path / "recordings.json", source, "", False, official_dir, address)
        assert str(caught.value).startswith(f"recordings: {where} {message}")
        assert str(caught.value).endswith("put it into a folder and name that in split.official_dir")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "recordings.json").exists()


def test_missing_recordings_on_the_server_are_one_line(address: str, lists: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        fetch_recordings(tmp_path / "recordings.json", "kaggle", "", False, str(lists), address)
    assert str(caught.value) == (
        f"recordings: conversion_dict.json cannot be downloaded (status 404): get conversion_dict.json from "
        f"{address}/, put it into a folder and name that in split.official_dir"
    )
    assert not (tmp_path / "recordings.json").exists()


def test_recordings_offline_say_what_to_get_by_hand(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
    with pytest.raises(UserError) as caught:
        fetch_recordings(tmp_path / "recordings.json", "kaggle", "", False, "", address)
    message = str(caught.value)
    assert message.startswith("recordings: conversion_dict.json cannot be downloaded (")
    assert "refused" in message
    assert message.endswith(
        f"get {CONVERSION} from {address}/, put it into a folder and name that in split.official_dir"
    )
    assert "\n" not in message


@pytest.mark.parametrize(("content", "message"), [(None, "cannot be read"), (b"\xff", "is not UTF-8")])
def test_recordings_that_cannot_be_read_are_one_line(content: bytes | None, message: str, tmp_path: Path) -> None:
    if content:
        (tmp_path / CONVERSION).write_bytes(content)
    else:
        (tmp_path / CONVERSION).mkdir()
    with pytest.raises(UserError, match=rf"^recordings: \S+conversion_dict\.json {message}"):
        fetch_recordings(tmp_path / "recordings.json", "local", str(tmp_path), False, "", NOBODY)
    assert not (tmp_path / "recordings.json").exists()


def test_official_dir_that_is_no_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^split\.official_dir: no/such/folder is no folder"):
        fetch_recordings(tmp_path / "recordings.json", "kaggle", "", False, "no/such/folder", NOBODY)


@pytest.mark.parametrize("content", [None, "<html>", "[]", '{"331": 0}', '{"331": ""}'])
def test_damaged_recordings_of_the_pipeline_are_one_line(content: str | None, tmp_path: Path) -> None:
    if content:
        (tmp_path / "recordings.json").write_text(content)
    with pytest.raises(UserError, match="run the download stage again") as caught:
        read_recordings(tmp_path / "recordings.json")
    assert "\n" not in str(caught.value)
