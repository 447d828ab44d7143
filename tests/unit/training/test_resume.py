"""A run that is killed and run again ends as if nothing had stopped it, to the byte."""

import fcntl
import json
import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import seed_everything
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import TEMPORARY
from deepfake_detection.network.model import Network
from deepfake_detection.training.fit import fit
from deepfake_detection.training.resume import BEST, LAST, LOCK, run_key, training_state
from tests.support.disks import file_size_limit
from tests.unit.training.small import make_batches

SMALL: dict[str, Any] = {"epochs": 3, "batch_size": 4, "lr": 1e-2, "schedule": "cosine", "warmup_epochs": 0.5}
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload([__name__])
STEPS = 6  # an epoch's, the last of 2 frames


def network() -> Network:
    seed_everything(7, workers=True, verbose=False)
    layers = [nn.Conv2d(3, 8, 4, 4), nn.BatchNorm2d(8), nn.SiLU(), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1)]
    stub = nn.Sequential(*layers, nn.Flatten(), nn.Linear(8, 1))
    return Network(stub).to(memory_format=torch.channels_last)


def train(folder: Path, changes: dict[str, Any], number: int = 0, step: int = 0, disk: int | None = None) -> None:
    """Trains into ``folder``; sends itself signal ``number`` after ``step`` steps of this call, or at the very end.

    With ``disk`` no file can be longer than so many bytes.
    """
    taken: list[None] = []

    def count(*_: object) -> None:
        taken.append(None)
        if len(taken) == step:
            os.kill(os.getpid(), number)

    register_optimizer_step_post_hook(count)
    batches, epochs = make_batches(**(SMALL | changes)), list[dict[str, float]]()
    with file_size_limit(disk) if disk else nullcontext(), training_state(folder, "run") as state:
        trained = fit(network(), batches, batches.params, epochs.append, state)
        if number and not step:
            os.kill(os.getpid(), number)
        assert trained
        torch.save(trained[0], folder / "weights.pth")
        (folder / "rest.json").write_text(json.dumps([trained[1], epochs, len(taken)]))


def in_process(*arguments: Any) -> int:
    """The exit status of ``train`` in a process of its own, negative for a signal."""
    process = SERVER.Process(target=train, args=arguments)
    process.start()
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


