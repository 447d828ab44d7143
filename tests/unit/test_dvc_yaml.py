"""dvc.yaml says what the code reads: DVC does not check this itself (treeverse/dvc issue 9195)."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from deepfake_detection.params import Params

ROOT = Path(__file__).parents[2]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def module_file(name: str) -> Path | None:
    for base in (ROOT, ROOT / "src"):
        for path in (base / Path(*name.split(".")) / "__init__.py", (base / Path(*name.split("."))).with_suffix(".py")):
            if path.is_file():
                return path
    return None


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions too, with the packages around it."""
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{path}: relative import"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[: end + 1]) for end in range(len(parts)))


def modules_of(stage: str) -> set[str]:
    """First-party files that a stage's module runs, itself included."""
    found: set[Path] = set()
    waiting = [ROOT / "stages" / f"{stage}.py", ROOT / "stages" / "__init__.py"]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [file for name in imports(path) if (file := module_file(name))]
    return {path.relative_to(ROOT).as_posix() for path in found}


def attribute_chains(tree: ast.AST, root: str) -> set[str]:
    """The longest dotted names that are read off a variable, without it: ``params.a.b`` gives a.b."""
    inner: set[ast.AST] = set()
    chains: set[str] = set()
    for node in ast.walk(tree):  # breadth first: the whole chain comes before its parts
        if isinstance(node, ast.Attribute) and node not in inner:
            names, part = [], node
            while isinstance(part, ast.Attribute):
                names.append(part.attr)
                inner.add(part)
                part = part.value  # type: ignore[assignment]
            if isinstance(part, ast.Name) and part.id == root:
                chains.add(".".join(reversed(names)))
    return chains


def leaves(key: str) -> set[str]:
    """The parameters under a key; the key itself when it is one."""
    model: Any = Params
    for part in key.split("."):
        model = model.model_fields[part].annotation
    if isinstance(model, type) and issubclass(model, BaseModel):
        return {leaf for field in model.model_fields for leaf in leaves(f"{key}.{field}")}
    return {key}


def keys_of(stage: str) -> set[str]:
    """The parameters that a stage reads, to the leaf.

    A section that the stage hands to the library counts whole, and
    test_a_section_is_read_whole proves that the library reads all of it.
    """
    tree = ast.parse((ROOT / "stages" / f"{stage}.py").read_text())
    return {leaf for key in attribute_chains(tree, "params") for leaf in leaves(key)}


@pytest.mark.parametrize("stage", STAGES)
def test_deps_name_every_module_that_the_stage_runs(stage: str) -> None:
    named = {dep for dep in STAGES[stage]["deps"] if dep.endswith(".py")}
    assert named == modules_of(stage)


@pytest.mark.parametrize("stage", STAGES)
def test_params_name_every_key_that_the_stage_reads(stage: str) -> None:
    named = [leaf for key in STAGES[stage]["params"] for leaf in leaves(key)]
    assert len(named) == len(set(named)), "a key is named twice"
    assert set(named) == keys_of(stage)


@pytest.mark.parametrize("stage", STAGES)
def test_a_section_is_read_whole(stage: str) -> None:
    trees = [ast.parse((ROOT / path).read_text()) for path in modules_of(stage)]
    read = {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for leaf in keys_of(stage):
        assert leaf.rpartition(".")[2] in read, f"{leaf} is read nowhere"


@pytest.mark.parametrize("stage", STAGES)
def test_stage_is_a_short_module_run_from_the_root(stage: str) -> None:
    assert STAGES[stage]["cmd"] == f"python -m stages.{stage}"
    assert len((ROOT / "stages" / f"{stage}.py").read_text().splitlines()) <= 60
