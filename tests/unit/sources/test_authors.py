"""The authors' lists are downloaded as they are, or one line says which files to put where."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.sources.authors import PLACES, fetch_lists
from tests.support.files_server import serving


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """The files of the authors' repository."""
    for name, place in PLACES.items():
        (tmp_path / "served" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "served" / place).write_text(f"what {name} holds")
    return tmp_path / "served"


@pytest.fixture
def address(served: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where a server of our own gives them out."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(served) as address:
        yield address


def test_lists_are_downloaded(address: str, served: Path, tmp_path: Path) -> None:
    fetch_lists(tmp_path / "own" / "authors", address)
    for name, place in PLACES.items():
        assert (tmp_path / "own" / "authors" / name).read_bytes() == (served / place).read_bytes()
    assert {path.name for path in (tmp_path / "own" / "authors").iterdir()} == {
        *("train.json", "val.json", "test.json", "conversion_dict.json")
    }


@pytest.mark.parametrize(
    ("gone", "problem"),
    [("test.json", r"test\.json cannot be downloaded \(status 404\)"), ("", r"train\.json .* \(.*refused.*\)")],
)
def test_what_cannot_be_downloaded_is_one_line(
    gone: str, problem: str, address: str, served: Path, tmp_path: Path
) -> None:
    if gone:
        (served / PLACES[gone]).unlink()
    else:
        with serving(served) as address:
            pass
    with pytest.raises(UserError, match=problem) as caught:
        fetch_lists(tmp_path / "authors", address)
    assert f"from {address}/, put them into one folder and name it in split.official_dir" in str(caught.value)
    assert "\n" not in str(caught.value)
