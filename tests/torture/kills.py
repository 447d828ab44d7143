"""Kills `dvc repro` at random moments and runs it again: ``python -m tests.torture.kills [--kills 20]``.

Each time a fresh copy of a small project (B0, 32 px) is killed, all its processes at once as a power cut does, or with
SIGTERM as Slurm and Kubernetes do first, and the commands of ``make repro`` are called. Every file in git, and the hash
of every output in dvc.lock, the checkpoint's among them, must then be those of a run that nothing disturbed. Any other
ending is exit status 1.
"""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from tests.pipeline.conftest import ROOT, Project, make_project

LOCK = ".dvc/tmp/rwlock"
BEFORE = (f"{{ test ! -e {LOCK} || python -m json.tool {LOCK} /dev/null 2>/dev/null || rm {LOCK}; }}",)  # as make repro
MARK = "Running stage '"


def start(project: Project, *commands: str) -> "subprocess.Popen[str]":
    environment = os.environ | {
        "PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(project.path / "src"), str(ROOT)]),  # tools/ is in the latter
        "PYTHONUNBUFFERED": "1",
    }
    return subprocess.Popen(
        ["sh", "-c", " && ".join((*commands, "exec dvc repro"))],
        cwd=project.path,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # a group of its own, to be killed as a whole
    )


def follow(process: "subprocess.Popen[str]", until: str = "") -> dict[str, float]:
    """Reads the output to the start of stage ``until``, else to the end; the seconds at which each stage started."""
    began, starts = time.perf_counter(), {}
    assert process.stdout
    for line in process.stdout:
        if line.startswith(MARK):
            stage = line.split("'")[1]
            starts[stage] = time.perf_counter() - began
            if stage == until:
                return starts
    return starts | {"": time.perf_counter() - began}


def outcome(project: Project) -> dict[str, str]:
    """The hash of every file that git would hold; dvc.lock among them has those of all that DVC holds."""
    names = project.run("git", "ls-files", "--cached", "--others", "--exclude-standard").stdout.split()
    return {name: hashlib.sha256((project.path / name).read_bytes()).hexdigest() for name in sorted(names)}


def killed(project: Project, stage: str, after: float, number: signal.Signals) -> dict[str, Any]:
    """Kills a run ``after`` seconds of ``stage``, then runs it again to the end."""
    process = start(project)
    follow(process, stage)
    time.sleep(after)
    os.killpg(process.pid, number)
    process.communicate(timeout=300)
    time.sleep(1)  # what DVC started may take a moment longer than DVC
    again = start(project, *BEFORE)
    said, _ = again.communicate(timeout=900)
    return {
        "killed by": number.name,
        "in stage": stage,
        "after s": round(after, 2),
        "rerun": again.returncode,
        "went on": "going on from" in said,
        "unlocked": "half written" in said,
        "says": "" if again.returncode == 0 else said.strip().splitlines()[-1],
    }


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)  # noqa: S311
    with tempfile.TemporaryDirectory() as folder:
        fresh = make_project(Path(folder) / "fresh")
        fresh.set_params(train__epochs=12, train__patience=12)
        fresh.run("git", "commit", "--quiet", "--all", "--message", "More epochs, to be killed in")
        undisturbed = Project(Path(folder) / "undisturbed")
        shutil.copytree(fresh.path, undisturbed.path, symlinks=True)
        starts = follow(start(undisturbed))
        expected = outcome(undisturbed)
        stages = list(starts)[:-1]
        length = {stage: end - begin for stage, (begin, end) in zip(stages, pairwise(starts.values()), strict=True)}
        print(f"undisturbed: {starts['']:.0f} s, {', '.join(f'{name} {length[name]:.1f} s' for name in stages)}")
        rows = []
        for count in range(options.kills):
            project = Project(Path(folder) / "killed")
            shutil.copytree(fresh.path, project.path, symlinks=True)
            # every other time in train, the longest
            stage = "train" if count % 2 else stages[count // 2 % len(stages)]
            number = signal.SIGTERM if count % 4 == 3 else signal.SIGKILL
            row = killed(project, stage, rng.uniform(0, length[stage]), number)
            found = outcome(project)
            row["differ"] = ", ".join(name for name in expected | found if expected.get(name) != found.get(name)) or "-"
            rows.append(row)
            print({name: value for name, value in row.items() if value != ""}, flush=True)
            shutil.rmtree(project.path)
    table = pd.DataFrame(rows, index=range(1, len(rows) + 1))
    print(table.to_string())
    wrong = (table["rerun"] != 0) | (table["differ"] != "-")
    went_on = int(table["went on"].sum())
    print(f"kills {len(table)}, ended as undisturbed {int((~wrong).sum())}, went on within training {went_on}")
    if wrong.any():
        sys.exit("error: not every run ended like the undisturbed one")


if __name__ == "__main__":
    main()
