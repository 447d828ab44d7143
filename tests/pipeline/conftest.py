"""A separate project for each test module: this repository's pipeline with a tiny profile, under git and DVC."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.hydra import compose_and_dump

import stages
from tests.support.forked_dvc import run_dvc
from tests.support.processors import every_processor

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Project:
    path: Path

    def run(self, *command: str, succeed: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a command in the project's root. Its stdout and stderr are returned together, as stdout."""
        binaries = str(Path(sys.executable).parent)
        environment = os.environ | {
            "PATH": binaries + os.pathsep + os.environ["PATH"],
            "PYTHONPATH": str(self.path / "src"),
            "GIT_AUTHOR_NAME": "test",
            "GIT_AUTHOR_EMAIL": "test@example.invalid",
            "GIT_COMMITTER_NAME": "test",
            "GIT_COMMITTER_EMAIL": "test@example.invalid",
        }
        if command[0] == "dvc":
            done = subprocess.CompletedProcess(command, *run_dvc(command[1:], self.path, environment, timeout=300))
        else:
            done = subprocess.run(
                command,
                cwd=self.path,
                env=environment,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=300,
            )
        if succeed:
            assert done.returncode == 0, done.stdout
        return done

    def stages_run(self, *command: str) -> list[str]:
        """The stages that a DVC command ran, in order."""
        output = self.run(*command).stdout
        return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage '")]

    def runs(self, *command: str) -> tuple[set[str], set[str]]:
        """The stages that a DVC command ran, and those that it took from its run cache."""
        lines = self.run(*command).stdout.splitlines()
        ran, cached = (
            {line.split("'")[1] for line in lines if mark in line} for mark in ("Running stage '", "is cached")
        )
        return ran, cached

    def set_params(self, **changes: Any) -> None:
        """Edits params.yaml as a user would: ``train__lr=0.1`` sets train.lr."""
        path = self.path / "params.yaml"
        tree = yaml.safe_load(path.read_text())
        for name, value in changes.items():
            *sections, key = name.split("__")
            part = tree
            for section in sections:
                part = part[section]
            part[key] = value
        path.write_text(yaml.safe_dump(tree, sort_keys=False))

    def fails_with_one_line(self, *command: str) -> str:
        """Runs a stage that must fail, and returns its one-line error."""
        done = self.run(*command, succeed=False)
        assert done.returncode == 1, done.stdout
        assert "Traceback" not in done.stdout, done.stdout
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
        return line

    def stage(self, name: str) -> None:
        """Runs a stage, such as ``index@own``, in this process, which has loaded what takes seconds to load."""
        module, _, key = name.partition("@")
        with contextlib.chdir(self.path):
            stages.run(import_module(f"stages.{module}").main, [key] if key else [])

    def stage_fails_with_one_line(self, name: str) -> str:
        """As ``fails_with_one_line``, in this process."""
        with pytest.raises(SystemExit) as ended:
            self.stage(name)
        (line,) = str(ended.value.code).splitlines()
        assert line.startswith("error: ")
        return line


STAGES = ("download", "weights", "index", "split", "prepare", "train", "calibrate", "predict", "evaluate")


def run_stages(folder: Path, params: dict[str, Any], stages_: tuple[str, ...] = STAGES) -> None:
    """Writes params.yaml into the current folder and runs stages in this process, those of an entry for each."""
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    for name in ("none", "imagenet"):
        shutil.copy(ROOT / name, folder / name)
    for stage in stages_:
        each = "datasets" if stage in ("download", "index", "prepare", "predict") else stage
        for key in params[each] if each in ("datasets", "pretrain", "adapt") else ("",):
            import_module(f"stages.{stage}").main(*filter(None, [key]))


def make_project(path: Path) -> Project:
    names = [".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "dvc.yaml", "none", "imagenet"]
    kept = [path.relative_to(ROOT).as_posix() for path in (ROOT / "data").rglob(".gitignore")]
    for name in (*names, *kept, "models/.gitignore"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, path / name)
    for folder in ("conf", "stages", "src"):
        shutil.copytree(ROOT / folder, path / folder, ignore=shutil.ignore_patterns("*.egg-info"))
    shutil.copy(ROOT / "tests" / "pipeline" / "tiny.yaml", path / "conf" / "profile")
    compose_and_dump(
        str(path / "params.yaml"), str(path / "conf"), None, "config", str(path / ".dvc"), ["profile=tiny"]
    )
    project = Project(path)
    project.run("git", "init", "--quiet")
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message", "A tiny project")
    return project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> tuple[Project, list[str]]:
    """A committed project after its first `dvc repro`, and the stages that ran. Do not change it: use ``built``."""
    own = tmp_path_factory.getbasetemp()
    folder = own if worker_id == "master" else own.parent  # shared by all processes of a test run
    project, ran = Project(folder / "finished"), folder / "stages_run"
    with (folder / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ran.exists():
            if project.path.exists():
                pytest.fail("the first `dvc repro` did not succeed: see the first test that failed")
            make_project(project.path)
            with every_processor():
                every = project.stages_run("dvc", "repro")
            project.run("git", "add", "--all")
            project.run("git", "commit", "--quiet", "--message", "First run")
            ran.write_text(" ".join(every))
    return project, ran.read_text().split()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, finished: tuple[Project, list[str]]) -> Project:
    """A copy of the finished project and its cache, which the test module may change."""
    path = tmp_path_factory.mktemp("built") / "project"
    shutil.copytree(finished[0].path, path, symlinks=True)
    return Project(path)
