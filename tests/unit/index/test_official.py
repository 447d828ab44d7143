"""The authors' lists and recordings are read whole and right, or not at all."""

import json
from pathlib import Path

import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.index.official import CONVERSION, FILES, read_lists, read_recordings
from deepfake_detection.sources import authors

SEQUENCES = {"000": "made-up_0 0", "001": "made-up_0 1", "003": "made-up_1 0"}
PAIRS = {"train": [["000", "003"], ["001", "870"]], "val": [["720", "672"]], "test": [["953", "974"]]}


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    folder = tmp_path / "lists"
    folder.mkdir()
    for name, pairs in PAIRS.items():
        (folder / f"{name}.json").write_text(json.dumps(pairs, indent=2))
    (folder / CONVERSION).write_text(json.dumps(SEQUENCES, indent=4))
    return folder


def test_the_names_are_those_that_are_downloaded() -> None:
    assert set(authors.PLACES) == {*FILES, CONVERSION}


def test_the_first_folder_with_lists_counts(lists: Path, tmp_path: Path) -> None:
    sides = {video: name for name, pairs in PAIRS.items() for pair in pairs for video in pair}
    other = tmp_path / "other"
    other.mkdir()
    (other / CONVERSION).write_text('{"331": "there 0", "332": "there 1"}')
    assert read_lists([other, lists]) == sides
    assert read_lists([other, tmp_path / "nowhere"]) == read_lists([]) == {}
    assert read_recordings([tmp_path / "nowhere", other, lists]) == {"331": "there", "332": "there"}
    assert read_recordings([tmp_path / "nowhere"]) == {}
    assert read_recordings([lists]) == {"000": "made-up_0", "001": "made-up_0", "003": "made-up_1"}


UNREADABLE = [
    *((None, "cannot be read"), (b"\xff", "is not UTF-8")),
    *(("<html>", "is not JSON"), ("[" * 100_000, "is not JSON")),
]
NO_PAIRS = "is not a list of pairs of three-digit ids"
NO_SEQUENCES = "does not map three-digit ids to sequences"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        *((name, text, message) for name in ("val.json", CONVERSION) for text, message in UNREADABLE),
        *(
            ("test.json", text, NO_PAIRS)
            for text in (
                *("[]", '{"953": "974"}', '["953", "974"]', '[["953", "974", "975"]]', '[["953", 974]]'),
                *('[["953", "0974"]]', '[["953", "974\\n"]]'),
            )
        ),
        ("val.json", '[["000", "720"]]', "000 is in train.json too"),
        ("test.json", '[["001", "953"]]', "001 is in train.json too"),
        *(
            (CONVERSION, text, NO_SEQUENCES)
            for text in (
                *("{}", "[]", '"331"', '[["331", "R03Sko97IDE 0"]]', '{"331": 0}', '{"331": {"R03Sko97IDE": "0"}}'),
                *('{"331": ["R03Sko97IDE", "0"]}', '{"331": "R03Sko97IDE"}', '{"331": "R03Sko97IDE 0\\n"}'),
                *('{"331": "R03Sko97IDE  0"}', '{"331": " 0"}', '{"331": "https://youtu.be/R03Sko97IDE 0"}'),
                *('{"0331": "R03Sko97IDE 0"}', '{"\u0663\u0663\u0661": "R03Sko97IDE 0"}'),
            )
        ),
        (CONVERSION, '{"331": "R03Sko97IDE 0", "331": "RBTDZo0IqmA 0"}', "names 331 twice"),
        (CONVERSION, '{"331": "R03Sko97IDE 0", "332": "R03Sko97IDE 0"}', "gives 331 and 332 the same sequence"),
    ],
)
def test_what_is_no_list_is_refused_in_one_line(name: str, text: str | bytes | None, message: str, lists: Path) -> None:
    (lists / name).unlink()
    if text is None:
        (lists / name).mkdir()
    else:
        (lists / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as caught:
        (read_recordings if name == CONVERSION else read_lists)([lists])
    assert str(caught.value).startswith(str(lists / name))
    assert message in str(caught.value)
    assert "split.official_dir" in str(caught.value)
    assert "\n" not in str(caught.value)
