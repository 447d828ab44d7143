"""The commands of README and docs: every experiment has valid parameters, every module, option and target is there."""

import re
import shlex
import shutil
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from dvc.utils.hydra import compose_and_dump

from deepfake_detection.params.load import load_params
from deepfake_detection.serving.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands(*start: str) -> list[list[str]]:
    """The words of each command in a block of code that starts with the words ``start``, without comments."""
    blocks = [
        block
        for page in PAGES
        for language, block in re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
        if not language
    ]
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    found = [shlex.split(line, comments=True) for line in lines if line.startswith(" ".join(start))]
    return [words for words in found if words[: len(start)] == list(start)]


def test_every_module_target_and_option_is_there() -> None:
    modules = {words[2] for words in commands("python", "-m")}
    assert len(modules) > 10
    assert not [name for name in modules if not find_spec(name)]
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {words[1] for words in commands("make")} <= targets
    ours = typer.main.get_command(app)
    assert isinstance(ours, typer.core.TyperGroup)
    for _, name, *words in commands("deepfake-detect"):
        options = {option for each in ours.commands[name].params for option in each.opts}
        used = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert used <= options, (name, used - options)


@pytest.mark.slow
def test_every_experiment_has_valid_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    for page in PAGES:
        for name, content in re.findall(
            r"Write a file `([\w/-]+\.yaml)`.*?```yaml\n(.*?)```", page.read_text(), re.DOTALL
        ):
            (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    experiments = commands("dvc", "exp", "run")
    assert len(experiments) > 30
    for words in experiments:
        with subtests.test(" ".join(words)):
            overrides = [word for option, word in pairwise(words) if option == "-S"]
            if "--queue" in words:  # each value is an experiment of its own
                overrides = [re.sub(r"=([^\[{,]+),.*", r"=\1", word) for word in overrides]
            compose_and_dump(tmp_path / "params.yaml", str(tmp_path / "conf"), None, "config", "", overrides)
            load_params()