def result(folder: Path) -> tuple[bytes, Any, Any, int]:
    return (folder / "weights.pth").read_bytes(), *json.loads((folder / "rest.json").read_text())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The result of a whole run, by what is changed in it."""

    @cache
    def whole(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name.replace(" ", "-"))
        assert in_process(folder, CHANGES[name]) == 0
        assert not (folder / "run").exists()
        return folder

    return whole


CHANGES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "averaged": {"ema": 0.9},
    "accumulated": {"accumulate": 2},
    "stopped early": {"epochs": 20, "patience": 2, "lr": 0.5, "schedule": "constant"},
}
KILLS = {
    "in the first epoch": (signal.SIGKILL, 3),
    "in the second": (signal.SIGKILL, STEPS + 2),
    "after the last": (signal.SIGKILL, 0),
    "by SIGTERM in the second": (signal.SIGTERM, STEPS + 4),
    "by SIGTERM in an epoch's last step": (signal.SIGTERM, 2 * STEPS),
}


QUICK = [("as it is", "in the second"), ("averaged", "by SIGTERM in the second")]
OTHERS = [("stopped early", "after the last"), *(("as it is", kill) for kill in KILLS)]
OTHERS += [(name, kill) for name in list(CHANGES)[1:] for kill in ("in the second", "by SIGTERM in the second")]
TRIED = [*QUICK, *(pytest.param(*each, marks=pytest.mark.slow) for each in OTHERS if each not in QUICK)]


@pytest.mark.parametrize(("name", "kill"), TRIED)
def test_a_killed_run_ends_like_an_undisturbed_one(
    tmp_path: Path, undisturbed: Callable[[str], Path], name: str, kill: str
) -> None:
    number, step = KILLS[kill]
    weights, summary, epochs, steps = result(undisturbed(name))
    expected = 128 + signal.SIGTERM if number == signal.SIGTERM else -number
    assert in_process(tmp_path, CHANGES[name], number, step) == expected
    assert in_process(tmp_path, CHANGES[name]) == 0
    again = result(tmp_path)
    assert again[:3] == (weights, summary, epochs)
    assert not (tmp_path / "run").exists()
    if number == signal.SIGTERM and step % STEPS:
        assert again[3] == steps - step  # went on within the epoch
    elif step == 0:
        assert again[3] == 0
    else:
        assert again[3] == steps - (step - 1) // STEPS * STEPS


@pytest.mark.slow
def test_it_may_be_killed_again_and_again(tmp_path: Path, undisturbed: Callable[[str], Path]) -> None:
    for number, step in ((signal.SIGTERM, 4), (signal.SIGTERM, 1), (signal.SIGKILL, 3), (signal.SIGTERM, 5)):
        assert in_process(tmp_path, {}, number, step) != 0
    assert in_process(tmp_path, {}) == 0
    assert result(tmp_path)[:3] == result(undisturbed("as it is"))[:3]


def test_a_full_disk_leaves_the_state_before_it_and_a_half_written_one_is_not_taken(
    tmp_path: Path, undisturbed: Callable[[str], Path]
) -> None:
    assert in_process(tmp_path, {}, signal.SIGKILL, STEPS + 2) != 0
    before = (tmp_path / "run" / LAST).read_bytes()
    assert in_process(tmp_path, {}, 0, 0, len(before) // 2) == 1
    assert (tmp_path / "run" / LAST).read_bytes() == before
    (tmp_path / "run" / f"{TEMPORARY}{LAST}").write_bytes(b"PK")
    assert in_process(tmp_path, {}) == 0
    assert result(tmp_path)[0] == result(undisturbed("as it is"))[0]


def test_the_key_tells_parameters_files_and_places_apart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_text("one")
    keys = {run_key("a", [data], tmp_path), run_key("b", [data], tmp_path), run_key("a", [data], tmp_path / "x")}
    assert run_key("a", [data], tmp_path) in keys
    data.write_text("two")
    keys.add(run_key("a", [data], tmp_path))
    assert len(keys) == 4
    assert all(re.fullmatch("[0-9a-f]{16}", key) for key in keys)  # by this form old states are told from other files


def test_two_processes_do_not_share_a_run(tmp_path: Path) -> None:
    with training_state(tmp_path, "run") as state:
        process = SERVER.Process(target=_enter, args=(tmp_path,))
        process.start()
        process.join(60)
        assert process.exitcode == 3
        assert state.is_dir()


def _enter(folder: Path) -> None:
    try:
        with training_state(folder, "run"):
            pass
    except UserError:
        raise SystemExit(3) from None


def aged(path: Path, days: float) -> None:
    """Makes a file, or a folder with all that is in it, ``days`` old."""
    for each in [*path.rglob("*"), path]:
        if not each.is_symlink():
            os.utime(each, (time.time() - days * 24 * 3600,) * 2)


def old_state(folder: Path, name: str, days: float = 31, files: tuple[str, ...] = (LOCK, LAST, BEST)) -> Path:
    (folder / name).mkdir()
    for file in files:
        (folder / name / file).write_text("")
    aged(folder / name, days)
    return folder / name


def start_a_run(folder: Path) -> None:
    """What every run does with the folder of states, ended by an error so that its own state stays."""
    with pytest.raises(UserError, match="mine"), training_state(folder, "f" * 16):
        raise UserError("mine")


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"f" * 16}


def test_states_that_nobody_continues_are_removed(tmp_path: Path) -> None:
    old_state(tmp_path, "0" * 16, days=8)
    old_state(tmp_path, "1" * 16, days=8, files=(LOCK,))
    old_state(tmp_path, "2" * 16, days=8, files=(LOCK, LAST, f"{TEMPORARY}{LAST}", f"{TEMPORARY}{BEST}"))
    old_state(tmp_path, "3" * 16, days=6)
    aged(old_state(tmp_path, "4" * 16) / BEST, days=6)  # the newest file counts
    start_a_run(tmp_path)
    assert left(tmp_path) == {"3" * 16, "4" * 16}


def test_what_is_not_a_state_is_never_removed(tmp_path: Path) -> None:
    old_state(tmp_path, "thesis")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ("5" * 16)).write_text("mine")
    for name, files in (("6", (LOCK, LAST, "mine.txt")), ("7", (LAST, BEST)), ("8", ()), ("A", (LOCK, LAST))):
        old_state(tmp_path, name * 16, files=files)  # no run leaves a state without its lock
    old_state(tmp_path, "9" * 17)
    (old_state(tmp_path, "a" * 16, files=(LOCK,)) / LAST).mkdir()
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / ("b" * 16)).symlink_to(old_state(tmp_path / "a", "c" * 16), target_is_directory=True)
    (old_state(tmp_path, "d" * 16, files=(LOCK,)) / LAST).symlink_to(tmp_path / "notes.txt")
    aged(tmp_path, days=31)
    before = sorted(tmp_path.rglob("*"))
    start_a_run(tmp_path)
    start_a_run(tmp_path)
    assert [path for path in sorted(tmp_path.rglob("*")) if ("f" * 16) not in path.parts] == before


def test_an_old_state_in_use_is_not_removed(tmp_path: Path) -> None:
    used, unused = old_state(tmp_path, "0" * 16), old_state(tmp_path, "1" * 16)
    held, done = SERVER.Event(), SERVER.Event()
    process = SERVER.Process(target=_hold, args=(used / LOCK, held, done))
    process.start()
    assert held.wait(60)
    aged(tmp_path, days=31)
    start_a_run(tmp_path)
    assert (used.exists(), unused.exists()) == (True, False)
    done.set()
    process.join(60)
    start_a_run(tmp_path)
    assert not used.exists()


def _hold(file: Path, held: Event, done: Event) -> None:
    with file.open("r+") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        held.set()
        done.wait(60)
