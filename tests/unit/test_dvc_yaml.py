"""dvc.yaml says what the code reads: DVC does not check this itself (treeverse/dvc issue 9195)."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from deepfake_detection.params.load import Params
from stages.own import OWNED
from tests.support.modules import LIBRARY, ROOT, imported_files

ENTRIES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
STAGES = {name: entry.get("do", entry) for name, entry in ENTRIES.items()}

# What cannot change a byte of any output. A stage does not run again when it changes.
INERT = {
    "src/deepfake_detection/params": "every key is strict, and what a stage sees of it is what dvc.lock records. Only "
    "datasets has defaults, which test_defaults_of_a_data_set fixes",
    "src/deepfake_detection/__init__.py": "the public names, loaded on demand; no stage uses them",
    "stages/__init__.py": "starts a stage and prints its error in one line",
    "stages/own.py": "stops a stage that would replace what is not its own, and removes what no data set needs",
}


def is_inert(module: str) -> bool:
    return any(Path(module).is_relative_to(inert) for inert in INERT)


def modules_of(stage: str) -> set[str]:
    """First-party files whose content the outputs of a stage may depend on, the stage's own included."""
    found: set[Path] = set()
    waiting = [ROOT / "stages" / f"{stage}.py"]
    while waiting:
        path = waiting.pop()
        if path not in found and not is_inert(path.relative_to(ROOT).as_posix()):
            found.add(path)
            waiting += imported_files(path)
    # an __init__.py is a docstring, as tests/unit/test_packages.py proves
    return {path.relative_to(ROOT).as_posix() for path in found if path.name != "__init__.py"}


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
    """The parameters under a key; the key itself when it is one, or a dictionary or list that makes stages."""
    section, *rest = key.split(".")
    model: Any = Params.model_fields[section].annotation
    if section in ("datasets", "pretrain", "adapt"):
        return {section}
    for part in rest:
        model = model.model_fields[part].annotation
    if isinstance(model, type) and issubclass(model, BaseModel):
        return {leaf for field in model.model_fields for leaf in leaves(f"{key}.{field}")}
    return {key}


def keys_of(stage: str) -> set[str]:
    """The parameters that a stage reads, to the leaf. A section that it hands to the library counts whole."""
    tree = ast.parse((ROOT / "stages" / f"{stage}.py").read_text())
    chains = attribute_chains(tree, "params")
    chains |= {"datasets"} if "data_set(params" in ast.unparse(tree) else set()
    return {leaf for key in chains for leaf in leaves(re.sub(r"\.(items|values|keys|get)$", "", key))}


def code_deps(stage: str) -> list[str]:
    return [dep for dep in STAGES[stage]["deps"] if dep.startswith(("src/", "stages/"))]


@pytest.mark.parametrize("stage", STAGES)
def test_the_packages_that_a_stage_runs_are_its_deps(stage: str) -> None:
    modules, deps = modules_of(stage), code_deps(stage)
    assert deps[0] == f"stages/{stage}.py"
    assert all((ROOT / dep).is_dir() for dep in deps[1:]), "deps name whole packages"
    missing = {module for module in modules if not any(Path(module).is_relative_to(dep) for dep in deps)}
    assert not missing, f"add their packages to the deps of {stage}"
    unused = [dep for dep in deps if not any(Path(module).is_relative_to(dep) for module in modules)]
    assert not unused, f"{stage} does not run them"


@pytest.mark.parametrize("module", INERT)
def test_what_is_inert_is_there(module: str) -> None:
    assert (ROOT / module).exists()


@pytest.mark.parametrize("stage", STAGES)
def test_params_name_every_key_that_the_stage_reads(stage: str) -> None:
    named = {leaf for key in STAGES[stage].get("params", []) for leaf in leaves(key.replace(".${key}", ""))}
    assert named == keys_of(stage)


def outputs() -> dict[str, bool]:
    """Every output of the pipeline, and whether it has persist."""
    outs = [out for stage in STAGES.values() for key in ("outs", "metrics", "plots") for out in stage.get(key, [])]
    return {
        name: bool(options.get("persist"))
        for out in outs
        for name, options in (out if isinstance(out, dict) else {out: {}}).items()
    }


def test_dvc_removes_only_files_that_the_pipeline_names() -> None:
    folders = {name for name in outputs() if not Path(name).suffix}
    assert folders == {"data/raw/${key}", "metrics/plots", "metrics/tables"}
    assert all(outputs()[name] for name in folders)


def test_no_source_lies_where_the_pipeline_writes() -> None:
    assert {Path(name).parts[0] for name in outputs()} <= {*map(str, OWNED), "report"}


def test_the_run_cache_works_for_what_takes_long() -> None:
    for stage in ("train", "pretrain", "predict", "robustness", "prepare", "index"):
        outs = [out for out in STAGES[stage].get("outs", []) if isinstance(out, dict)]
        assert not outs, f"{stage}: DVC's run cache skips a stage with options under outs"


@pytest.mark.parametrize("stage", STAGES)
def test_stage_is_a_short_module_run_from_the_root(stage: str) -> None:
    argument = {"datasets": " ${key}", "pretrain": " ${key}", "adapt": " ${item}"}
    each = ENTRIES[stage].get("foreach", "").strip("${}")
    assert STAGES[stage]["cmd"] == f"python -m stages.{stage}{argument.get(each, '')}"
    assert len((ROOT / "stages" / f"{stage}.py").read_text().splitlines()) <= 60


def test_dvc_yaml_is_short() -> None:
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) <= 220


def test_module_names_are_unique() -> None:
    names = [path.name for path in LIBRARY.rglob("*.py") if path.name != "__init__.py"]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_defaults_of_a_data_set() -> None:
    defaults = Params.model_fields["datasets"].annotation.__args__[1]  # type: ignore[union-attr]
    found = defaults(path="somewhere", use="test").model_dump()
    assert found.pop("drawn") == {"identities": 120, "frames": 5, "size": 128, "seed": 42}
    words = {"path": "somewhere", "use": "test", "layout": "auto", "kaggle": "none", "compression": "c23"}
    assert found == words | {"lists": "none", "real": [], "fake": [], "unseen": []}
