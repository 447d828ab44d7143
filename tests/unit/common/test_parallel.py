"""Work spread over processes gives what one process gives, in order, without taking in everything at once."""

import os

import pytest

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.parallel import map_in_processes, spin_briefly


def refuse(item: int) -> int:
    if item == 3:
        raise UserError("three")
    return item


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("total", [0, 1, 10_000])
def test_results_are_in_order(total: int, workers: int) -> None:
    results = map_in_processes(abs, range(-total, 0), total, workers, "counting", "number")
    assert list(results) == list(range(total, 0, -1))


@pytest.mark.parametrize("workers", [1, 2])
def test_error_comes_through(workers: int) -> None:
    with pytest.raises(UserError, match="three"):
        list(map_in_processes(refuse, range(10_000), 10_000, workers, "counting", "number"))


@pytest.mark.parametrize("workers", [1, 2])
def test_items_are_taken_as_results_are(workers: int) -> None:
    numbers = iter(range(100_000))
    results = map_in_processes(abs, numbers, 100_000, workers, "counting", "number")
    assert next(results) == 0
    assert next(numbers) < 10_000
    results.close()  # type: ignore[attr-defined]


def test_few_large_results_wait() -> None:
    numbers = iter(range(100))
    results = map_in_processes(abs, numbers, 100, 2, "counting", "number", large=True)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert next(numbers) == 12  # four were submitted behind the four that are being taken
    results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("own", [{}, {"GOMP_SPINCOUNT": "1"}, {"OMP_WAIT_POLICY": "active"}])
def test_idle_threads_do_not_spin_unless_the_user_says_so(own: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    spin_briefly()
    assert os.environ.get("GOMP_SPINCOUNT") == own.get("GOMP_SPINCOUNT", None if own else "10000")
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
