"""How a stage, a benchmark or an experiment gets the words of its command line."""

import pytest

from stages import run


@pytest.fixture(autouse=True)
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["program", "embedded"])


def test_a_stage_of_a_data_set_gets_its_name_and_a_program_that_parses_gets_nothing() -> None:
    found: list[str] = []
    run(found.append)
    run(lambda: found.append("parses for itself"))
    run(found.append, ["own"])
    assert found == ["embedded", "parses for itself", "own"]


def test_a_missing_name_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["program"])
    with pytest.raises(SystemExit, match=r"^error: name one data set of params\.yaml$"):
        run(lambda name: None)
