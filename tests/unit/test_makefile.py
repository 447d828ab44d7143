"""make sees what it must do again, without doing it (``make --dry-run``); a checkout has the committed bytes."""

import subprocess
import sys
from pathlib import Path

from tests.support.modules import ROOT


def planned(project: Path) -> str:
    """What ``make env`` would do in a project."""
    return subprocess.run(["make", "--dry-run", "env"], cwd=project, check=True, capture_output=True, text=True).stdout


def test_a_project_that_was_moved_gets_a_new_environment(tmp_path: Path) -> None:
    project = tmp_path / "a [project].old"
    project.mkdir()
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        (project / name).write_bytes((ROOT / name).read_bytes())
    assert "-m venv --clear .venv" in planned(project)
    assert "UV_COMPILE_BYTECODE_TIMEOUT=0 .venv/bin/uv pip sync --compile-bytecode" in planned(project)  # it waits
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", ".venv"], cwd=project, check=True)
    (project / ".venv" / "installed").touch()
    assert "Nothing to be done" in planned(project)
    (tmp_path / "link").symlink_to(project)
    assert "Nothing to be done" in planned(tmp_path / "link")
    moved = project.rename(tmp_path / "a-[project]-old")
    assert "-m venv --clear .venv" in planned(moved)
    moved.rename(project)
    assert "Nothing to be done" in planned(project)


def test_git_for_windows_changes_no_line_end(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", tmp_path, "-c", "core.autocrlf=true", *words], check=True, capture_output=True)

    contents = {"stage.py": b"a\nb\n", "picture.png": (ROOT / "docs" / "page.png").read_bytes()[:2000]}
    git("init")
    (tmp_path / ".gitattributes").write_bytes((ROOT / ".gitattributes").read_bytes())
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    git("add", "--all")
    for name in contents:
        (tmp_path / name).unlink()
    git("checkout", "--", ".")
    assert {name: (tmp_path / name).read_bytes() for name in contents} == contents
