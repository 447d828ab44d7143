"""dvc.yaml says what the code reads: DVC does not check this itself (treeverse/dvc issue 9195)."""

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from deepfake_detection.params.load import Params
from stages.inputs import OWNED
from tests.support.modules import LIBRARY, ROOT, imported_files

STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
LOADER = LIBRARY / "params" / "load.py"

# Modules that cannot change a byte of any output. A stage does not run again when they change.
INERT = {
    "src/deepfake_detection/common/errors.py": "an exception class: what raises it ends the stage",
    "src/deepfake_detection/common/text.py": "words for a terminal or a page; tables and metrics never hold them",
    "src/deepfake_detection/common/progress.py": "shows progress on stderr; items pass through it as they are",
    "src/deepfake_detection/common/parallel.py": "spreads work over processes; results come in the order of the items",
    "src/deepfake_detection/__init__.py": "the public names, loaded on demand; no stage uses them",
    "stages/own.py": "keeps a stage from replacing what is not its own, and takes notes that no stage reads",
    "stages/__init__.py": "starts a stage and prints its error in one line",
}
INERT |= {
    path.relative_to(ROOT).as_posix(): "a docstring, as tests/unit/test_packages.py proves"
    for path in LIBRARY.rglob("__init__.py")
    if path.parent != LIBRARY
}


def modules_of(stage: str) -> set[str]:
    """First-party files whose content the outputs of a stage may depend on, the stage's own included.

    The loader of params.yaml validates every section, but a section that a stage does not read can only end it with
    an error: of the modules in params/ those count that hold a section that the stage reads.
    """
    found: set[Path] = set()
    waiting = [ROOT / "stages" / f"{stage}.py", ROOT / "stages" / "__init__.py"]
    waiting += [LIBRARY / "params" / f"{section}.py" for section in sections_of(stage)]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            files = set(imported_files(path))
            waiting += files - sections() if path == LOADER else files
    return {path.relative_to(ROOT).as_posix() for path in found} - set(INERT)


def sections() -> set[Path]:
    """The modules of the sections of params.yaml."""
    return {LIBRARY / "params" / f"{name}.py" for name in Params.model_fields if name != "seed"}


def sections_of(stage: str) -> set[str]:
    return {key.partition(".")[0] for key in keys_of(stage)} - {"seed"}


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


def code_deps(stage: str) -> list[str]:
    return [dep for dep in STAGES[stage]["deps"] if dep.startswith(("src/", "stages/"))]


@pytest.mark.parametrize("stage", STAGES)
def test_every_module_that_a_stage_runs_lies_under_a_dep(stage: str) -> None:
    deps = [Path(dep) for dep in code_deps(stage)]
    missing = {module for module in modules_of(stage) if not any(Path(module).is_relative_to(dep) for dep in deps)}
    assert not missing, f"add to the deps of {stage}, or to INERT with a reason"


@pytest.mark.parametrize("stage", STAGES)
def test_every_dep_is_used_and_named_once(stage: str) -> None:
    modules, deps = modules_of(stage), code_deps(stage)
    for dep in deps:
        assert (ROOT / dep).exists(), dep
        assert any(Path(module).is_relative_to(dep) for module in modules), f"{stage} does not use {dep}"
        nested = [other for other in deps if other != dep and Path(other).is_relative_to(dep)]
        assert not nested, f"{nested} lie under {dep}"
    assert len(deps) == len(set(deps))


@pytest.mark.parametrize("module", INERT)
def test_inert_modules_exist_and_use_nothing_else(module: str) -> None:
    imported = {path.relative_to(ROOT).as_posix() for path in imported_files(ROOT / module)}
    assert imported <= set(INERT), "what it imports could change an output through it"


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


def outputs() -> dict[str, bool]:
    """Every output of the pipeline, and whether it has persist."""
    outs = [out for stage in STAGES.values() for key in ("outs", "metrics") for out in stage.get(key, [])]
    return {
        name: bool(options.get("persist"))
        for out in outs
        for name, options in (out if isinstance(out, dict) else {out: {}}).items()
    }


def test_dvc_removes_only_files_that_the_pipeline_names() -> None:
    folders = {name for name in outputs() if not Path(name).suffix}
    assert folders == {"data/raw", "data/weights"}
    assert all(outputs()[name] for name in folders)


def test_no_source_lies_where_the_pipeline_writes() -> None:
    assert {Path(name).parts[0] for name in outputs()} <= {str(folder) for folder in OWNED}


@pytest.mark.parametrize("stage", STAGES)
def test_stage_is_a_short_module_run_from_the_root(stage: str) -> None:
    assert STAGES[stage]["cmd"] == f"python -m stages.{stage}"
    assert len((ROOT / "stages" / f"{stage}.py").read_text().splitlines()) <= 60
